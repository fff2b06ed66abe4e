"""PSNR and SSIM of slices and volumes by fastMRI's functions, in the square that it crops to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from fastmri import evaluate
from fastmri.data.transforms import center_crop

MIN_SSIM_SIZE = 7  # of the window of fastMRI's SSIM


def squares(
    target: npt.NDArray[np.floating], image: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Crop images (..., height, width) to squares as wide as the target, as fastMRI does.

    Where they are wider than high, which its evaluation refuses, they stay as they are.
    """
    width = target.shape[-1]
    if target.shape[-2] < width:
        return target, image
    return center_crop(target, (width, width)), center_crop(image, (width, width))


def slice_quality(
    target: npt.NDArray[np.floating], image: npt.NDArray[np.floating], max_value: float
) -> tuple[float, float]:
    """PSNR in dB and SSIM of one slice, (height, width), relative to a largest value.

    A perfect image has infinite PSNR; an image smaller than SSIM's window has NaN in its place.
    """
    return _quality(*squares(target[None], image[None]), max_value)


def volume_quality(
    target: npt.NDArray[np.floating], image: npt.NDArray[np.floating]
) -> tuple[float, float]:
    """PSNR in dB and SSIM of a volume, (slices, height, width), as fastMRI's evaluation has them.

    They are relative to the target's largest value, with the exceptions of `slice_quality`.
    """
    target, image = squares(target, image)
    return _quality(target, image, float(target.max()))


def _quality(
    target: npt.NDArray[np.floating], image: npt.NDArray[np.floating], max_value: float
) -> tuple[float, float]:
    with np.errstate(divide="ignore"):
        psnr = float(evaluate.psnr(target, image, maxval=max_value))
    if min(target.shape[1:]) < MIN_SSIM_SIZE:
        return psnr, float("nan")
    return psnr, float(evaluate.ssim(target, image, maxval=max_value)[0])
