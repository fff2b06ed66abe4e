r"""The real FFT over height and width as a linear map of real tensors, and its inverse.

The half spectrum of an image of width w has w // 2 + 1 columns. Its real parts stand in front of
its imaginary parts, so that a convolution of the spectrum is one of real channels.

torch differentiates a real FFT by way of a complex one of the full size. Half the work is enough:
with D = 1 for the columns that are their own mirror image (the first, and the last of an even
width) and D = 2 for the others, the inner product of two images is that of their half spectra
weighted by D, so that the transposed maps are

    rfft2^T(z) = irfft2(z / D)        irfft2^T(f) = D rfft2(f)
"""

from __future__ import annotations

from typing import Any

import torch


def rfft2(features: torch.Tensor) -> torch.Tensor:
    """Orthonormal real FFT over the last two axes, differentiable any number of times.

    Args:
        features: (batch, chans, height, width), float32 or float64.

    Returns:
        (batch, 2 * chans, height, width // 2 + 1), real parts of all channels first.
    """
    if torch.compiler.is_compiling():  # the compiler takes no function with a jvp of its own
        return _forward(features)
    spectrum: torch.Tensor = _Rfft2.apply(features)
    return spectrum


def irfft2(spectrum: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Inverse of `rfft2`; imaginary parts that no real image has are ignored, as torch does.

    Args:
        spectrum: (batch, 2 * chans, height, width // 2 + 1), real parts of all channels first.
        size: Height and width of the image.

    Returns:
        (batch, chans, height, width).
    """
    if torch.compiler.is_compiling():
        return _inverse(spectrum, size)
    features: torch.Tensor = _Irfft2.apply(spectrum, size)
    return features


def irfft2_transposed(features: torch.Tensor) -> torch.Tensor:
    """Transpose of `irfft2`: gradients of an image to gradients of the half spectrum.

    Args:
        features: (batch, chans, height, width).

    Returns:
        As of `rfft2`.
    """
    return rfft2(features) * _multiplicity(features.shape[-1], features)


def _forward(features: torch.Tensor) -> torch.Tensor:
    spectrum = torch.fft.rfft2(features, norm="ortho")
    return torch.cat([spectrum.real, spectrum.imag], dim=1)


def _inverse(spectrum: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    real, imaginary = spectrum.chunk(2, dim=1)
    return torch.fft.irfft2(torch.complex(real, imaginary), s=size, norm="ortho")


def _multiplicity(width: int, like: torch.Tensor) -> torch.Tensor:
    """D: how many columns of the full spectrum each column of the half spectrum stands for."""
    columns = like.new_full((width // 2 + 1,), 2.0)
    columns[0] = 1
    if width % 2 == 0:
        columns[-1] = 1
    return columns


class _Rfft2(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(features: torch.Tensor) -> torch.Tensor:
        return _forward(features)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.size = tuple(inputs[0].shape[-2:])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return irfft2(gradient / _multiplicity(ctx.size[1], gradient), ctx.size)

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor) -> torch.Tensor:
        return rfft2(tangent)


class _Irfft2(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(spectrum: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return _inverse(spectrum, size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.size = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return irfft2_transposed(gradient), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return irfft2(tangent, ctx.size)
