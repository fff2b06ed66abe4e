"""What is wrong in one file of fastMRI's format, its values included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.findings import Finding
from fastmri_clgnet.errors import failure, words
from fastmri_clgnet.formats.fastmri import SPLITS
from fastmri_clgnet.formats.fastmri_reading import (
    VolumeInfo,
    inspect_volume,
    is_undersampled,
    read_slices,
)
from fastmri_clgnet.formats.fourier import reference_image
from fastmri_clgnet.formats.hdf5 import plain
from fastmri_clgnet.formats.isolate import read_files
from fastmri_clgnet.formats.orientation import inspect_axes

TARGET_TOLERANCE = 0.01  # squared error of a slice's target, relative to its image's energy


def check_file(path: Path) -> Finding:
    """Check a file of a split's folder; one whose structure is wrong is not read further."""
    try:
        return next(read_files([path], _check_open))
    except Exception as error:
        return Finding(path, (), (), [failure(path, error).removeprefix(f"{path}: ")], [])


def _check_open(file: h5py.File, path: Path) -> Finding:
    challenge, split = path.parent.name.split("_")
    masked = SPLITS[split] or is_undersampled(file, path, challenge)
    info = inspect_volume(file, path, challenge, masked)
    errors = [*_header_problems(info), *_value_problems(file, info, challenge, masked)]
    remarks = [*_remarks(file, info)]
    if masked and not SPLITS[split]:
        remarks.append("undersampled: train_clgnet takes it with --loss ssdu only")
    return Finding(path, info.kspace_shape, info.image_size, errors, remarks)


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
    height, width = asked = info.target_size or info.header.recon
    if info.header.recon != asked:
        yield (
            f"header: image of {info.header.recon[0]} x {info.header.recon[1]}, but the target has "
            f"{height} x {width}"
        )
    if info.image_size != asked:
        yield (
            f"image of {height} x {width}, but k-space of {info.kspace_shape[-1]} columns: fastMRI "
            f"crops images to {info.image_size[0]} x {info.image_size[1]}, and its evaluation "
            "cannot compare them with targets that are wider"
        )
    elif height < width:
        yield (
            f"image of {height} x {width}, wider than high: fastmri.evaluate cuts images to "
            "squares of their width, and refuses this one; make images no wider than high"
        )
    if "acquisition" not in file.attrs:
        yield "no attribute 'acquisition', which fastmri.evaluate --acquisition asks for"


def _value_problems(
    file: h5py.File, info: VolumeInfo, challenge: str, masked: bool
) -> Iterator[str]:
    """Read slice by slice, and say what is wrong with k-space, mask and target."""
    columns = info.kspace_shape[-1]
    first, end = info.header.acquired
    outside = np.ones(columns, bool)
    outside[max(first, 0) : max(end, 0)] = False
    unsampled = np.zeros(columns, bool) if info.mask is None else ~info.mask

    slices = defaultdict[str, list[int]](list)  # problem: slices that have it
    seen = np.zeros(info.kspace_shape[1:], np.complex64)  # the first slice with a signal
    largest, mismatch = -np.inf, 0.0
    for i, values, reference in read_slices(file, challenge):
        if not np.isfinite(values).all():
            slices["k-space: NaN or Inf"].append(i)
            continue
        if not values.any():
            slices["k-space: zero everywhere"].append(i)
        elif not seen.any():
            seen = values
        if values[..., outside].any():
            slices["k-space: signal outside the header's acquired columns"].append(i)
        if values[..., unsampled].any():
            slices["k-space: signal outside the mask"].append(i)
        if reference is None:
            continue
        if not np.isfinite(reference).all():
            slices["target: NaN or Inf"].append(i)
            continue
        largest = max(largest, float(reference.max()))
        if not masked:
            error = _target_error(values, reference)
            if error > TARGET_TOLERANCE:
                slices["target: does not match the k-space"].append(i)
                mismatch = max(mismatch, error)
    for problem, found in slices.items():
        detail = f", NMSE up to {mismatch:.3g}" if problem.startswith("target: does") else ""
        shown = words(sorted(found)[:8]) + (" ..." if len(found) > 8 else "")
        yield f"{problem} (slices {shown}{detail})"
    if (wrong := inspect_axes(seen, info.header)) is not None:
        yield wrong
    maximum = plain(file.attrs.get("max", largest))
    if np.isfinite(largest) and not np.isclose(maximum, largest, rtol=1e-3, atol=0):
        yield f"attribute max: {maximum:g}, but the largest value of the target is {largest:g}"


def _target_error(values: npt.NDArray[np.complex64], reference: npt.NDArray) -> float:
    """Squared error of a target against the image of its k-space, relative to that image."""
    rows = min(reference.shape[0], values.shape[-2])
    columns = min(reference.shape[1], values.shape[-1])
    top, left = (reference.shape[0] - rows) // 2, (reference.shape[1] - columns) // 2
    reference = reference[top : top + rows, left : left + columns].astype(np.float64)
    image = reference_image(values, (rows, columns)).astype(np.float64)
    energy = float((image**2).sum())
    difference = float(((image - reference) ** 2).sum())
    return difference / energy if energy > 0 else float(difference > 0)
