"""Counts a network's operations as the CLGNet paper does."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torchvision.models.swin_transformer import ShiftedWindowAttention

from fastmri_clgnet.benchmarks.measure import example_inputs
from fastmri_clgnet.models import SpatialFourierLayer
from fastmri_clgnet.models.comparison.octconv import ComplexConv2d


def _convolution(module: nn.Conv2d | nn.ConvTranspose2d, height: int, width: int) -> int:
    """Count multiply-adds and bias of a convolution evaluated at height x width positions."""
    taps = math.prod(module.kernel_size) * module.in_channels // module.groups
    return height * width * module.out_channels * (taps + (module.bias is not None))


def _count_convolution(
    module: nn.Conv2d | nn.ConvTranspose2d, image: torch.Tensor, output: torch.Tensor
) -> int:
    return output.shape[0] * _convolution(module, *output.shape[-2:])


def _count_pixels(module: nn.Module, image: torch.Tensor, output: torch.Tensor) -> int:
    """Count one operation per input value, two if affine."""
    return image.numel() * (2 if getattr(module, "affine", False) else 1)


def _count_spatial_fourier(
    module: SpatialFourierLayer, image: torch.Tensor, output: torch.Tensor
) -> int:
    """Count the three convolutions as in eq. 6 to 8: the spectral one on w // 2 + 1 columns."""
    height, width = output.shape[-2:]
    return output.shape[0] * (
        _convolution(module.local, height, width)
        + _convolution(module.spectral, height, width // 2 + 1)
        + _convolution(module.fuse, height, width)
    )


def _count_linear(module: nn.Linear, image: torch.Tensor, output: torch.Tensor) -> int:
    return output.numel() * (module.in_features + (module.bias is not None))


def _count_window_attention(
    module: ShiftedWindowAttention, image: torch.Tensor, output: torch.Tensor
) -> int:
    """Count the four linear maps of torchvision's window attention, which are no modules."""
    chans = output.shape[-1]
    return 4 * output.numel() * (chans + 1)


def _count_complex(module: ComplexConv2d, image: torch.Tensor, output: torch.Tensor) -> int:
    """Count four real convolutions and one bias per output."""
    real, imaginary = module.weight
    taps = 2 * (real[0].numel() + imaginary[0].numel())
    positions = output.numel() // output.shape[1]
    return positions * (module.out_chans * taps + (0 if module.bias is None else output.shape[1]))


_RULES: dict[type[nn.Module], Callable[[Any, torch.Tensor, torch.Tensor], int]] = {
    nn.Conv2d: _count_convolution,
    nn.ConvTranspose2d: _count_convolution,
    **dict.fromkeys(
        (
            nn.ReLU,
            nn.LeakyReLU,
            nn.BatchNorm2d,
            nn.InstanceNorm2d,
            nn.AvgPool2d,
            nn.MaxPool2d,
            nn.AdaptiveAvgPool2d,
        ),
        _count_pixels,
    ),
    nn.Linear: _count_linear,
    ShiftedWindowAttention: _count_window_attention,
    SpatialFourierLayer: _count_spatial_fourier,
    ComplexConv2d: _count_complex,
}


def count_macs(model: nn.Module, size: tuple[int, int]) -> int:
    """Count operations of a forward pass on one single-channel image, as the CLGNet paper does.

    A convolution counts its multiply-adds and bias, a transposed one per output position. A
    rectifier module counts one per output element, batch and instance normalisation one per element
    and two when affine, pooling one per input element, a linear layer its multiply-adds and bias.
    Fourier transforms and products of two tensors that are not parameters count
    nothing. A spatial-Fourier layer counts its three convolutions as the paper writes them, however
    it is evaluated. The count is for comparison with the paper's tables and does not predict time.

    Args:
        model: Takes (1, 1, height, width), or is a `KspaceNetwork`, and contains only
            two-dimensional layers.
        size: Height and width of the image in pixels.

    Returns:
        The number of operations ("MACs").

    Example:
        >>> from fastmri_clgnet.models.comparison import DCCNN
        >>> f"{count_macs(DCCNN(), (512, 512)) / 1e9:.2f} GMac"
        '148.65 GMac'
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        total += _RULES[type(module)](module, inputs[0], output)

    # only shapes are needed, so no memory or time is spent
    model = copy.deepcopy(model).to("meta").eval()
    for module in model.modules():
        if type(module) in _RULES:
            module.register_forward_hook(count)
    with torch.no_grad():
        model(*example_inputs(model, size, torch.device("meta")))
    return total
