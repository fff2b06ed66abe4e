r"""The real FFT over height and width as a linear map of real tensors, its inverse, and transposes.

The half spectrum of an image of width w has w // 2 + 1 columns. Its real parts come before its
imaginary parts, so that a convolution of the spectrum acts on real channels. The channel axis comes
before the batch axis, so that the convolution is one matrix product for any batch.

torch differentiates a real FFT with a complex one of the full size. Half the work is enough. Let D
= 1 for the columns that are their own mirror image (the first, and the last of an even width) and D
= 2 for the others. The inner product of two images is that of their half spectra weighted by D, so
the transposed maps are

    rfft2^T(z) = irfft2(z / D)        irfft2^T(f) = D rfft2(f)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def rfft2(features: torch.Tensor) -> torch.Tensor:
    """Orthonormal real FFT over the last two axes.

    Args:
        features: (chans, batch, height, width), float32 or float64.

    Returns:
        (2 * chans, batch, height, width // 2 + 1), real parts of all channels first.
    """
    spectrum = torch.fft.rfft2(features, norm="ortho")
    return torch.view_as_real(spectrum).movedim(-1, 0).reshape(-1, *spectrum.shape[1:])


def irfft2(half: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Inverse of `rfft2`; imaginary parts that no real image has are ignored, on all devices.

    torch's own does so on the CPU. On a GPU it is cuFFT's transform of two axes, which takes the
    columns that are their own mirror images as Hermitian. What a network makes is not, and the
    image would be another one.

    Args:
        half: (2 * chans, batch, height, width // 2 + 1), real parts of all channels first.
        size: Height and width of the image.

    Returns:
        (chans, batch, height, width).
    """
    real, imaginary = half.chunk(2)
    spectrum = torch.complex(real, imaginary)
    if half.device.type == "cpu":
        return torch.fft.irfft2(spectrum, s=size, norm="ortho")
    return irfft2_by_axes(spectrum, size)


def irfft2_by_axes(spectrum: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """What torch.fft.irfft2 computes on the CPU, one axis after the other.

    Args:
        spectrum: (..., height, width // 2 + 1), complex.
        size: Height and width of the image.

    Returns:
        (..., height, width).
    """
    rows = torch.fft.ifft(spectrum, dim=-2, norm="ortho")
    inner = _inner_columns(rows.imag, size[1])  # of the others no real image has imaginary parts
    imaginary = F.pad(inner, (1, rows.shape[-1] - inner.shape[-1] - 1))
    return torch.fft.irfft(torch.complex(rows.real, imaginary), n=size[1], norm="ortho")


def rfft2_transposed(half: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Transpose of `rfft2`: maps gradients of a half spectrum (changed in place) to an image's.

    Args:
        half: As `irfft2` takes it.
        size: Height and width of the image.

    Returns:
        (chans, batch, height, width).
    """
    _inner_columns(half, size[1]).mul_(0.5)
    return irfft2(half, size)


def irfft2_transposed(features: torch.Tensor) -> torch.Tensor:
    """Transpose of `irfft2`: maps gradients of an image to those of the half spectrum.

    Args:
        features: (chans, batch, height, width).

    Returns:
        As `rfft2` does.
    """
    half = rfft2(features)
    _inner_columns(half, features.shape[-1]).mul_(2)
    return half


def _inner_columns(half: torch.Tensor, width: int) -> torch.Tensor:
    """View the columns that represent two columns of the full spectrum."""
    return half[..., 1 : (width + 1) // 2]
