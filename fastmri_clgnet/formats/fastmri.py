"""fastMRI's own file format: its names, and writing it. Reading it is in `fastmri_reading`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import atomic_path, check_space
from fastmri_clgnet.formats.header import ismrmrd_header

Challenge = Literal["singlecoil", "multicoil"]
TARGET_KEYS = {"singlecoil": "reconstruction_esc", "multicoil": "reconstruction_rss"}
# of fastMRI's layout, and whether their volumes are undersampled
SPLITS = {"train": False, "val": False, "test": True, "challenge": True}


def split_names(challenges: Iterable[str] = TARGET_KEYS) -> list[str]:
    """The names of the splits' folders in fastMRI's layout, such as singlecoil_val."""
    return [f"{challenge}_{split}" for challenge in challenges for split in SPLITS]


def write_fastmri_file(
    path: Path | str,
    kspace: npt.NDArray[np.complex64],
    target: npt.NDArray[np.floating] | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    *,
    recon_size: tuple[int, int] | None = None,
    acquired: tuple[int, int] | None = None,
    pixel_mm: tuple[float, float] | None = None,
    acquisition: str = "unknown",
    attributes: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write one volume as fastMRI's `SliceDataset` reads it; whole or not at all.

    The same arguments give the same bytes. `max` and `norm` are written with a target,
    `acceleration` and `num_low_frequency` with a mask.

    Args:
        path: The HDF5 file; an existing one is replaced, and a missing folder is made.
        kspace: Centred k-space, (slices, rows, columns) for single-coil or (slices, coils, rows,
            columns) for multicoil data, complex64; rows are the readout. Its image is that of
            `fastmri.ifft2c`: orthonormal, and with origins of k-space and image in the middle.
        target: Reference image, (slices, height, width), in the units of that image; written as
            float32. None for a test volume without one.
        mask: Sampled columns, (columns,) bool, of a test volume; the others are zero.
        recon_size: Height and width of the image; by default the target's, or the k-space's.
        acquired: First column that was measured, and one past the last, where the k-space is
            zero filled at its edges; fastMRI's masks then keep out of the rest. By default all.
        pixel_mm: Height and width of a pixel in millimetres. None, unknown, is written as a field
            of view of 0.
        acquisition: Name of the sequence, such as "AXT2".
        attributes: More HDF5 attributes, or other values for those above and for patient_id, by
            default the file's stem.

    Example:
        >>> image = np.random.default_rng(0).random((2, 64, 48))
        >>> centred = np.fft.fft2(np.fft.ifftshift(image, (1, 2)), norm="ortho")
        >>> kspace = np.fft.fftshift(centred, (1, 2)).astype(np.complex64)
        >>> write_fastmri_file("a.h5", kspace, image)
        >>> with h5py.File("a.h5") as file:
        ...     sorted(file)
        ['ismrmrd_header', 'kspace', 'reconstruction_esc']

    Raises:
        InputError: If the arrays do not fit together, or are not finite, or if the file cannot be
            written.
    """
    path = Path(path)
    kspace = checked_kspace(path, kspace)
    if target is not None:
        target = _checked_target(path, target, kspace)
        if recon_size not in (None, target.shape[-2:]):
            raise InputError(
                f"{path}: recon_size {recon_size} is not the target's size {target.shape[-2:]}"
            )
        recon_size = target.shape[-2], target.shape[-1]
    if mask is not None:
        mask = checked_mask(path, mask, kspace.shape[-1])
        if kspace[..., ~mask].any():
            raise InputError(
                f"{path}: k-space outside the mask is not zero; multiply it by the mask"
            )
    recon_size = image_size(path, kspace, recon_size)
    columns = kspace.shape[-1]
    first, end = (0, columns) if acquired is None else acquired
    if not 0 <= first <= columns // 2 < end <= columns:
        raise InputError(
            f"{path}: expected acquired columns around the centre {columns // 2}, within 0 to "
            f"{columns}, got {first} to {end}"
        )
    if kspace[..., :first].any() or kspace[..., end:].any():
        raise InputError(f"{path}: k-space outside the acquired columns {first} to {end} not zero")

    values: dict[str, str | int | float] = {
        "acquisition": acquisition,
        "patient_id": os.fsencode(path.stem).decode("utf-8", "replace"),
    }
    if target is not None:
        values |= {"max": float(target.max()), "norm": float(np.linalg.norm(target))}
    if mask is not None:
        values |= {
            "acceleration": max(1, round((end - first) / int(mask.sum()))),
            "num_low_frequency": n_central_columns(mask),
        }
    n_bytes = kspace.nbytes + (0 if target is None else target.nbytes)
    with atomic_path(path) as temporary:
        check_space({temporary: n_bytes})
        with h5py.File(temporary, "w") as file:
            file["ismrmrd_header"] = ismrmrd_header(
                kspace.shape[-2:], recon_size, (first, end), pixel_mm
            )
            file["kspace"] = kspace
            if target is not None:
                file[TARGET_KEYS["singlecoil" if kspace.ndim == 3 else "multicoil"]] = target
            if mask is not None:
                file["mask"] = mask
            file.attrs.update(values | dict(attributes or {}))


