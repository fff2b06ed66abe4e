"""Writing HDF5 files in fastMRI's format: the one place that does."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from fastmri.data import SliceDataset
from fastmri.data.mri_data import FastMRIRawDataSample

from fastmri_clgnet.data.ismrmrd_header import ismrmrd_header
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path, check_space, plain_name

__all__ = ["TARGET_KEYS", "atomic_path", "check_space", "plain_name", "write_fastmri_file"]

TARGET_KEYS = {"singlecoil": "reconstruction_esc", "multicoil": "reconstruction_rss"}


def write_fastmri_file(
    path: Path | str,
    kspace: npt.NDArray[np.complex64],
    target: npt.NDArray[np.floating] | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    *,
    recon_size: tuple[int, int] | None = None,
    acquired: tuple[int, int] | None = None,
    pixel_mm: tuple[float, float] = (1.0, 1.0),
    acquisition: str = "unknown",
    patient_id: str | None = None,
    attributes: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write one volume as fastMRI's `SliceDataset` reads it; whole or not at all.

    The same arguments give the same bytes. The file is read back by the host before it gets its
    name. `max` and `norm` are written with a target, `acceleration` and `num_low_frequency` with a
    mask.

    Args:
        path: The HDF5 file; an existing one is replaced.
        kspace: Centred k-space, (slices, rows, columns) for single-coil or (slices, coils, rows,
            columns) for multicoil data, complex64; rows are the readout. Its image is that of
            `fastmri.ifft2c`: orthonormal, and with origins of k-space and image in the middle.
        target: Reference image, (slices, height, width), in the units of that image; written as
            float32. None for a test volume without one.
        mask: Sampled columns, (columns,) bool, of a test volume; the others are zero.
        recon_size: Height and width of the image; by default the target's, or the k-space's.
        acquired: First column that was measured, and the one behind the last, where the k-space is
            zero filled at its edges; fastMRI's masks then keep out of the rest. By default all.
        pixel_mm: Height and width of a pixel in millimetres.
        acquisition: Name of the sequence, such as "AXT2".
        patient_id: Name of the patient; by default the file's stem.
        attributes: More HDF5 attributes, or other values for those above.

    Raises:
        InputError: If the arrays do not fit together, are not finite, or do not read back.
    """
    path = Path(path)
    kspace = _checked_kspace(path, kspace)
    if target is not None:
        target = _checked_target(path, target, kspace)
    if mask is not None:
        mask = _checked_mask(path, mask, kspace)
    recon_size = _checked_recon_size(path, recon_size, target, kspace)
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
        "patient_id": path.stem if patient_id is None else patient_id,
    }
    if target is not None:
        values |= {"max": float(target.max()), "norm": float(np.linalg.norm(target))}
    if mask is not None:
        values |= {
            "acceleration": max(1, round((end - first) / int(mask.sum()))),
            "num_low_frequency": _low_frequencies(mask),
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
                file[TARGET_KEYS[_challenge(kspace)]] = target
            if mask is not None:
                file["mask"] = mask
            file.attrs.update(values | dict(attributes or {}))
        _read_back(temporary, path, kspace, target, mask, recon_size, (first, end))


def _challenge(kspace: npt.NDArray[np.complex64]) -> str:
    return "singlecoil" if kspace.ndim == 3 else "multicoil"


def _checked_kspace(path: Path, kspace: npt.NDArray) -> npt.NDArray[np.complex64]:
    if kspace.ndim not in (3, 4) or kspace.dtype != np.complex64 or 0 in kspace.shape:
        raise InputError(
            f"{path}: expected k-space (slices, [coils,] rows, columns) complex64, got "
            f"{kspace.shape} {kspace.dtype}"
        )
    if not all(np.isfinite(one).all() for one in kspace):
        raise InputError(f"{path}: k-space holds NaN or Inf")
    if not kspace.any():
        raise InputError(f"{path}: k-space is zero everywhere")
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


def _checked_mask(
    path: Path, mask: npt.NDArray, kspace: npt.NDArray[np.complex64]
) -> npt.NDArray[np.bool_]:
    if mask.shape != kspace.shape[-1:] or not np.isin(mask, (0, 1)).all() or not mask.any():
        raise InputError(
            f"{path}: expected a mask of {kspace.shape[-1:]} columns, 1 where sampled and 0 "
            f"elsewhere, got {mask.shape} {mask.dtype}"
        )
    mask = mask.astype(bool)
    if kspace[..., ~mask].any():
        raise InputError(f"{path}: k-space outside the mask is not zero; multiply it by the mask")
    return mask


def _checked_recon_size(
    path: Path,
    recon_size: tuple[int, int] | None,
    target: npt.NDArray[np.float32] | None,
    kspace: npt.NDArray[np.complex64],
) -> tuple[int, int]:
    rows, columns = kspace.shape[-2:]
    if target is not None:
        if recon_size not in (None, target.shape[-2:]):
            raise InputError(
                f"{path}: recon_size {recon_size} is not the target's size {target.shape[-2:]}"
            )
        return target.shape[-2], target.shape[-1]
    if recon_size is None:
        return rows, columns
    if not (0 < recon_size[0] <= rows and 0 < recon_size[1] <= columns):
        raise InputError(
            f"{path}: an image of {recon_size} does not fit into k-space {kspace.shape}"
        )
    return recon_size


def _low_frequencies(mask: npt.NDArray[np.bool_]) -> int:
    """Sampled columns in one piece around the centre."""
    center = len(mask) // 2
    if not mask[center]:
        return 0
    gaps = np.flatnonzero(~np.concatenate([[False], mask, [False]])) - 1
    return int(gaps[gaps > center].min() - gaps[gaps < center].max() - 1)


def _read_back(
    file: Path,
    path: Path,
    kspace: npt.NDArray[np.complex64],
    target: npt.NDArray[np.float32] | None,
    mask: npt.NDArray[np.bool_] | None,
    recon_size: tuple[int, int],
    acquired: tuple[int, int],
) -> None:
    """Refuse a file that the host does not read as it was meant, slice by slice."""
    with tempfile.TemporaryDirectory() as empty:
        dataset = SliceDataset(empty, _challenge(kspace))
    # the host reads whole folders; this is what it does with one file
    metadata, n_slices = dataset._retrieve_metadata(file)
    same = n_slices == len(kspace)
    same &= metadata["encoding_size"][:2] == kspace.shape[-2:]
    same &= metadata["recon_size"][:2] == recon_size
    same &= (metadata["padding_left"], metadata["padding_right"]) == acquired
    dataset.raw_samples = [FastMRIRawDataSample(file, i, metadata) for i in range(len(kspace))]
    for i in range(len(kspace) if same else 0):
        read = dataset[i][:3]
        written = (kspace[i], mask, None if target is None else target[i])
        for a, b in zip(read, written, strict=True):
            same &= (a is None and b is None) or np.array_equal(a, b)
    if not same:
        raise InputError(f"{path}: does not read back through fastMRI as it was written")
