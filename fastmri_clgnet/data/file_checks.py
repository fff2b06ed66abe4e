"""Checks of a data set in fastMRI's format, before hours are spent on it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from fastmri.data.mri_data import et_query
from tqdm import tqdm

from fastmri_clgnet.data.fastmri_file import TARGET_KEYS
from fastmri_clgnet.errors import InputError

# Up to this many bytes of k-space a split is read whole; above it, each volume's middle slice is,
# and the other slices are checked as they are loaded.
READ_WHOLE_BYTES = 2**30
_HEADER_SIZES = [("encodedSpace", "x"), ("encodedSpace", "y"), ("encodedSpace", "z"),
                 ("reconSpace", "x"), ("reconSpace", "y"), ("reconSpace", "z")]  # fmt: skip


class HeaderInfo(NamedTuple):
    """What the host reads from an ISMRMRD header.

    Args:
        encoded: Rows and columns of k-space.
        recon: Height and width of the image.
        acquired: First measured column and the one behind the last, the host's padding_left and
            padding_right.
    """

    encoded: tuple[int, int]
    recon: tuple[int, int]
    acquired: tuple[int, int]


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


def _read_header(header: bytes, path: Path) -> HeaderInfo:
    """All that the host reads of the ISMRMRD header, or one error."""
    if b"<!DOCTYPE" in header or b"<!ENTITY" in header:
        raise InputError(f"{path}: the ismrmrd_header declares XML entities, which are refused")
    try:
        root = ElementTree.fromstring(header)
        sizes = [
            int(et_query(root, ["encoding", space, "matrixSize", axis]))
            for space, axis in _HEADER_SIZES
        ]
        center, maximum = (
            int(et_query(root, ["encoding", "encodingLimits", "kspace_encoding_step_1", limit]))
            for limit in ("center", "maximum")
        )
    except (ElementTree.ParseError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: the ismrmrd_header cannot be used ({error}); expected ISMRMRD XML with "
            "encoded and recon matrix sizes and the limits of kspace_encoding_step_1"
        ) from error
    first = sizes[1] // 2 - center
    return HeaderInfo((sizes[0], sizes[1]), (sizes[3], sizes[4]), (first, first + maximum + 1))


def _dataset(file: h5py.File, key: str, path: Path, hint: str) -> h5py.Dataset:
    """One array of the file, or an error that says what its absence means."""
    item = file.get(key)
    if not isinstance(item, h5py.Dataset):
        keys = ", ".join(sorted(file)) or "nothing"
        raise InputError(f"{path}: no '{key}' (the file holds: {keys}); {hint}")
    return item


def inspect_volume(path: Path, challenge: str, masked: bool, reference: bool = True) -> VolumeInfo:
    """Open one file and check what fastMRI's data set and transforms will ask of it.

    Args:
        path: The HDF5 file.
        challenge: "singlecoil" or "multicoil".
        masked: Whether it is an undersampled test volume with a mask, or a fully sampled one with a
            reference image.
        reference: Whether a fully sampled volume needs that image; without, the header's size is
            that of the image.

    Returns:
        Its shapes.

    Raises:
        InputError: If it cannot be opened, lacks a key, or its shapes do not fit.
    """
    if not path.is_file() or not h5py.is_hdf5(path):
        raise InputError(
            f"{path}: not an HDF5 file, but fastMRI opens everything in the folder; move it "
            "elsewhere"
        )
    try:
        with h5py.File(path, "r") as file:
            return _inspect_open_file(file, path, challenge, masked, reference)
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(
            f"{path}: damaged or truncated HDF5 file ({error}); copy or download it again"
        ) from error


def _inspect_open_file(
    file: h5py.File, path: Path, challenge: str, masked: bool, reference: bool
) -> VolumeInfo:
    kspace = _dataset(file, "kspace", path, "expected a file in fastMRI's format")
    ndim = {"singlecoil": 3, "multicoil": 4}[challenge]
    axes = "(slices, rows, columns)" if ndim == 3 else "(slices, coils, rows, columns)"
    if (
        kspace.ndim != ndim
        or 0 in kspace.shape
        or not np.issubdtype(kspace.dtype, np.complexfloating)
    ):
        other = {3: "singlecoil", 4: "multicoil"}.get(kspace.ndim)
        hint = f"; try --challenge {other}" if other not in (None, challenge) else ""
        raise InputError(
            f"{path}: expected {challenge} k-space {axes}, complex, got {kspace.shape} "
            f"{kspace.dtype}{hint}"
        )
    header = _dataset(
        file, "ismrmrd_header", path,
        "fastMRI reads the image's size from it; fastmri_clgnet.data.write_fastmri_file writes it",
    )  # fmt: skip
    value = header[()]
    text = value.encode() if isinstance(value, str) else value
    if not isinstance(text, bytes):
        raise InputError(f"{path}: the ismrmrd_header is not a text")
    info = _read_header(text, path)
    image_size = info.recon
    if masked:
        mask = _dataset(
            file, "mask", path, "expected an undersampled test volume; fully sampled ones go to "
            "--test_split val, which undersamples them",
        )  # fmt: skip
        if mask.shape != kspace.shape[-1:]:
            raise InputError(
                f"{path}: expected a mask of {kspace.shape[-1]} columns, got {mask.shape}"
            )
    elif reference or TARGET_KEYS[challenge] in file:
        target = _dataset(
            file, TARGET_KEYS[challenge], path, f"the reference images of {challenge} data; is "
            "--challenge right, and the volume fully sampled?",
        )  # fmt: skip
        if target.ndim != 3 or len(target) != len(kspace):
            raise InputError(
                f"{path}: expected {target.name} of {len(kspace)} slices (slices, height, width), "
                f"got {target.shape}"
            )
        image_size = (target.shape[1], target.shape[2])
        if "max" not in file.attrs:
            raise InputError(
                f"{path}: no attribute 'max' (largest value of the reference), which PSNR and SSIM "
                "are relative to"
            )
    rows, columns = kspace.shape[-2:]
    # the host cuts the image to a square where its width does not fit into the rows (FLAIR 203)
    cut = (rows, rows) if rows < image_size[1] else image_size
    if not (0 < cut[0] <= rows and 0 < cut[1] <= columns):
        raise InputError(
            f"{path}: an image of {image_size[0]} x {image_size[1]} pixels does not fit into "
            f"k-space of {rows} x {columns}"
        )
    return VolumeInfo(path, tuple(kspace.shape), image_size, info)


def check_values(volume: VolumeInfo, whole: bool, refuse_nan: bool = True) -> None:
    """Read k-space and reference, and refuse NaN, Inf, and a volume of zeros alone.

    Args:
        volume: What `inspect_volume` returned.
        whole: Whether to read all slices, or the middle one (and the others where it is all zero).
        refuse_nan: Whether NaN and Inf are an error.

    Raises:
        InputError: Naming file and slice.
    """
    n_slices = volume.kspace_shape[0]
    try:
        with h5py.File(volume.path, "r") as file:
            kspace = file["kspace"]
            key = TARGET_KEYS["singlecoil" if kspace.ndim == 3 else "multicoil"]
            order = [n_slices // 2, *(i for i in range(n_slices) if i != n_slices // 2)]
            any_signal = False
            for i in order:
                if any_signal and not whole:
                    return
                values = kspace[i]
                if refuse_nan:
                    check_finite(values, f"{volume.path}, slice {i}")
                if refuse_nan and key in file:
                    check_finite(file[key][i], f"{volume.path}, slice {i}", "reference")
                any_signal = any_signal or bool(values.any())
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{volume.path}: damaged or truncated HDF5 file ({error}); copy or download it again"
        ) from error
    if not any_signal:
        raise InputError(
            f"{volume.path}: the k-space is zero everywhere; remove it from the folder"
        )


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
    volumes = [inspect_volume(path, challenge, masked) for path in _progress(paths, folder)]
    n_bytes = sum(8 * np.prod(volume.kspace_shape, dtype=np.int64) for volume in volumes)
    for volume in _progress(volumes, folder):
        check_values(volume, bool(n_bytes <= READ_WHOLE_BYTES), refuse_nan)
    return volumes


def _progress(items: Sequence, folder: Path) -> tqdm:
    """A progress bar for checks that take more than two seconds."""
    return tqdm(items, f"Checking {folder.name}", unit="file", delay=2, leave=False)


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
