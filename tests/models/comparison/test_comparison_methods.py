"""The comparison methods: the paper's counts, data consistency, FFT conventions, learning."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch import nn

from fastmri_clgnet.benchmarks.macs import count_macs
from fastmri_clgnet.benchmarks.measure import example_inputs
from fastmri_clgnet.data.reference import ReferenceSample
from fastmri_clgnet.models.comparison import (
    CDDN,
    COMPARISON_METHODS,
    DCCNN,
    DualOctConv,
    DuDoRNet,
    ISTANetPlus,
    KspaceNetwork,
    PrimalDualNet,
    Reference,
)
from fastmri_clgnet.models.comparison.ista_net import soft_threshold
from fastmri_clgnet.models.comparison.octconv import ComplexConv2d
from fastmri_clgnet.models.fourier import (
    data_gradient,
    hard_data_consistency,
    replace_measured,
    to_image,
    to_kspace,
)
from fastmri_clgnet.models.registry import ComparisonReconstructor
from fastmri_clgnet.pl_modules import ComparisonModule
from tests.helpers import assert_gradients_reach_all

# parameters and GMac at 512 x 512 of the paper's Table 2; Dual-OctConv's GMac is not reproduced
TABLE_2 = {
    "dccnn": (565_770, 148.65),
    "ista": (381_800, 148.57),
    "cddn": (119_860, 32.05),
    "pd": (410_920, 107.72),
    "dudor": (649_476, 851.53),
    "octconv": (567_060, 245.5),
}
HARD = ("dccnn", "cddn", "dudor", "octconv")


def small_network(name: str) -> KspaceNetwork:
    torch.manual_seed(0)
    makers = {
        "dccnn": lambda: DCCNN(2, 3, 8),
        "ista": lambda: ISTANetPlus(2, 8),
        "cddn": lambda: CDDN(2, 4),
        "pd": lambda: PrimalDualNet(2, 16),
        "dudor": lambda: DuDoRNet(2, 16, reduction=1),
        "octconv": lambda: DualOctConv(2, 16, 0.25),
    }
    return makers[name]()


def complex_randn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, 2, dtype=torch.float64, generator=generator)


def column_mask(width: int, batch_size: int = 1) -> torch.Tensor:
    mask = torch.zeros(batch_size, 1, width, 1, dtype=torch.float64)
    mask[:, :, ::3] = 1
    mask[:, :, width // 2 - 1 : width // 2 + 2] = 1
    return mask


@pytest.mark.parametrize("name", COMPARISON_METHODS)
def test_counts_of_table_2(name: str) -> None:
    parameters, gmacs = TABLE_2[name]
    model = COMPARISON_METHODS[name]()
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert abs(count_macs(model, (512, 512)) / 1e9 / gmacs - 1) < 0.005


@pytest.mark.parametrize("size", [(12, 16), (13, 15)])
def test_fourier_operators_against_numpy(size: tuple[int, int]) -> None:
    image = complex_randn(2, *size)
    values = torch.view_as_complex(image).numpy()
    axes = (-2, -1)
    expected = np.fft.fft2(np.fft.ifftshift(values, axes=axes), norm="ortho")
    expected = np.fft.fftshift(expected, axes=axes)
    kspace = torch.view_as_complex(to_kspace(image)).numpy()
    np.testing.assert_allclose(kspace, expected, atol=1e-12)
    torch.testing.assert_close(to_image(to_kspace(image)), image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(12, 16), (13, 15)])
def test_data_gradient_is_the_gradient_of_the_data_term(size: tuple[int, int]) -> None:
    mask = column_mask(size[1], 2)
    measured = mask * complex_randn(2, *size, seed=1)
    image = complex_randn(2, *size).requires_grad_()
    term = 0.5 * (mask * to_kspace(image) - measured).square().sum()
    (gradient,) = torch.autograd.grad(term, image)
    torch.testing.assert_close(data_gradient(image, measured, mask), gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(12, 16), (13, 15)])
def test_hard_data_consistency_is_a_projection(size: tuple[int, int]) -> None:
    mask = column_mask(size[1], 2)
    measured = mask * complex_randn(2, *size, seed=1)
    image = complex_randn(2, *size)
    once = hard_data_consistency(image, measured, mask)
    torch.testing.assert_close(mask * to_kspace(once), measured, rtol=0, atol=1e-12)
    twice = hard_data_consistency(once, measured, mask)
    torch.testing.assert_close(twice, once, rtol=0, atol=1e-12)
    # unmeasured samples stay, bit for bit
    kspace = to_kspace(image)
    kept = replace_measured(kspace, measured, mask)
    assert torch.equal((1 - mask) * kept, (1 - mask) * kspace)
    assert torch.equal(mask * kept, measured)


@pytest.mark.parametrize("name", HARD)
def test_measured_samples_are_kept(name: str) -> None:
    network = small_network(name).double().eval()
    mask = column_mask(20)
    measured = mask * complex_randn(1, 18, 20, seed=1)
    with torch.no_grad():
        kspace = to_kspace(network(measured, mask).image)
        torch.testing.assert_close(mask * kspace, measured, rtol=0, atol=1e-12)
        full = complex_randn(1, 18, 20, seed=2)
        output = network(full, torch.ones_like(mask)).image
    torch.testing.assert_close(output, to_image(full), rtol=0, atol=1e-12)


def test_cddn_magnitude_step_is_exact_for_real_images() -> None:
    torch.manual_seed(0)
    network = CDDN(2, 4, magnitude_step=True).double().eval()
    image = complex_randn(1, 16, 16)
    image[..., 0] = image[..., 0].abs()
    image[..., 1] = 0
    full = to_kspace(image)
    with torch.no_grad():
        output = network(full, torch.ones(1, 1, 16, 1)).image
    torch.testing.assert_close(output, image, rtol=0, atol=1e-12)


def test_soft_threshold_is_the_proximal_operator() -> None:
    values = torch.linspace(-3, 3, 101, dtype=torch.float64)
    expected = torch.where(values.abs() > 0.7, values - 0.7 * values.sign(), 0.0)
    shrunk = soft_threshold(values, torch.tensor(0.7, dtype=torch.float64))
    torch.testing.assert_close(shrunk, expected)
    # the minimiser of 1/2 (z - v)^2 + t |z| over a fine grid
    grid = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    for value, result in zip(values[::20], shrunk[::20], strict=True):
        best = grid[(0.5 * (grid - value) ** 2 + 0.7 * grid.abs()).argmin()]
        assert abs(best - result) < 1e-3


def test_ista_starts_at_the_papers_scalars_and_reports_its_symmetry() -> None:
    network = ISTANetPlus()
    assert all(phase.step == 0.5 and phase.threshold == 0.01 for phase in network.phases)
    result = small_network("ista")(torch.zeros(1, 16, 16, 2), torch.ones(1, 1, 16, 1))
    assert result.auxiliary.keys() == {"symmetry"}


def test_complex_convolution_equals_torchs() -> None:
    torch.manual_seed(0)
    layer = ComplexConv2d(3, 2).double()
    values = torch.randn(1, 6, 9, 8, dtype=torch.float64)
    weight = torch.complex(layer.weight[0], layer.weight[1])
    bias = torch.complex(*torch.randn(2, 2, dtype=torch.float64))
    with torch.no_grad():
        layer.bias.copy_(torch.cat([bias.real, bias.imag]))  # type: ignore[union-attr]
    expected = nn.functional.conv2d(
        torch.complex(values[:, :3], values[:, 3:]), weight, bias, padding=1
    )
    torch.testing.assert_close(layer(values), torch.cat([expected.real, expected.imag], dim=1))


@pytest.mark.parametrize("name", COMPARISON_METHODS)
@pytest.mark.parametrize("size", [(20, 16), (17, 19)])
def test_gradients_reach_every_parameter(name: str, size: tuple[int, int]) -> None:
    network = small_network(name).double()
    mask = column_mask(size[1], 2)
    result = network(mask * complex_randn(2, *size), mask)
    assert result.image.shape == (2, *size, 2)
    loss = (result.image - complex_randn(2, *size, seed=3)).square().mean()
    reference = Reference(torch.zeros(2, *size, 2).double(), complex_randn(2, *size, seed=4))
    sum(network.losses(result, reference).values(), loss).backward()
    assert_gradients_reach_all(network)


@pytest.mark.parametrize("name", COMPARISON_METHODS)
def test_overfits_one_slice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own loss, through the module: far below the error of zero-filling."""
    network = small_network(name)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    target = ((x**2 + 2 * y**2) < 0.5).float()[None]
    phase = 0.5 * x + y
    image = torch.stack([target * phase.cos(), target * phase.sin()], dim=-1)
    full, mask = to_kspace(image), column_mask(32).float()
    own = mask * full, mask, 4, target, ["a.h5"], torch.tensor([0]), torch.ones(1), (32, 32)
    batch = ReferenceSample._make([*own, full, image])
    module = ComparisonModule(name)  # type: ignore[arg-type]
    module.network = network
    monkeypatch.setattr(module, "log", lambda *_, **__: None)

    def error(output: torch.Tensor) -> torch.Tensor:
        return (output - target).square().mean()

    goal = 0.25 * error(torch.view_as_complex(to_image(mask * full)).abs())
    reached = goal + 1
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(300):
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                reached = error(module(batch.masked_kspace, mask))
        if reached < goal:
            break
    assert reached < goal


