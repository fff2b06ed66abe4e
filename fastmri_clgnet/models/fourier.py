"""The centred FFTs and the hard data consistency of networks on k-space.

Images and k-space are (..., height, width, 2), real and imaginary part last. A mask is 0 or 1, or
bool, and its shape broadcasts to theirs. The FFTs are fastMRI's: centred and orthonormal, over
height and width. They run in float32 or float64, whatever the precision of the input.
"""

from __future__ import annotations

import fastmri
import torch


def to_image(kspace: torch.Tensor) -> torch.Tensor:
    """Compute the centred orthonormal inverse FFT F^-1 of k-space, in float32 at least."""
    image: torch.Tensor = fastmri.ifft2c(_at_least_float32(kspace))
    return image


def to_kspace(image: torch.Tensor) -> torch.Tensor:
    """Compute the centred orthonormal FFT F of an image, in float32 at least."""
    kspace: torch.Tensor = fastmri.fft2c(_at_least_float32(image))
    return kspace


def _at_least_float32(values: torch.Tensor) -> torch.Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def replace_measured(
    kspace: torch.Tensor, masked_kspace: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Hard data consistency in k-space: replace the measured samples, M y + (1 - M) k.

    Args:
        kspace: The estimate k.
        masked_kspace: y, of the same shape, zero where nothing was measured.
        mask: M.
    """
    return torch.where(mask.bool(), masked_kspace, kspace)


def hard_data_consistency(
    image: torch.Tensor, masked_kspace: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Project an image onto those that agree with the measurement: hard data consistency."""
    return to_image(replace_measured(to_kspace(image), masked_kspace, mask))


def data_gradient(
    image: torch.Tensor, masked_kspace: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Compute the gradient of 1/2 ||A x - y||^2 at the image x, A^H (A x - y) with A = M F."""
    return to_image(mask.to(image.dtype) * to_kspace(image) - masked_kspace)
