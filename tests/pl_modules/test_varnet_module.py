"""fastMRI's E2E-VarNet under Lightning 2: the host's numbers, names and defaults, and one coil."""

from __future__ import annotations

import inspect
from typing import Any

import fastmri
import fastmri.pl_modules
import pytest
import torch
from fastmri.data.transforms import VarNetSample
from fastmri.models.varnet import NormUnet, SensitivityModel, VarNetBlock

from fastmri_clgnet.models.sensitivities import OneCoil, Sensitivities, StableNormUnet
from fastmri_clgnet.pl_modules.varnet_module import VarNetModule

TINY: dict[str, Any] = {
    "num_cascades": 2, "chans": 3, "pools": 2, "sens_chans": 2, "sens_pools": 2,
}  # fmt: skip


def sample(n_coils: int, size: tuple[int, int] = (33, 40), batch: int = 1) -> VarNetSample:
    """A batch of random slices in the host's units, with a centre of 4 columns."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(batch, 1, 1, size[1], 1, dtype=torch.bool)
    centre = size[1] // 2
    mask[..., centre - 2 : centre + 2, :] = mask[..., ::3, :] = True
    kspace = 1e-5 * torch.randn(batch, n_coils, *size, 2, generator=generator)
    target = fastmri.rss(fastmri.complex_abs(fastmri.ifft2c(kspace)), dim=1)
    names = tuple(f"{i}.h5" for i in range(batch))
    numbers = torch.full((batch,), 4)
    maxima = target.amax(dim=(1, 2))
    sizes = (torch.tensor([20] * batch), torch.tensor([24] * batch))
    slices = torch.arange(batch)
    return VarNetSample(kspace * mask, mask, numbers, target, names, slices, maxima, sizes)


def pair(**more: Any) -> tuple[VarNetModule, fastmri.pl_modules.VarNetModule]:
    """Our module and the host's, with the same seed."""
    modules = []
    for cls in (VarNetModule, fastmri.pl_modules.VarNetModule):
        torch.manual_seed(0)
        modules.append(cls(**TINY, **more))
        modules[-1].log = lambda *args, **kwargs: None
    return modules[0], modules[1]


def test_defaults_and_optimizer_are_the_hosts() -> None:
    ours = inspect.signature(VarNetModule).parameters
    for name, parameter in inspect.signature(fastmri.pl_modules.VarNetModule).parameters.items():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            assert ours[name].default == parameter.default, name
    options = {"lr": 1e-2, "lr_step_size": 3, "lr_gamma": 0.5, "weight_decay": 0.1}
    module, host = pair(**options)
    (found,), (schedule,) = module.configure_optimizers()
    (expected,), (hosts_schedule,) = host.configure_optimizers()
    assert type(found) is type(expected)
    assert found.defaults == expected.defaults
    assert (schedule.step_size, schedule.gamma) == (hosts_schedule.step_size, hosts_schedule.gamma)