@pytest.mark.parametrize("name", COMPARISON_METHODS)
def test_state_dict_round_trip(name: str) -> None:
    network, other = small_network(name).eval(), small_network(name).eval()
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    mask = column_mask(16).float()
    measured = mask * complex_randn(1, 16, 16).float()
    assert torch.equal(other(measured, mask).image, network(measured, mask).image)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_fourier_operators_take_half_precision(dtype: torch.dtype) -> None:
    """The output of a convolution under autocast: the FFT is computed in float32."""
    values = torch.randn(1, 8, 9, 2).to(dtype)
    for function in (to_image, to_kspace):
        assert function(values).dtype is torch.float32
        torch.testing.assert_close(function(values), function(values.float()))


@pytest.mark.parametrize("name", COMPARISON_METHODS)
def test_autocast_is_near_full_precision(name: str) -> None:
    torch.manual_seed(0)
    network = COMPARISON_METHODS[name]().eval()
    kspace, mask = example_inputs(network, (24, 20), torch.device("cpu"))
    with torch.no_grad():
        reference = network(kspace, mask).image
        with torch.autocast("cpu", torch.bfloat16):
            image = network(kspace, mask).image
    assert torch.isfinite(image).all()
    assert (image.float() - reference).norm() < 0.05 * reference.norm()


