"""How far saved magnitude images are from the measured samples, with the reference's phase."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from fastmri.data.transforms import center_crop

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri_reading import Fastmri
from fastmri_clgnet.formats.fourier import coil_images, kspace_of
from fastmri_clgnet.formats.read_scan import read_scan
from fastmri_clgnet.inference.submission import read_settings


def relative_residuals(
    target_path: Path, prediction_path: Path, images: npt.NDArray[np.float32]
) -> tuple[float, float]:
    r"""Compute :math:`\|M F c_j x / |c| - y_j\|_2 / \|y_j\|_2` of a volume's samples.

    A submission file holds magnitudes x. Their phase, the coils' sensitivities, and what lies
    outside of the cropped image are taken from the images c_j of the fully sampled k-space, and
    |c| is their root sum of squares. y_j are the samples that the mask M left.

    Args:
        target_path: Fully sampled file in fastMRI's format.
        prediction_path: Submission file, which says by which mask the k-space was undersampled.
        images: Its images (slices, height, width).

    Returns:
        That of the whole volume, and the mean of that of each slice, where a slice has samples.

    Raises:
        InputError: If the mask is not known, or the k-space not fully sampled.
    """
    mask = (read_settings(prediction_path) or {}).get("mask")
    if not isinstance(mask, dict):
        raise InputError(
            f"{prediction_path}: does not say by which mask the k-space was undersampled, which "
            "the residual needs; expected a file that reconstruct or train_clgnet made of fully "
            "sampled data, or omit the residual"
        )
    scan = read_scan(target_path, reader=Fastmri())
    rows, columns = scan.kspace.shape[-2:]
    if scan.mask is not None:
        raise InputError(
            f"{target_path}: its k-space is undersampled, but the residual needs the phase of "
            "fully sampled k-space; omit the residual"
        )
    if images.shape[-2] > rows or images.shape[-1] > columns:
        raise InputError(
            f"{prediction_path}: images {images.shape[1:]} do not fit into the k-space of {rows} x "
            f"{columns}, as the residual needs; omit the residual"
        )
    drawn_by = Mask(**mask)
    drawn_by.check([columns])
    sampled = drawn_by.draw(scan.name, columns)[0] & scan.sampled()
    residuals, samples = [], []
    for kspace, image in zip(scan.kspace, images, strict=True):
        coils = coil_images(kspace)
        magnitude = np.sqrt((np.abs(coils) ** 2).reshape(-1, *coils.shape[-2:]).sum(axis=0))
        change = np.zeros_like(magnitude)  # relative to the reference's
        part, known = (center_crop(each, image.shape) for each in (change, magnitude))
        np.divide(image - known, known, out=part, where=known > 0)
        residuals.append(np.linalg.norm(kspace_of(coils * change)[..., sampled]) ** 2)
        samples.append(np.linalg.norm(kspace[..., sampled]) ** 2)
    numerators, denominators = np.array(residuals), np.array(samples)
    some = denominators > 0
    of_slices = np.sqrt(numerators[some] / denominators[some])
    return float(np.sqrt(numerators.sum() / denominators.sum())), float(of_slices.mean())
