"""The spatial-Fourier layer against its equations evaluated plainly; derivatives; precisions."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fastmri_clgnet.benchmarks.plain import PlainSpatialFourierLayer
from fastmri_clgnet.models import (
    SPECTRA,
    SpatialFourierLayer,
    SpatialFourierResidualBlock,
    SpatialFourierResidualGroup,
    Spectrum,
)
from fastmri_clgnet.models.spatial_fourier import fused_together
from tests.helpers import assert_batch_equals_single, assert_gradients_reach_all

every_spectrum = pytest.mark.parametrize("spectrum", SPECTRA)
# torch compiles its own forward-mode rules with torch.jit, which it deprecates
of_torch = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")


def make_layer(chans: int, spectrum: Spectrum) -> SpatialFourierLayer:
    torch.manual_seed(0)
    return SpatialFourierLayer(chans, spectrum).double()


@every_spectrum
@pytest.mark.parametrize("size", [(16, 16), (17, 22), (24, 31), (33, 35)])
def test_equals_its_formula(
    spectrum: Spectrum, size: tuple[int, int], generator: torch.Generator
) -> None:
    """Values and gradients of input and parameters, float64, to 1e-10."""
    layer, plain = make_layer(5, spectrum), PlainSpatialFourierLayer(5, spectrum).double()
    plain.load_state_dict(layer.state_dict())
    shape = (2, 5, *size)
    features = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.randn(shape, dtype=torch.float64, generator=generator)
    output, expected = layer(features), plain(features)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-10)
    gradients = torch.autograd.grad((output * weights).sum(), [features, *layer.parameters()])
    references = torch.autograd.grad((expected * weights).sum(), [features, *plain.parameters()])
    torch.testing.assert_close(gradients, references, rtol=0, atol=1e-10)


@every_spectrum
@of_torch
@pytest.mark.parametrize("size", [(3, 4), (4, 5)])
def test_derivatives_of_any_kind(
    spectrum: Spectrum, size: tuple[int, int], generator: torch.Generator
) -> None:
    layer = make_layer(2, spectrum)
    names = [name for name, _ in layer.named_parameters()]

    def function(features: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        values = dict(zip(names, parameters, strict=True))
        output: torch.Tensor = torch.func.functional_call(layer, values, (features,))
        return output

    shape = (2, 2, *size)
    features = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    arguments = (features, *layer.parameters())
    assert torch.autograd.gradcheck(
        function, arguments, check_forward_ad=True, check_batched_grad=True
    )
    assert torch.autograd.gradgradcheck(function, arguments, fast_mode=True)


@every_spectrum
def test_second_derivatives_equal_those_of_the_formula(
    spectrum: Spectrum, generator: torch.Generator
) -> None:
    """For a gradient penalty, as in adversarial training; float64, to 1e-10."""
    layer, plain = make_layer(3, spectrum), PlainSpatialFourierLayer(3, spectrum).double()
    plain.load_state_dict(layer.state_dict())
    features = torch.randn(
        (2, 3, 7, 10), dtype=torch.float64, generator=generator, requires_grad=True
    )
    results = []
    for each in (layer, plain):
        value = each(features).pow(3).sum()
        (gradient,) = torch.autograd.grad(value, features, create_graph=True)
        penalised = [p for name, p in each.named_parameters() if "bias" not in name]
        results.append(torch.autograd.grad(gradient.square().sum(), penalised))
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)


def test_weights_fused_together_are_those_fused_one_by_one() -> None:
    block = SpatialFourierResidualBlock(3).double()
    features = torch.randn(1, 3, 8, 9, dtype=torch.float64)
    expected = block(features)
    gradients = torch.autograd.grad(expected.square().sum(), list(block.parameters()))
    with fused_together(block):
        output = block(features)
    torch.testing.assert_close(output, expected)
    together = torch.autograd.grad(output.square().sum(), list(block.parameters()))
    torch.testing.assert_close(together, gradients)


@every_spectrum
@of_torch
def test_function_transforms_agree_with_autograd(
    spectrum: Spectrum, generator: torch.Generator
) -> None:
    layer = make_layer(3, spectrum)
    parameters: dict[str, torch.Tensor] = dict(layer.named_parameters())
    shape = (4, 2, 3, 7, 6)
    batches = torch.randn(shape, dtype=torch.float64, generator=generator)

    def loss(values: dict[str, torch.Tensor], features: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = torch.func.functional_call(layer, values, (features,))
        return output.square().sum()

    outputs = torch.stack([layer(each) for each in batches])
    torch.testing.assert_close(torch.func.vmap(layer)(batches), outputs)
    each_gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, batches)
    for index, features in enumerate(batches):
        expected = torch.autograd.grad(loss(parameters, features), list(parameters.values()))
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(each_gradient[name][index], gradient, atol=1e-9, rtol=1e-9)
    direction = torch.randn(shape[1:], dtype=torch.float64, generator=generator)
    tangent = torch.func.jvp(layer, (batches[0],), (direction,))[1]
    step = 1e-6
    difference = layer(batches[0] + step * direction) - layer(batches[0] - step * direction)
    torch.testing.assert_close(tangent, difference / (2 * step), rtol=0, atol=1e-7)


def seen_by_one_output_pixel(module: torch.nn.Module) -> torch.Tensor:
    """Return the pixels of an 18 x 17 image with a gradient from the output's pixel (5, 6)."""
    module = module.double()
    features = torch.randn(1, 4, 18, 17, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(features)[0, 0, 5, 6], features)
    return gradient.abs().amax(dim=1)[0] > 1e-12


