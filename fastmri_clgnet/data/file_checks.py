"""Checks of a data set in fastMRI's format, before hours are spent on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from tqdm import tqdm

from fastmri_clgnet.data.apart import map_apart, still_going
from fastmri_clgnet.data.fastmri_file import TARGET_KEYS
from fastmri_clgnet.data.hdf5 import get_dataset, open_hdf5
from fastmri_clgnet.data.header_checks import HeaderInfo, read_header
from fastmri_clgnet.errors import InputError

# Up to this many bytes of files a split is read whole; above it, each volume's middle slice is,
# and the other slices are checked as they are loaded.
READ_WHOLE_BYTES = 2**30
# what the host's data set takes from the header, unless attributes of the file stand in its way
_OF_THE_HEADER = {"padding_left", "padding_right", "encoding_size", "recon_size"}


class VolumeInfo(NamedTuple):
    """What a file holds.

    Args:
        path: The file.
        kspace_shape: (slices, [coils,] rows, columns).
        image_size: Height and width of the target, or of the header's image where there is none.
        header: What the ISMRMRD header says.
    """

    path: Path
    kspace_shape: tuple[int, ...]
    image_size: tuple[int, int]
    header: HeaderInfo


def check_finite(values: np.ndarray, name: str, what: str = "k-space") -> None:
    """Refuse NaN and Inf.

    Args:
        values: Of any shape.
        name: How the error calls the slice.
        what: And the values.

    Raises:
        InputError: If a value is not finite.
    """
    if not np.isfinite(values).all():
        raise InputError(
            f"{name}: the {what} holds NaN or Inf; reconstruct or convert this volume again, or "
            "remove it from the folder"
        )


def _dataset(
    file: h5py.File, key: str, path: Path, hint: str, at_once: bool = False
) -> h5py.Dataset:
    """One array of the file, or an error that says what its absence means."""
    item = get_dataset(file, key, path, at_once)
    if item is None:
        keys = ", ".join(sorted(file)) or "nothing"
        raise InputError(f"{path}: no '{key}' (the file holds: {keys}); {hint}")
    return item


def inspect_volume(
    file: h5py.File, path: Path, challenge: str, masked: bool, reference: bool = True
) -> VolumeInfo:
    """Check what fastMRI's data set and transforms will ask of a file, but for its images.

    Args:
        file: Of `open_hdf5`.
        path: Its path.
        challenge: "singlecoil" or "multicoil".
        masked: Whether it is an undersampled test volume with a mask, or a fully sampled one with a
            reference image.
        reference: Whether a fully sampled volume needs that image; without, the header's size is
            that of the image.

    Returns:
        Its shapes.

    Raises:
        InputError: If it lacks a key, or its shapes do not fit.
    """
    kspace = _checked_kspace(file, path, challenge)
    header = _dataset(
        file, "ismrmrd_header", path,
        "fastMRI reads the image's size from it; fastmri_clgnet.data.write_fastmri_file writes it",
        at_once=True,
    )  # fmt: skip
    value = header[()] if header.shape == () and header.dtype.kind in "OS" else None
    text = value.encode() if isinstance(value, str) else value
    if not isinstance(text, bytes):
        raise InputError(f"{path}: the ismrmrd_header is not a text")
    info = read_header(text, path)
    columns = kspace.shape[-1]
    if not 0 <= info.acquired[0] < min(info.acquired[1], columns):
        raise InputError(
            f"{path}: header: acquired columns {info.acquired[0]} to {info.acquired[1]} of "
            f"{columns} (padding of masks)"
        )
    if masked:
        mask = _dataset(
            file, "mask", path, "expected an undersampled test volume; fully sampled ones go to "
            "--test_split val, which undersamples them", at_once=True,
        )  # fmt: skip
        _check_mask(mask, columns, path)
    else:
        get_dataset(file, "mask", path, at_once=True)  # the host reads it all the same
    image_size = info.recon
    key = TARGET_KEYS[challenge]
    if get_dataset(file, key, path) is not None or (reference and not masked):
        image_size = _check_target(file, key, path, len(kspace), challenge)
        if not masked and "max" not in file.attrs:
            raise InputError(
                f"{path}: no attribute 'max' (largest value of the reference), which PSNR and SSIM "
                "are relative to"
            )
    _check_attributes(file, path)
    rows = kspace.shape[-2]
    # the host cuts the image to a square where its width does not fit into the rows (FLAIR 203)
    cut = (rows, rows) if rows < image_size[1] else image_size
    if not (0 < cut[0] <= rows and 0 < cut[1] <= columns):
        raise InputError(
            f"{path}: an image of {image_size[0]} x {image_size[1]} pixels does not fit into "
            f"k-space of {rows} x {columns}"
        )
    return VolumeInfo(path, tuple(kspace.shape), image_size, info)


def _checked_kspace(file: h5py.File, path: Path, challenge: str) -> h5py.Dataset:
    kspace = _dataset(file, "kspace", path, "expected a file in fastMRI's format")
    ndim = {"singlecoil": 3, "multicoil": 4}[challenge]
    axes = "(slices, rows, columns)" if ndim == 3 else "(slices, coils, rows, columns)"
    if kspace.ndim != ndim or 0 in kspace.shape or kspace.dtype not in (np.complex64, complex):
        other = {3: "singlecoil", 4: "multicoil"}.get(kspace.ndim)
        hint = f"; try --challenge {other}" if other not in (None, challenge) else ""
        raise InputError(
            f"{path}: expected {challenge} k-space {axes}, complex, got {kspace.shape} "
            f"{kspace.dtype}{hint}"
        )
    return kspace


def _check_mask(mask: h5py.Dataset, columns: int, path: Path) -> None:
    if mask.shape != (columns,) or mask.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: expected a mask of {columns} columns, got {mask.shape} {mask.dtype}"
        )
    values = mask[()]
    if not np.isin(values, (0, 1)).all() or not values.any():
        raise InputError(
            f"{path}: mask: expected 1 where sampled and 0 elsewhere, and some that are sampled"
        )


def _check_target(
    file: h5py.File, key: str, path: Path, n_slices: int, challenge: str
) -> tuple[int, int]:
    """Check the reference images, which the host reads wherever there are some."""
    target = _dataset(
        file, key, path, f"the reference images of {challenge} data; is --challenge right, and "
        "the volume fully sampled?",
    )  # fmt: skip
    if target.ndim != 3 or len(target) != n_slices:
        raise InputError(
            f"{path}: expected {target.name} of {n_slices} slices (slices, height, width), "
            f"got {target.shape}"
        )
    if target.dtype not in (np.float16, np.float32, np.float64):
        raise InputError(f"{path}: expected {target.name} of real numbers, got {target.dtype}")
    return target.shape[1], target.shape[2]


def _check_attributes(file: h5py.File, path: Path) -> None:
    """Refuse attributes that would make wrong samples of a sound volume."""
    hiding = sorted(_OF_THE_HEADER & set(file.attrs))
    if hiding:
        raise InputError(
            f"{path}: attributes {', '.join(hiding)}, which fastMRI would take in place of the "
            "header's; remove them"
        )
    maximum = file.attrs.get("max", 1.0)
    number = isinstance(maximum, int | float | np.integer | np.floating)
    if not number or not 0 < maximum < np.inf:
        raise InputError(f"{path}: attribute max: {maximum!r}; expected a number above 0")


def read_slices(
    file: h5py.File, challenge: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Read an inspected file slice by slice, the middle one first.

    Args:
        file: Of `open_hdf5`.
        challenge: "singlecoil" or "multicoil".

    Yields:
        The slice's index, its k-space, and its reference image, None where there is none.
    """
    kspace, target = file["kspace"], file.get(TARGET_KEYS[challenge])
    middle = len(kspace) // 2
    for i in [middle, *range(middle), *range(middle + 1, len(kspace))]:
        still_going()
        yield i, kspace[i], None if target is None else target[i]


