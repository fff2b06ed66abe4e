"""The files of a reconstruction: which volumes there are, and submission files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import fastmri
import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.apart import map_apart
from fastmri_clgnet.data.fastmri_file import atomic_path, check_space
from fastmri_clgnet.data.volumes import (
    VolumeInfo,
    are_small,
    inspect_volume,
    read_slices,
)
from fastmri_clgnet.data.hdf5 import get_dataset, open_hdf5
from fastmri_clgnet.errors import InputError

SETTINGS_ATTRIBUTE = "fastmri_clgnet"  # of a submission file: how it was made, as JSON
# what becomes of reconstructions that are there: those of other settings are refused, all are made
# again, or those of other settings are
Existing = Literal["keep", "replace", "replace_different"]


def find_volumes(folder: Path, challenge: str, undersample: bool) -> list[VolumeInfo]:
    """Check all volumes of a folder, and that they can be read, but not their values.

    Args:
        folder: Holds HDF5 files in fastMRI's format and nothing else.
        challenge: "singlecoil" or "multicoil".
        undersample: Whether a mask is applied to them, which they must be fully sampled for;
            otherwise each must hold its own.

    Returns:
        What the files hold, sorted by name.

    Raises:
        InputError: On the first problem, naming the file.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    folders = [path.name for path in paths if path.is_dir()]
    if not paths or folders:
        found = f"the folders {', '.join(folders[:4])}" if folders else "no files"
        raise InputError(
            f"{folder}: expected a folder of fastMRI's HDF5 files, such as "
            f"DATA/singlecoil_test, but there are {found}"
        )
    whole = are_small(paths)

    def look(path: Path) -> VolumeInfo:
        with open_hdf5(path) as file:
            volume = inspect_volume(file, path, challenge, masked=False, reference=False)
            masked = "mask" in file
            if masked and undersample:
                raise InputError(
                    f"{path}: is undersampled already (it holds a 'mask'); leave --mask_type, "
                    "--accelerations and --center_fractions away, or give fully sampled volumes"
                )
            if not masked and not undersample:
                raise InputError(
                    f"{path}: holds no 'mask'; fully sampled volumes are undersampled by "
                    "--mask_type, --accelerations and --center_fractions, such as random, 4 and "
                    "0.08"
                )
            if masked:
                volume = inspect_volume(file, path, challenge, masked=True)
            for _ in read_slices(file, challenge):
                if not whole:
                    break
            return volume

    return list(map_apart(look, paths))


def challenge_of(folder: Path) -> str:
    """Whether a folder's first HDF5 file holds single-coil or multicoil k-space, by its axes."""

    def look(path: Path) -> str:
        with open_hdf5(path) as file:
            kspace = get_dataset(file, "kspace", path)
            return "multicoil" if kspace is not None and kspace.ndim == 4 else "singlecoil"

    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    first = [path for path in paths if path.is_file() and h5py.is_hdf5(path)][:1]
    return next(map_apart(look, first), "singlecoil")  # whose check says what is wrong


def data_digest(path: Path) -> str:
    """What tells a volume from others of its name: shape and a row of the middle slice's k-space.

    Args:
        path: fastMRI's file; its place, name and compression do not matter.

    Returns:
        Sixteen hexadecimal digits.
    """
    with h5py.File(path, "r") as file:
        kspace = file["kspace"]
        n_slices, n_rows = kspace.shape[0], kspace.shape[-2]
        row = np.ascontiguousarray(kspace[n_slices // 2, ..., n_rows // 2, :])
        return hashlib.sha256(str(kspace.shape).encode() + row.tobytes()).hexdigest()[:16]


def missing(
    volumes: list[VolumeInfo], output_path: Path, settings: Mapping[str, Any], existing: Existing
) -> list[VolumeInfo]:
    """Decide which volumes are still to be reconstructed.

    Args:
        volumes: All of them.
        output_path: Where the reconstructions go.
        settings: How they are made; what is there must have been made so, of the same data.
        existing: What becomes of those that are there.

    Returns:
        Those to make.

    Raises:
        InputError: If one is there that was made in another way, and is not to be replaced.
    """
    todo = []
    for volume in volumes:
        path = output_path / volume.path.name
        if existing == "replace" or not path.exists():
            todo.append(volume)
            continue
        theirs = read_settings(path)
        ours = {**settings, "data": data_digest(volume.path)}
        # the weights say which checkpoint it is, wherever it lies now
        different = [
            key for key in ours if key != "checkpoint" and (theirs or {}).get(key) != ours[key]
        ]
        if existing == "replace_different":
            todo += [volume] if different else []
        elif theirs is None:
            raise InputError(
                f"{path}: was not written by this command; give another --output_path, or "
                "--overwrite to replace it"
            )
        elif different:
            differences = "; ".join(
                f"{key} was {theirs.get(key)}, is {ours[key]}" for key in different
            )
            raise InputError(
                f"{path}: was made with other settings ({differences}); give another "
                "--output_path, or --overwrite to replace it"
            )
    return todo


def read_settings(path: Path) -> dict[str, Any] | None:
    """How a submission file was made; None if it does not say or is none."""
    try:
        with h5py.File(path, "r") as file:
            settings = json.loads(file.attrs[SETTINGS_ATTRIBUTE])
    except (OSError, KeyError, ValueError, TypeError):
        return None
    return settings if isinstance(settings, dict) else None


def save_reconstruction(
    path: Path, images: npt.NDArray[np.float32], settings: Mapping[str, Any]
) -> None:
    """Write one volume by fastMRI's writer, whole or not at all, and note how it was made.

    Args:
        path: The submission file; an existing one is replaced.
        images: (slices, height, width).
        settings: Plain values, written as an attribute, which fastMRI does not look at.
    """
    with atomic_path(path) as temporary:
        check_space({temporary: images.nbytes})
        fastmri.save_reconstructions({temporary.name: images}, temporary.parent)
        with h5py.File(temporary, "r+") as file:
            file.attrs[SETTINGS_ATTRIBUTE] = json.dumps(settings)
