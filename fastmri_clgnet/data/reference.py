"""The reference image of fully sampled k-space, by the host's transforms in double precision."""

from __future__ import annotations

import fastmri
import numpy as np
import numpy.typing as npt
import torch
from fastmri.data.transforms import complex_center_crop, to_tensor


def reference_image(
    kspace: npt.NDArray[np.complex64], size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Magnitude (single-coil) or root sum of squares (multicoil) of the inverse FFT, cropped.

    Args:
        kspace: Centred k-space of one slice, ([coils,] rows, columns).
        size: Height and width of the central part to keep.

    Returns:
        (height, width) float32, in the units of the image that `fastmri.ifft2c` makes.
    """
    image = fastmri.ifft2c(to_tensor(kspace.astype(np.complex128)))
    magnitude = fastmri.complex_abs(complex_center_crop(image, size))
    if kspace.ndim == 3:
        magnitude = fastmri.rss(magnitude)
    reference: npt.NDArray[np.float32] = magnitude.to(torch.float32).numpy()
    return reference