def check_values(
    file: h5py.File, path: Path, challenge: str, whole: bool, refuse_nan: bool = True
) -> None:
    """Refuse NaN, Inf, and a volume of zeros alone.

    Args:
        file: Of `open_hdf5`, inspected.
        path: Its path.
        challenge: "singlecoil" or "multicoil".
        whole: Whether to read all slices, or the middle one (and the others where it is all zero).
        refuse_nan: Whether NaN and Inf are an error.

    Raises:
        InputError: Naming file and slice.
    """
    any_signal = False
    for i, kspace, target in read_slices(file, challenge):
        if refuse_nan:
            check_finite(kspace, f"{path}, slice {i}")
        if refuse_nan and target is not None:
            check_finite(target, f"{path}, slice {i}", "reference")
        any_signal = any_signal or bool(kspace.any())
        if any_signal and not whole:
            return
    if not any_signal:
        raise InputError(f"{path}: the k-space is zero everywhere; remove it from the folder")


def are_small(paths: Sequence[Path]) -> bool:
    """Whether files are few enough to be read whole before the work begins."""
    return sum(path.stat().st_size for path in paths if path.is_file()) <= READ_WHOLE_BYTES


def check_split(
    folder: Path, challenge: str, masked: bool, refuse_nan: bool = True
) -> list[VolumeInfo]:
    """Check all files of one split.

    Args:
        folder: Such as data_path / "singlecoil_train".
        challenge: "singlecoil" or "multicoil".
        masked: Whether these are undersampled test volumes.
        refuse_nan: Whether NaN and Inf are an error.

    Returns:
        What the files hold, sorted by name.

    Raises:
        InputError: On the first problem, naming the file.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; expected --data_path to hold {challenge}_train, "
            f"{challenge}_val and {challenge}_test (fastMRI's layout)"
        )
    paths = sorted(folder.iterdir())
    if not paths:
        raise InputError(f"{folder}: empty; expected fastMRI's HDF5 files")
    whole = are_small(paths)

    def look(path: Path) -> VolumeInfo:
        with open_hdf5(path) as file:
            volume = inspect_volume(file, path, challenge, masked)
            check_values(file, path, challenge, whole, refuse_nan)
            return volume

    return list(_progress(map_apart(look, paths), folder, len(paths)))


def _progress(volumes: Iterator[VolumeInfo], folder: Path, n_files: int) -> tqdm:
    """A progress bar for checks that take more than two seconds."""
    label = f"Checking {folder.name}"
    return tqdm(volumes, label, n_files, unit="file", delay=2, leave=False)


def check_one_size(volumes: Sequence[VolumeInfo], batch_size: int, on_kspace: bool = False) -> None:
    """Refuse slices of several sizes in one batch.

    Args:
        volumes: A split.
        batch_size: Slices in a batch.
        on_kspace: Whether k-space is in the batch, whose size counts then, or images.

    Raises:
        InputError: Naming one file of each size.
    """
    if batch_size == 1:
        return

    def size(volume: VolumeInfo) -> tuple[int, ...]:
        return volume.kspace_shape[1:] if on_kspace else volume.image_size

    first = volumes[0]
    for volume in volumes:
        if size(volume) != size(first):
            what = "k-space" if on_kspace else "images"
            raise InputError(
                f"{volume.path}: {what} of {' x '.join(map(str, size(volume)))}, but {first.path} "
                f"has {' x '.join(map(str, size(first)))}: they cannot share a batch of "
                f"{batch_size}; use --batch_size 1"
            )
