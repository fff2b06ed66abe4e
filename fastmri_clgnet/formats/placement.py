"""Where slices lie in the patient: their order, and from the image's pixels to millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Placement(NamedTuple):
    """Where a slice lies, by its scanner: patient coordinates (3,), left, posterior, superior."""

    position: npt.NDArray[np.float64]  # the middle of the slice, in millimetres
    read: npt.NDArray[np.float64]  # of length 1, as the others: direction of the rows' index
    phase: npt.NDArray[np.float64]  # of the columns' index
    normal: npt.NDArray[np.float64]


def slice_order(placements: Sequence[Placement | None]) -> list[int]:
    """The slices in the order in which they lie; as they are where that is not known."""
    as_they_are = list(range(len(placements)))
    known = [one for one in placements if one is not None]
    if len(known) < len(placements) or not known:
        return as_they_are
    along = np.array([one.position @ known[0].normal for one in known])
    steps = np.diff(along)
    if (np.abs(np.diff(np.sort(along))) < 1e-3).any() or (steps > 0).all() or (steps < 0).all():
        return as_they_are
    return np.argsort(along, kind="stable").tolist()


def image_affine(
    placements: Sequence[Placement | None],
    kspace_size: tuple[int, int],
    recon_size: tuple[int, int],
    pixel_mm: tuple[float, float],
    thickness_mm: float,
) -> npt.NDArray[np.float64] | None:
    """From the image's (row, column, slice, 1) to right, anterior, superior; None if unknown."""
    known = [one for one in placements if one is not None]
    if len(known) < len(placements) or not known:
        return None
    first, last = known[0], known[-1]
    if not all(abs(np.linalg.norm(vector) - 1) <= 1e-3 for vector in first[1:]):  # or NaN
        return None
    step = first.normal * thickness_mm
    if len(known) > 1:
        step = (last.position - first.position) / (len(known) - 1)
        if not np.linalg.norm(step) >= 1e-3:
            return None
    # the middle of the slice is the pixel of the Fourier transform's origin
    origin = [n // 2 - (n - size) // 2 for n, size in zip(kspace_size, recon_size, strict=True)]
    down, across = first.read * pixel_mm[0], first.phase * pixel_mm[1]
    corner = first.position - down * origin[0] - across * origin[1]
    affine = np.eye(4)
    affine[:3] = np.stack([down, across, step, corner], axis=1)
    affine[:2] *= -1  # left, posterior to right, anterior
    return affine if np.isfinite(affine).all() else None