def test_what_one_output_pixel_sees() -> None:
    """With a non-linearity in the spectrum, every input pixel."""
    assert seen_by_one_output_pixel(SpatialFourierLayer(4, "relu")).all()
    # an impulse at the origin adds a constant to the spectrum: normalisation removes it
    seen = seen_by_one_output_pixel(SpatialFourierLayer(4))
    assert seen.flatten()[1:].all()
    assert not seen[0, 0]
    assert seen_by_one_output_pixel(SpatialFourierResidualBlock(4)).all()
    # without a non-linearity: its neighbourhood, its row, its mirrored row
    seen = seen_by_one_output_pixel(SpatialFourierLayer(4, "linear"))
    assert seen[[5, 18 - 5]].all()
    assert seen.double().mean() < 0.2


@every_spectrum
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_without_structure_are_finite(
    spectrum: Spectrum, value: float, dtype: torch.dtype
) -> None:
    layer = make_layer(3, spectrum).to(dtype)
    features = torch.full((2, 3, 16, 18), value, dtype=dtype, requires_grad=True)
    output = layer(features)
    output.square().sum().backward()
    assert torch.isfinite(output).all()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@every_spectrum
def test_batch_equals_one_by_one(spectrum: Spectrum, generator: torch.Generator) -> None:
    features = torch.randn(3, 4, 17, 20, dtype=torch.float64, generator=generator)
    assert_batch_equals_single(make_layer(4, spectrum), features)


@every_spectrum
def test_autocast_leaves_the_spectrum_in_float32(spectrum: Spectrum) -> None:
    torch.manual_seed(0)
    layer = SpatialFourierLayer(8, spectrum)
    # with a mean of 100 the rest would be lost in bfloat16's 8 bits
    features = 100 + torch.randn(1, 8, 24, 20)
    dtypes = set()
    for parameter in layer.parameters():
        parameter.register_hook(lambda gradient: dtypes.add(gradient.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(features)
    reference = layer(features)
    assert output.dtype is torch.bfloat16
    assert (output.float() - reference).norm() < 0.02 * reference.norm()
    output.float().square().mean().backward()
    assert_gradients_reach_all(layer)
    assert dtypes == {torch.float32}


def test_flop_counter_sees_every_convolution() -> None:
    """2 operations per multiply-add: 3x3 kernel, product in the spectrum, its fusion, weights."""
    chans, height, width = 6, 16, 18
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        SpatialFourierLayer(chans)(torch.zeros(1, chans, height, width))
    local = 2 * height * width * 9 * chans**2
    spectral = 2 * height * (width // 2 + 1) * (2 * chans) ** 2
    fuse = 2 * height * width * chans**2
    weights = 2 * 9 * chans**3 + 2 * chans**2
    counted = counter.get_total_flops()
    assert local + spectral + fuse <= counted <= local + spectral + fuse + weights


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


def test_errors() -> None:
    with pytest.raises(ValueError, match="spectrum='fourier': expected one of norm_relu, relu"):
        SpatialFourierLayer(2, "fourier")  # type: ignore[arg-type]
    layer = SpatialFourierLayer(2)
    layer.local.bias = None
    with pytest.raises(ValueError, match="need their biases"):
        layer(torch.zeros(1, 2, 8, 8))
