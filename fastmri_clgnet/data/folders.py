"""What the folder of a split holds, and whether fastMRI can use it: the one inspection.

Training and `reconstruct` inspect a folder here before they begin; `check` reads every value, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.conversion_of import image_hint
from fastmri_clgnet.formats.fastmri import TARGET_KEYS, Challenge, split_names
from fastmri_clgnet.formats.fastmri_reading import (
    VolumeInfo,
    host_crop,
    inspect_volume,
    is_undersampled,
    read_slices,
)
from fastmri_clgnet.formats.hdf5 import get_dataset
from fastmri_clgnet.formats.isolate import read_files
from fastmri_clgnet.formats.orientation import refuse_wrong_axes

# Up to this many bytes of files a folder is read whole; above it, each volume's middle slice is,
# and the other slices are checked as they are loaded.
READ_WHOLE_BYTES = 2**30


def list_files(folder: Path) -> list[Path]:
    """All that is in a folder, sorted by name, since fastMRI opens all of it."""
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; expected one of fastMRI's HDF5 files (in its layout "
            "DATA/singlecoil_train, singlecoil_val and singlecoil_test, or multicoil_train ...)"
            + _elsewhere(folder)
        )
    paths = sorted(folder.iterdir())
    if not paths:
        raise InputError(f"{folder}: empty; expected fastMRI's HDF5 files")
    within = sorted(name for name in split_names() if (folder / name).is_dir())
    if within or all(path.is_dir() for path in paths):
        names = ", ".join(within or [path.name for path in paths[:4]])
        raise InputError(
            f"{folder}: expected fastMRI's HDF5 files, but there are the folders {names}; give one "
            f"of them{image_hint(folder)}"
        )
    return paths


def _elsewhere(folder: Path) -> str:
    """The folder that may be meant: the same split of the other challenge, or one level below."""
    challenge, _, split = folder.name.partition("_")
    if challenge not in TARGET_KEYS or not folder.parent.is_dir():
        return ""
    for other in TARGET_KEYS:
        if (folder.parent / f"{other}_{split}").is_dir():
            return f"; did you mean {folder.parent / f'{other}_{split}'} (challenge {other})?"
    for path in sorted(folder.parent.iterdir()):
        if (path / folder.name).is_dir():
            return f"; did you mean {path / folder.name}?"
    return ""


def inspect_folder(
    folder: Path,
    challenge: Challenge,
    *,
    masked: bool,
    references: bool = True,
    refuse_nan: bool = True,
) -> list[VolumeInfo]:
    """Check all files of one folder, and say what they hold.

    All slices are read if the files are few, else the middle one of each volume.

    Args:
        folder: The folder of a split.
        challenge: Expected kind of data.
        masked: Whether its volumes are to be undersampled, and to say so by a mask.
        references: Whether to train, validate or test on them: fully sampled volumes then need
            their reference, which is checked, too. False: they are only reconstructed.
        refuse_nan: Whether NaN and Inf are refused.

    Returns:
        What each file holds, by name.

    Raises:
        InputError: At the first file that cannot be used; it also names what crashes or hangs the
            HDF5 library, which reads in another process.
    """
    paths = list_files(folder)
    whole = sum(path.stat().st_size for path in paths if path.is_file()) <= READ_WHOLE_BYTES

    def inspect(file: h5py.File, path: Path) -> VolumeInfo:
        volume = inspect_volume(file, path, challenge, masked, references)
        seen = False  # a slice with a signal
        for i, kspace, target in read_slices(file, challenge):
            if refuse_nan:
                check_finite(kspace, f"{path}, slice {i}")
                if references and target is not None:
                    check_finite(target, f"{path}, slice {i}", "reference")
            if volume.mask is not None and kspace[..., ~volume.mask].any():
                raise InputError(
                    f"{path}: signal outside the mask, which fastMRI does not apply to volumes "
                    "that hold one: set these columns to zero, or remove the mask"
                )
            if not seen and kspace.any():
                refuse_wrong_axes(path, kspace[None], volume.header)
                seen = True
            if seen and not whole:
                break
        if references and not seen:
            raise InputError(f"{path}: the k-space is zero everywhere; remove it from the folder")
        return volume

    found = read_files(paths, inspect)
    label = f"Checking {folder.name}"
    return list(tqdm(found, label, len(paths), unit="file", delay=2, leave=False))


def challenge_of(folder: Path) -> Challenge:
    """Whether a folder's first HDF5 file holds single-coil or multicoil k-space, by its axes."""

    def by_axes(file: h5py.File, path: Path) -> Challenge:
        kspace = get_dataset(file, "kspace", path)
        return "multicoil" if kspace is not None and kspace.ndim == 4 else "singlecoil"

    paths = [path for path in list_files(folder) if path.is_file() and h5py.is_hdf5(path)]
    return next(read_files(paths[:1], by_axes), "singlecoil")  # whose check says what is wrong


def holds_masks(folder: Path, challenge: Challenge) -> bool:
    """Whether a folder's first HDF5 file is undersampled, by a mask that it holds."""

    def undersampled(file: h5py.File, path: Path) -> bool:
        return is_undersampled(file, path, challenge)

    paths = [path for path in list_files(folder) if path.is_file() and h5py.is_hdf5(path)]
    return next(read_files(paths[:1], undersampled), False)


def check_finite(values: np.ndarray, name: str, what: str = "k-space") -> None:
    """Refuse NaN and Inf; `name` is the slice's, `what` that of the values."""
    if not np.isfinite(values).all():
        raise InputError(
            f"{name}: the {what} holds NaN or Inf; reconstruct or convert this volume again, or "
            "remove it from the folder"
        )


def sample_size(volume: VolumeInfo, on_kspace: bool) -> tuple[int, int]:
    """Height and width of what a network gets of a volume: k-space, or the cropped image."""
    rows, columns = volume.kspace_shape[-2:]
    return (rows, columns) if on_kspace else volume.image_size


def check_header_sizes(volumes: Sequence[VolumeInfo]) -> None:
    """Refuse headers that ask for images which k-space has no room for, whatever the target is.

    Reconstructions of networks on k-space are cropped to the header's size.
    """
    for volume in volumes:
        rows, columns = volume.kspace_shape[-2:]
        host_crop(volume.path, volume.header.recon, rows, columns)


def check_one_size(volumes: Sequence[VolumeInfo], batch_size: int, on_kspace: bool = False) -> None:
    """Refuse slices of several sizes in one batch, of k-space or of images."""
    if batch_size == 1:
        return

    def sizes(volume: VolumeInfo) -> dict[str, tuple[int, ...]]:
        if not on_kspace:
            return {"images": volume.image_size}
        return {
            "k-space": volume.kspace_shape[1:],
            "images": volume.image_size,
            "images in the header": volume.header.recon,  # which outputs are cropped to
        }

    first = volumes[0]
    for volume in volumes:
        for what, size in sizes(volume).items():
            if size != (other := sizes(first)[what]):
                raise InputError(
                    f"{volume.path}: {what} of {' x '.join(map(str, size))}, but {first.path} has "
                    f"{' x '.join(map(str, other))}: they cannot share a batch of {batch_size}; "
                    "use batch_size 1"
                )