def test_gradients_reach_the_first_block_of_pd() -> None:
    """It has no residual path: PyTorch's initial weights would give 1e-15 of the last block's."""
    torch.manual_seed(0)
    network = PrimalDualNet()
    mask = (torch.rand(1, 1, 32, 1) < 0.5).float()
    network(mask * torch.randn(1, 32, 32, 2), mask).image.square().mean().backward()
    gradients = [
        float(parameter.grad.norm())
        for name, parameter in network.primal.named_parameters()
        if name.endswith("layers.1.weight") and parameter.grad is not None
    ]
    assert len(gradients) == 10
    assert min(gradients) > 1e-10 * max(gradients)


@pytest.mark.parametrize("name", COMPARISON_METHODS)
def test_images_in_low_precision(name: str, generator: torch.Generator) -> None:
    """Their magnitude is of float32, also where the last operation is a convolution."""
    reconstructor = ComparisonReconstructor()
    reconstructor.network = small_network(name)
    kspace = torch.randn(1, 32, 32, 2, generator=generator)
    mask = (torch.arange(32) % 2 == 0)[None, None, :, None]
    with torch.no_grad():
        full = reconstructor(kspace * mask, mask)
        with torch.autocast("cpu", torch.bfloat16):
            low = reconstructor(kspace * mask, mask)
    assert low.dtype == torch.float32
    assert (low - full).norm() < 0.1 * full.norm()
