"""Measures of a volume by its reference: fastMRI's, and those that need no other data."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from fastmri.evaluate import METRIC_FUNCS
from scipy.signal import fftconvolve

from fastmri_clgnet.errors import need_package

Images = npt.NDArray[np.floating]
SIZE, SIGMA = 15, 1.5  # of the HFEN's filter


def log_kernel() -> npt.NDArray[np.float64]:
    """The HFEN's rotationally symmetric Laplacian of Gaussian, 15 x 15, sigma 1.5, of sum 0."""
    along = np.arange(SIZE) - SIZE // 2
    squared = along[:, None] ** 2 + along**2
    gauss = np.exp(-squared / (2 * SIGMA**2))
    kernel = gauss / gauss.sum() * (squared - 2 * SIGMA**2) / SIGMA**4
    centred: npt.NDArray[np.float64] = kernel - kernel.mean()
    return centred


def hfen(target: Images, prediction: Images) -> float:
    r"""Compute the high-frequency error norm, :math:`\|LoG(p - t)\|_2 / \|LoG(t)\|_2`.

    The images are continued by reflection at their borders. The norm is over all slices.

    Args:
        target: Reference (slices, height, width).
        prediction: Reconstruction, of the same shape.

    Returns:
        0 for equal images; relative to the reference, so that it has no unit.

    References:
        Ravishankar and Bresler, IEEE TMI 30(5), 2011, which gives the numerator; most later work
        divides by the same norm of the reference.
    """

    def edges(images: Images) -> npt.NDArray[np.float64]:
        border = SIZE // 2
        padded = np.pad(images, ((0, 0), (border, border), (border, border)), mode="symmetric")
        found: npt.NDArray[np.float64] = fftconvolve(
            padded.astype(np.float64), log_kernel()[None], mode="valid", axes=(1, 2)
        )
        return found

    change = np.subtract(prediction, target, dtype=np.float64)
    return float(np.linalg.norm(edges(change)) / np.linalg.norm(edges(target)))


def haarpsi(target: Images, prediction: Images) -> float:
    """Mean of the library piq's HaarPSI over slices with a signal, from 0 to the largest value."""
    return _of_piq("haarpsi", target, prediction)


def gmsd(target: Images, prediction: Images) -> float:
    """Mean of the library piq's GMSD over slices with a signal, from 0 to the largest value."""
    return _of_piq("gmsd", target, prediction)


def _of_piq(name: str, target: Images, prediction: Images) -> float:
    """A measure of piq (extra: metrics), which refuses values out of the range: they are cut.

    Slices whose reference is empty are left out: two empty images have no finite HaarPSI. It is NaN
    if there are no others.
    """
    maximum, some = float(target.max()), target.any(axis=(1, 2))
    if not some.any():
        return math.nan
    pair = (
        torch.from_numpy(np.clip(images[some], 0, maximum, dtype=np.float32))[:, None]
        for images in (prediction, target)
    )
    function = getattr(need_package("piq", "metrics", "HaarPSI and GMSD need"), name)
    return float(function(*pair, data_range=maximum))


# by the name of their values; largest values are those of the given target
MEASURES: dict[str, Callable[[Images, Images], float]] = {
    **METRIC_FUNCS,
    "HaarPSI": haarpsi,
    "GMSD": gmsd,
    "HFEN": hfen,
}
