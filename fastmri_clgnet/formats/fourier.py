"""The host's centred FFT of NumPy arrays, in float64, by torch."""

from __future__ import annotations

import fastmri
import numpy as np
import numpy.typing as npt
import torch
from fastmri.data.transforms import complex_center_crop, tensor_to_complex_np, to_tensor


def reference_image(
    kspace: npt.NDArray[np.complex64], size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Magnitude or root sum of squares of a slice's k-space, cropped: the host's, in float64.

    Args:
        kspace: Centred k-space of one slice, ([coils,] rows, columns).
        size: Height and width of the image, within rows and columns.

    Returns:
        The image (height, width) float32, in the units of `fastmri.ifft2c`.
    """
    image = fastmri.ifft2c(to_tensor(kspace.astype(np.complex128)))
    magnitude = fastmri.complex_abs(complex_center_crop(image, size))
    if kspace.ndim == 3:
        magnitude = fastmri.rss(magnitude)
    return magnitude.to(torch.float32).numpy()


def coil_images(
    kspace: npt.NDArray[np.complex64], size: tuple[int, int] | None = None
) -> npt.NDArray[np.complex128]:
    """Complex images of a slice's k-space ([coils,] rows, columns), cropped as the image is."""
    image = fastmri.ifft2c(to_tensor(kspace.astype(np.complex128)))
    cropped = complex_center_crop(image, size or kspace.shape[-2:])
    images: npt.NDArray[np.complex128] = tensor_to_complex_np(cropped)
    return images


def kspace_of(image: npt.NDArray[np.complexfloating]) -> npt.NDArray[np.complex128]:
    """Centred k-space (..., rows, columns) complex128 of a complex image."""
    transformed = fastmri.fft2c(to_tensor(image.astype(np.complex128, copy=False)))
    kspace: npt.NDArray[np.complex128] = tensor_to_complex_np(transformed)
    return kspace