def test_steps_are_the_hosts_exactly() -> None:
    """With the same seed; gradients up to rounding; state dictionaries are interchangeable."""
    module, host = pair()
    batch = sample(3)
    for ours, theirs in zip(module.parameters(), host.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    losses = [each.training_step(batch, 0) for each in (module, host)]
    assert torch.equal(losses[0], losses[1])
    for loss in losses:
        loss.backward()
    gradients = [[parameter.grad for parameter in each.parameters()] for each in (module, host)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)
    with torch.no_grad():
        found, expected = (each.eval().test_step(batch, 0) for each in (module, host))
        assert (found["output"] == expected["output"]).all()
        found, expected = (each.validation_step(batch, 0) for each in (module, host))
        for name in ("output", "target", "val_loss"):
            assert torch.equal(found[name], expected[name])
    assert module.state_dict().keys() == host.state_dict().keys()
    assert {name.partition(".")[0] for name in module.state_dict()} == {"varnet", "loss"}
    host.load_state_dict(module.state_dict())


def test_one_coil_is_the_hosts_cascades_with_sensitivity_one() -> None:
    module = VarNetModule(**TINY, challenge="singlecoil").eval()
    assert not any(name.startswith("varnet.sens_net") for name in module.state_dict())
    batch = sample(1)
    kspace, maps = batch.masked_kspace, torch.zeros_like(batch.masked_kspace)
    maps[..., 0] = 1
    with torch.no_grad():
        for cascade in module.varnet.cascades:
            block = VarNetBlock(NormUnet(3, 2))
            block.load_state_dict(cascade.state_dict())
            kspace = block.eval()(kspace, batch.masked_kspace, batch.mask, maps)
        expected = fastmri.rss(fastmri.complex_abs(fastmri.ifft2c(kspace)), dim=1)
        assert torch.equal(module(batch.masked_kspace, batch.mask), expected)
    with pytest.raises(ValueError, match=r"one coil.*got \(1, 3, 33, 40, 2\)"):
        module(*sample(3)[:2])


@pytest.mark.parametrize("n_coils", [1, 3])
def test_slices_and_coils_without_signal(n_coils: int) -> None:
    """The host gives NaN; here losses and gradients are finite, and the image is zero."""
    module = VarNetModule(**TINY, challenge="multicoil" if n_coils > 1 else "singlecoil")
    module.log = lambda *args, **kwargs: None
    batch = sample(n_coils, batch=2)
    batch.masked_kspace[0] = batch.target[0] = 0
    batch.masked_kspace[1, 1:] = 0  # disabled coils
    module.training_step(batch, 0).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    with torch.no_grad():
        output = module(batch.masked_kspace, batch.mask, batch.num_low_frequencies)
    assert torch.isfinite(output).all()
    assert output[0].max() < 1e-9 < output[1].max()
    assert torch.isnan(NormUnet(2, 1)(torch.zeros(1, 1, 16, 16, 2))).all(), "the host's"


def test_batches_of_mixed_centres_equal_single_slices() -> None:
    module = VarNetModule(**TINY).eval()
    batch = sample(2, batch=2)
    kspace, mask = batch.masked_kspace, batch.mask
    with torch.no_grad():
        for numbers in (torch.tensor([4, 2]), torch.tensor([4, 4]), torch.tensor([0, 0])):
            single = [
                module(kspace[i : i + 1], mask[i : i + 1], numbers[i : i + 1]) for i in (0, 1)
            ]
            output = module(kspace, mask, numbers)
            torch.testing.assert_close(output, torch.cat(single), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("size", [(16, 32), (17, 23)])
def test_stable_parts_are_exactly_the_hosts(size: tuple[int, int]) -> None:
    host = NormUnet(4, 2)
    image = 1e-5 * torch.randn(2, 1, *size, 2)
    assert torch.equal(StableNormUnet.of(host)(image), host(image))
    estimate = SensitivityModel(4, 2)
    batch = sample(3, size)
    found = Sensitivities.of(estimate)(batch.masked_kspace, batch.mask, batch.num_low_frequencies)
    assert torch.equal(found, estimate(batch.masked_kspace, batch.mask, 4))
    one = OneCoil()(batch.masked_kspace[:, :1], batch.mask)
    assert torch.equal(fastmri.complex_abs(one), torch.ones(1, 1, 1, 1))


@pytest.mark.parametrize(
    ("sampled", "columns"),
    [(slice(None), slice(None)), (slice(8, None), slice(8, 24)), (slice(None, 21), slice(11, 21))],
)
def test_a_mask_without_a_gap_on_one_side_gives_its_whole_centre(
    sampled: slice, columns: slice
) -> None:
    """Full sampling and partial Fourier; the host's maps are of one column then."""
    mask = torch.zeros(1, 1, 1, 32, 1, dtype=torch.bool)
    mask[..., sampled, :] = True
    kspace = mask * torch.randn(1, 3, 16, 32, 2)
    estimate = Sensitivities(2, 2)
    central = torch.zeros_like(kspace)
    central[..., columns, :] = kspace[..., columns, :]
    with torch.no_grad():
        expected = Sensitivities(2, 2, mask_center=False)
        expected.load_state_dict(estimate.state_dict())
        for number in (None, 0, torch.tensor([0])):
            torch.testing.assert_close(
                estimate(kspace, mask, number), expected(central, mask), rtol=1e-5, atol=1e-6
            )


def test_impossible_sizes_are_refused() -> None:
    for name in ("num_cascades", "pools", "chans"):
        with pytest.raises(ValueError, match=f"{name}=0: expected 1 or more"):
            VarNetModule(**{**TINY, name: 0})