def checked_kspace(path: Path, kspace: npt.NDArray) -> npt.NDArray[np.complex64]:
    """k-space that is complex, finite and not zero, or an error that says what it is instead."""
    if kspace.ndim not in (3, 4) or kspace.dtype != np.complex64 or 0 in kspace.shape:
        raise InputError(
            f"{path}: expected k-space (slices, [coils,] rows, columns) complex64, got "
            f"{kspace.shape} {kspace.dtype}"
        )
    for i, one in enumerate(kspace):
        if not np.isfinite(one).all():
            raise InputError(f"{path}: the k-space of slice {i} holds NaN or Inf; export it again")
    if not kspace.any():
        raise InputError(f"{path}: the k-space is zero everywhere: it holds no signal")
    return kspace


def _checked_target(
    path: Path, target: npt.NDArray, kspace: npt.NDArray[np.complex64]
) -> npt.NDArray[np.float32]:
    fits = (
        target.ndim == 3
        and len(target) == len(kspace)
        and 0 < target.shape[-2] <= kspace.shape[-2]
        and 0 < target.shape[-1] <= kspace.shape[-1]
    )
    if not fits or np.iscomplexobj(target) or not np.isfinite(target).all():
        raise InputError(
            f"{path}: expected a finite, real target (slices, height, width) within k-space "
            f"{kspace.shape}, got {target.shape} {target.dtype}"
        )
    with np.errstate(over="ignore"):
        target = target.astype(np.float32)
    if not 0 < target.max() < np.inf:
        raise InputError(f"{path}: expected a target with a largest value above 0 within float32")
    return target


def checked_mask(path: Path, mask: npt.NDArray, columns: int) -> npt.NDArray[np.bool_]:
    """A mask of columns as bool, or an error that says what it is instead."""
    fits = mask.dtype.kind in "biufc" and mask.shape == (columns,)
    if not fits or not np.isin(mask, (0, 1)).all() or not mask.any():
        raise InputError(
            f"{path}: expected a mask of {columns} columns, 1 where sampled and 0 elsewhere, and "
            f"some that are sampled, got {mask.shape} {mask.dtype}"
        )
    return mask.astype(bool)


def image_size(path: Path, kspace: npt.NDArray, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """The height and width that are asked for, by default all, within (..., rows, columns)."""
    rows, columns = kspace.shape[-2:]
    height, width = wanted or (rows, columns)
    if not (0 < height <= rows and 0 < width <= columns):
        raise InputError(
            f"{path}: recon_size {words((height, width))} does not fit into k-space of {rows} "
            f"rows and {columns} columns"
        )
    return height, width


def cropped_size(size: tuple[int, int], columns: int) -> tuple[int, int]:
    """The size that the host crops an image to: square where k-space is narrower (FLAIR 203).

    Args:
        size: Height and width of the image that is asked for.
        columns: Columns of the k-space.

    Returns:
        (columns, columns) where they are fewer than the image is wide, else the size.
    """
    return (columns, columns) if columns < size[1] else size


def central_columns(sampled: npt.NDArray[np.bool_]) -> slice:
    """Where sampled columns, of (columns,) bool, are in one piece around the centre."""
    center = len(sampled) // 2
    if not sampled[center]:
        return slice(center, center)
    gaps = np.flatnonzero(~np.concatenate([[False], sampled, [False]])) - 1
    return slice(int(gaps[gaps < center].max()) + 1, int(gaps[gaps > center].min()))


def n_central_columns(sampled: npt.NDArray[np.bool_]) -> int:
    """How many sampled columns are in one piece around the centre; see `central_columns`."""
    central = central_columns(sampled)
    return int(central.stop - central.start)
