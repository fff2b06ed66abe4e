"""The folded spatial-Fourier layer against eq. 6 to 8 evaluated plainly."""

from __future__ import annotations

import pytest
import torch

from fastmri_clgnet.benchmark.plain import PlainSpatialFourierLayer
from fastmri_clgnet.models import (
    SpatialFourierLayer,
    SpatialFourierResidualBlock,
    SpatialFourierResidualGroup,
)
from fastmri_clgnet.models.spatial_fourier_op import (
    hilbert,
    hilbert_matrix,
    mirror,
    spatial_fourier,
)
from tests.helpers import assert_gradients_reach_all

SIZES = [(16, 16), (17, 20), (20, 17), (21, 33), (3, 2)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str
)
def test_folded_equals_plain(
    size: tuple[int, int], dtype: torch.dtype, tolerance: float, generator: torch.Generator
) -> None:
    layer = SpatialFourierLayer(6).to(dtype)
    plain_layer = PlainSpatialFourierLayer(6).to(dtype)
    plain_layer.load_state_dict(layer.state_dict())
    features = torch.randn(2, 6, *size, dtype=dtype, generator=generator, requires_grad=True)
    weights = torch.randn(2, 6, *size, dtype=dtype, generator=generator)

    plain = plain_layer(features)
    expected = torch.autograd.grad((plain * weights).sum(), [features, *plain_layer.parameters()])
    folded = layer(features)
    gradients = torch.autograd.grad((folded * weights).sum(), [features, *layer.parameters()])

    torch.testing.assert_close(folded, plain, rtol=tolerance, atol=tolerance)
    for gradient, reference in zip(gradients, expected, strict=True):
        scale = float(reference.abs().max()) + 1e-30
        torch.testing.assert_close(gradient / scale, reference / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("width", [1, 2, 7, 16])
def test_hilbert_matrix_equals_its_definition(width: int) -> None:
    rows = torch.randn(5, width, dtype=torch.float64)
    spectrum = 1j * torch.fft.rfft(rows)
    # what a complex-to-real transform drops: imaginary parts at frequency zero and Nyquist
    expected = torch.fft.irfft(spectrum, n=width)
    matrix = hilbert_matrix(width, torch.float64, torch.device("cpu"))
    torch.testing.assert_close(rows @ matrix.T, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(matrix, -matrix.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [1, 2, 7, 16])
def test_hilbert_transform_is_the_product_with_its_matrix(width: int) -> None:
    pixels = torch.randn(2, 3, width, 4, dtype=torch.float64)
    expected = torch.einsum(
        "xv,byvc->byxc", hilbert_matrix(width, pixels.dtype, pixels.device), pixels
    )
    work, out = torch.empty_like(pixels), torch.empty_like(pixels)
    torch.testing.assert_close(hilbert(pixels, work, out), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_mirror_conjugates_the_spectrum(size: tuple[int, int]) -> None:
    pixels = torch.randn(1, *size, 3, dtype=torch.float64)
    spectrum = torch.fft.fft2(pixels, dim=(1, 2))
    mirrored = torch.fft.fft2(mirror(pixels, torch.empty_like(pixels)), dim=(1, 2))
    torch.testing.assert_close(mirrored, spectrum.conj(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("block", [SpatialFourierResidualBlock, SpatialFourierResidualGroup])
def test_blocks_are_residual_and_learn(block: type[torch.nn.Module]) -> None:
    module = block(4)
    features = torch.randn(2, 4, 9, 12)
    module(features).square().mean().backward()
    assert_gradients_reach_all(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    torch.testing.assert_close(module(features), features)


def test_layer_without_bias_is_refused() -> None:
    layer = SpatialFourierLayer(2)
    layer.local.bias = None
    with pytest.raises(ValueError, match="need their biases"):
        layer(torch.zeros(1, 2, 8, 8))


# torch's own checks look at tensors that are no leaves, and silence this outside pytest
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_operator_is_registered_as_torch_asks(generator: torch.Generator) -> None:
    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, requires_grad=True)

    inputs = (random(2, 3, 6, 8), random(3, 3, 3, 3), random(3), random(3, 3, 3), random(2, 3))
    torch.library.opcheck(spatial_fourier, inputs)


def test_layer_under_autocast_is_close_and_keeps_float32_gradients() -> None:
    layer = SpatialFourierLayer(8)
    features = torch.randn(1, 8, 12, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(features)
    assert output.dtype is torch.bfloat16
    torch.testing.assert_close(output.float(), layer(features), rtol=0.05, atol=0.05)
    output.float().square().mean().backward()
    assert_gradients_reach_all(layer)
    assert {p.grad.dtype for p in layer.parameters() if p.grad is not None} == {torch.float32}
