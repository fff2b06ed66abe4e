"""Reads a whole volume, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.apart import Apart
from fastmri_clgnet.data.volumes import VolumeInfo, inspect_volume, read_slices
from fastmri_clgnet.data.hdf5 import open_hdf5
from fastmri_clgnet.data.fastmri_file import reference_image
from fastmri_clgnet.errors import InputError, words

CENTER_TOLERANCE = 1 / 16  # of rows and columns, that the peak of k-space may be off the middle
TARGET_TOLERANCE = 0.01  # squared error of a slice's target, relative to its image's energy


class Job(NamedTuple):
    """A file to check.

    Args:
        path: The file.
        challenge: "singlecoil" or "multicoil".
        masked: Whether it is an undersampled test volume.
    """

    path: Path
    challenge: str
    masked: bool


class Finding(NamedTuple):
    """What was found in a file.

    Args:
        path: The file.
        kspace_shape: (slices, [coils,] rows, columns), empty if it cannot be read.
        image_size: Height and width, empty if it cannot be read.
        errors: What is wrong.
        warnings: What is worth knowing.
    """

    path: Path
    kspace_shape: tuple[int, ...]
    image_size: tuple[int, ...]
    errors: list[str]
    warnings: list[str]


def check_volume(job: Job) -> Finding:
    """Check one file: all that the host's data set and transforms will ask of it, and its values.

    Args:
        job: Which.

    Returns:
        What was found; a file whose structure is wrong is not read further.
    """
    try:
        return _look_apart(job, job.path)
    except InputError as error:
        return Finding(job.path, (), (), [str(error).removeprefix(f"{job.path}: ")], [])


def _look(job: Job) -> Finding:
    """Open and read the file."""
    path = job.path
    with open_hdf5(path) as file:
        info = inspect_volume(file, path, job.challenge, job.masked)
        warnings = list(_remarks(file, info))
        errors = [*_header_problems(info), *_value_problems(file, info, job)]
    return Finding(path, info.kspace_shape, info.image_size, errors, warnings)


_look_apart = Apart(_look)  # of this process, for all files that it checks


def _header_problems(info: VolumeInfo) -> Iterator[str]:
    rows, columns = info.kspace_shape[-2:]
    header = info.header
    if header.encoded != (rows, columns):
        yield (
            f"header: encoded matrix of {header.encoded[0]} x {header.encoded[1]}, but the k-space "
            f"has {rows} rows and {columns} columns"
        )
    first, end = header.acquired
    if end > columns:
        yield f"header: acquired columns {first} to {end} of {columns} (padding of masks)"


def _remarks(file: h5py.File, info: VolumeInfo) -> Iterator[str]:
    if info.header.recon != info.image_size:
        yield (
            f"header: image of {info.header.recon[0]} x {info.header.recon[1]}, but the target has "
            f"{info.image_size[0]} x {info.image_size[1]}"
        )
    height, width = info.image_size
    if height < width:
        yield (
            f"image of {height} x {width}, wider than high: fastmri.evaluate cuts images to "
            "squares of their width, and refuses this one; make images no wider than high"
        )
    if "acquisition" not in file.attrs:
        yield "no attribute 'acquisition', which fastmri.evaluate --acquisition asks for"


def _value_problems(file: h5py.File, info: VolumeInfo, job: Job) -> Iterator[str]:
    """Read slice by slice, and say what is wrong with k-space, mask and target."""
    columns = info.kspace_shape[-1]
    first, end = info.header.acquired
    outside = np.ones(columns, bool)
    outside[max(first, 0) : max(end, 0)] = False
    unsampled = np.zeros(columns, bool)
    if job.masked:
        unsampled = file["mask"][()] == 0

    slices: dict[str, list[int]] = {}  # problem: slices that have it
    energy = np.zeros(info.kspace_shape[-2:])
    largest, mismatch = -np.inf, 0.0
    for i, values, reference in read_slices(file, job.challenge):
        if not np.isfinite(values).all():
            slices.setdefault("k-space: NaN or Inf", []).append(i)
            continue
        if not values.any():
            slices.setdefault("k-space: zero everywhere", []).append(i)
        energy += (np.abs(values.astype(np.complex128)) ** 2).reshape(-1, *energy.shape).sum(axis=0)
        if values[..., outside].any():
            text = "k-space: signal outside the header's acquired columns"
            slices.setdefault(text, []).append(i)
        if values[..., unsampled].any():
            slices.setdefault("k-space: signal outside the mask", []).append(i)
        if reference is None:
            continue
        if not np.isfinite(reference).all():
            slices.setdefault("target: NaN or Inf", []).append(i)
            continue
        largest = max(largest, float(reference.max()))
        if not job.masked:
            error = _target_error(values, reference)
            if error > TARGET_TOLERANCE:
                slices.setdefault("target: does not match the k-space", []).append(i)
                mismatch = max(mismatch, error)
    for problem, found in slices.items():
        detail = f", NMSE up to {mismatch:.3g}" if problem.startswith("target: does") else ""
        shown = words(sorted(found)[:8]) + (" ..." if len(found) > 8 else "")
        yield f"{problem} (slices {shown}{detail})"
    yield from _center_problem(energy)
    maximum = file.attrs.get("max")
    if maximum is None or not np.isfinite(largest):
        return
    if not np.isclose(maximum, largest, rtol=1e-3):
        yield f"attribute max: {maximum:g}, but the largest value of the target is {largest:g}"


def _target_error(values: npt.NDArray[np.complex64], reference: npt.NDArray) -> float:
    """Squared error of a target against the image of its k-space, relative to that image.

    Both are cut to what they share, as the host does with volumes of too few rows.
    """
    size = (
        min(reference.shape[0], values.shape[-2]),
        min(reference.shape[1], values.shape[-1]),
    )
    top, left = (reference.shape[0] - size[0]) // 2, (reference.shape[1] - size[1]) // 2
    reference = reference[top : top + size[0], left : left + size[1]].astype(np.float64)
    image = reference_image(values, size).astype(np.float64)
    energy = float((image**2).sum())
    difference = float(((image - reference) ** 2).sum())
    return difference / energy if energy > 0 else float(difference > 0)


def _center_problem(energy: npt.NDArray[np.float64]) -> Iterator[str]:
    """Say where the largest energy is, if that is far from the middle."""
    if not energy.any():
        return
    peak = np.unravel_index(np.argmax(energy), energy.shape)
    for p, n in zip(peak, energy.shape, strict=True):
        if abs(p - n // 2) > max(2, CENTER_TOLERANCE * n):
            rows, columns = energy.shape
            yield (
                f"k-space: its largest values are at row {peak[0]}, column {peak[1]}, not in the "
                f"middle ({rows // 2}, {columns // 2}); it is to be centred, np.fft.fftshift"
            )
            return
