"""CLGNet in fastMRI's variational network: contract, data consistency, memory, coils."""

from __future__ import annotations

from typing import Any

import fastmri
import numpy as np
import pytest
import torch
from fastmri.models import VarNet
from fastmri.models.varnet import NormUnet, SensitivityModel, VarNetBlock

from fastmri_clgnet.models import CLGNet, CLGNetDC, CLGVarNet, NormCLGNet
from tests.helpers import assert_gradients_reach_all

TINY: dict[str, Any] = {"chans": 4, "num_groups": 1, "num_blocks": 1}


def measurement(
    n_coils: int, size: tuple[int, int] = (32, 24), batch: int = 2
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masked k-space in the host's units and mask, with a centre of 4 columns."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(batch, 1, 1, size[1], 1, dtype=torch.bool)
    centre = size[1] // 2
    mask[..., centre - 2 : centre + 2, :] = mask[..., ::3, :] = True
    kspace = 1e-5 * torch.randn(batch, n_coils, *size, 2, generator=generator)
    return kspace * mask, mask


def train_a_little(model: torch.nn.Module) -> None:
    """Move every parameter, so that none is zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)


def zero_filled(masked_kspace: torch.Tensor) -> torch.Tensor:
    """The host's root sum of squares of the zero-filled coil images."""
    return fastmri.rss(fastmri.complex_abs(fastmri.ifft2c(masked_kspace)), dim=1)


@pytest.mark.parametrize("size", [(32, 48), (16, 32)])
def test_norm_clgnet_keeps_the_contract_of_norm_unet(size: tuple[int, int]) -> None:
    """The host's NormUnet around the same network gives the same result if it does not pad."""
    ours = NormCLGNet(**TINY).double()
    host = NormUnet(chans=1, num_pools=1).double()
    host.unet = ours.unet
    image = torch.randn(2, 1, *size, 2, dtype=torch.float64)
    torch.testing.assert_close(ours(image), host(image), rtol=1e-9, atol=1e-9)


def test_norm_clgnet_normalises_over_all_coils() -> None:
    """Computed by hand, since the host's own normalisation takes only one coil."""
    network = NormCLGNet(**TINY, in_chans=6, out_chans=6).double()
    image = torch.randn(2, 3, 20, 18, 2, dtype=torch.float64)
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    std = image.std(dim=(1, 2, 3), keepdim=True)
    channels = torch.cat([((image - mean) / std)[..., part] for part in (0, 1)], dim=1)
    real, imaginary = network.unet(channels).chunk(2, dim=1)
    expected = torch.stack([real, imaginary], dim=-1) * std + mean
    torch.testing.assert_close(network(image), expected, rtol=1e-9, atol=1e-9)


def test_norm_clgnet_takes_odd_sizes_and_any_scale() -> None:
    network = NormCLGNet(**TINY)
    image = torch.randn(2, 1, 17, 23, 2)
    output = network(image)
    assert output.shape == image.shape
    torch.testing.assert_close(network(1e-5 * image), 1e-5 * output, rtol=1e-3, atol=1e-9)


def test_a_slice_without_signal_gives_zeros_and_finite_gradients() -> None:
    image = torch.zeros(1, 1, 16, 16, 2, requires_grad=True)
    network = NormCLGNet(**TINY)
    output = network(image)
    output.sum().backward()
    assert output.abs().max() < 1e-9
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert torch.isnan(NormUnet(chans=2, num_pools=1)(image)).all(), "the host: divides by zero"


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("n_coils", [1, 3])
def test_whole_network_on_a_slice_without_signal(n_coils: int, trained: bool) -> None:
    masked_kspace, mask = measurement(n_coils)
    masked_kspace[0] = 0
    model = CLGVarNet(2, **TINY, estimate_sensitivities=n_coils > 1, sens_chans=2, sens_pools=2)
    if trained:
        train_a_little(model)
    output = model(masked_kspace, mask)
    output.sum().backward()
    assert torch.isfinite(output).all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_clgnet_stands_in_the_hosts_networks() -> None:
    """In VarNet's cascades, as the unet of a NormUnet and in the host's VarNetBlock."""
    masked_kspace, mask = measurement(3)
    varnet = VarNet(num_cascades=2, sens_chans=2, sens_pools=2, chans=2, pools=2)
    varnet.cascades[0].model.unet = CLGNet(in_chans=2, out_chans=2, **TINY)
    varnet.cascades[1] = VarNetBlock(NormCLGNet(**TINY))
    output = varnet(masked_kspace, mask, 4)
    output.sum().backward()
    assert output.shape == (2, 32, 24)
    # the first cascade starts at the measurement: its data consistency has no effect
    assert_gradients_reach_all(varnet.cascades[0].model)
    assert_gradients_reach_all(varnet.cascades[1])


@pytest.mark.parametrize("num_cascades", [0, 3])
@pytest.mark.parametrize("n_coils", [1, 3])
def test_untrained_it_is_the_zero_filled_image(num_cascades: int, n_coils: int) -> None:
    masked_kspace, mask = measurement(n_coils, (33, 21))
    multicoil = n_coils > 1
    model = CLGVarNet(
        num_cascades, **TINY, estimate_sensitivities=multicoil, sens_chans=2, sens_pools=1
    )
    torch.testing.assert_close(model(masked_kspace, mask), zero_filled(masked_kspace))
    assert torch.equal(model.predict_kspace(masked_kspace, mask), masked_kspace)


@pytest.mark.parametrize("hard_dc", [False, True])
def test_trained_it_keeps_the_samples_softly_or_hard(hard_dc: bool) -> None:
    masked_kspace, mask = measurement(1)
    model = CLGVarNet(2, **TINY, estimate_sensitivities=False, hard_dc=hard_dc)
    train_a_little(model)
    kspace = model.predict_kspace(masked_kspace, mask)
    assert (kspace * ~mask).abs().max() > 0
    assert torch.equal(kspace * mask, masked_kspace) is hard_dc


def test_one_coil_is_the_cascade_with_sensitivity_one() -> None:
    """Against NumPy-like complex arithmetic: k - eta M (k - y) - F R F^-1 k."""
    masked_kspace, mask = measurement(1)
    model = CLGVarNet(1, **TINY, estimate_sensitivities=False)
    train_a_little(model)
    block = model.cascades[0]
    y = torch.view_as_complex(masked_kspace)
    image = torch.view_as_real(
        torch.fft.fftshift(
            torch.fft.ifft2(torch.fft.ifftshift(y, dim=(-2, -1)), norm="ortho"), dim=(-2, -1)
        )
    )
    assert isinstance(block, VarNetBlock)
    term = torch.view_as_complex(block.model(image))
    shifted = torch.fft.ifftshift(term, dim=(-2, -1))
    spectrum = torch.fft.fftshift(torch.fft.fft2(shifted, norm="ortho"), dim=(-2, -1))
    expected = torch.view_as_real(y - spectrum)
    torch.testing.assert_close(
        model.predict_kspace(masked_kspace, mask), expected, rtol=1e-4, atol=1e-9
    )


def test_shared_weights_and_parameters() -> None:
    count = {
        shared: sum(
            p.numel()
            for p in CLGVarNet(
                3, **TINY, share_weights=shared, estimate_sensitivities=False
            ).parameters()
        )
        for shared in (True, False)
    }
    assert count[False] == 3 * count[True]
    assert list(CLGVarNet(0, share_weights=True, estimate_sensitivities=False).parameters()) == []
    with pytest.raises(ValueError, match="num_cascades=-1: expected 0 or more"):
        CLGVarNet(-1)


@pytest.mark.parametrize("share_weights", [False, True])
def test_activation_checkpointing_changes_no_gradient(share_weights: bool) -> None:
    masked_kspace, mask = measurement(2)
    gradients = []
    for checkpoint_activations in (False, True):
        torch.manual_seed(0)
        model = CLGVarNet(
            2,
            **TINY,
            share_weights=share_weights,
            checkpoint_activations=checkpoint_activations,
            sens_chans=2,
            sens_pools=1,
        )
        train_a_little(model)
        saved = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal saved
            saved += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            output = model(masked_kspace, mask, 4)
        output.sum().backward()
        assert_gradients_reach_all(model.cascades[-1])
        gradients.append(([p.grad for p in model.parameters()], saved))
    (plain, plain_saved), (again, again_saved) = gradients
    torch.testing.assert_close(again, plain)
    assert again_saved < plain_saved / 2


def test_batches_of_mixed_centres_equal_single_slices() -> None:
    masked_kspace, mask = measurement(2)
    model = CLGVarNet(1, **TINY, sens_chans=2, sens_pools=1).eval()
    train_a_little(model)
    with torch.no_grad():
        for numbers in (torch.tensor([4, 2]), torch.tensor([4, 4]), torch.tensor([0, 0])):
            single = torch.cat(
                [
                    model(masked_kspace[i : i + 1], mask[i : i + 1], numbers[i : i + 1])
                    for i in range(2)
                ]
            )
            output = model(masked_kspace, mask, numbers)
            torch.testing.assert_close(output, single, rtol=1e-4, atol=1e-9)


def test_untrained_sensitivities_are_those_of_the_centre() -> None:
    """Against NumPy: the low-resolution coil images over their root sum of squares."""
    masked_kspace, mask = measurement(3)
    model = CLGVarNet(1, **TINY, sens_chans=2, sens_pools=1)
    with torch.no_grad():
        found = torch.view_as_complex(model.sens_net(masked_kspace, mask, 4)).numpy()
    centre = torch.view_as_complex(masked_kspace).numpy().copy()
    centre[..., :10] = centre[..., 14:] = 0
    axes = (-2, -1)
    shifted = np.fft.ifft2(np.fft.ifftshift(centre, axes=axes), norm="ortho")
    images = np.fft.fftshift(shifted, axes=axes)
    expected = images / np.sqrt((np.abs(images) ** 2).sum(1, keepdims=True))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_without_the_residual_the_sensitivities_are_the_hosts() -> None:
    masked_kspace, mask = measurement(3)
    model = CLGVarNet(1, **TINY, sens_chans=2, sens_pools=1, sens_residual=False)
    host = SensitivityModel(2, 1)
    host.load_state_dict(model.sens_net.state_dict())
    assert torch.equal(model.sens_net(masked_kspace, mask, 4), host(masked_kspace, mask, 4))


def test_several_coils_without_sensitivities_are_refused() -> None:
    masked_kspace, mask = measurement(2)
    with pytest.raises(ValueError, match=r"takes one coil.*got \(2, 2, 32, 24, 2\)"):
        CLGVarNet(1, **TINY, estimate_sensitivities=False)(masked_kspace, mask)


@pytest.mark.parametrize("n_coils", [1, 3])
def test_clgnet_dc_is_a_projection_of_clgnets_image(n_coils: int) -> None:
    """An empty mask gives CLGNet's image with the zero-filled phase, a full one the data."""
    masked_kspace, mask = measurement(n_coils)
    model = CLGNetDC(**TINY)
    magnitude = zero_filled(masked_kspace)
    mean = magnitude.mean(dim=(1, 2), keepdim=True)
    std = magnitude.std(dim=(1, 2), keepdim=True)
    estimate = model.clgnet(((magnitude - mean) / std)[:, None])[:, 0] * std + mean
    nothing = model(masked_kspace, torch.zeros_like(mask))
    torch.testing.assert_close(nothing, estimate.abs(), rtol=1e-3, atol=1e-9)
    everything = model(masked_kspace, torch.ones_like(mask))
    torch.testing.assert_close(everything, magnitude, rtol=1e-4, atol=1e-9)
    # one slice without signal does not affect the gradients of others
    masked_kspace[0] = 0
    output = model(masked_kspace, mask)
    output.sum().backward()
    assert torch.isfinite(output).all()
    assert_gradients_reach_all(model)
