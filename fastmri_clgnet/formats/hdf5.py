"""Opening HDF5 files that came from elsewhere: nothing outside the file, nothing absurdly large.

HDF5 lets a few bytes claim terabytes, and lets the arrays of a file lie in other files (external
links, external storage, virtual data sets). Both are refused before anything is read. A link of the
file system is a usual way to put a data set together, and is followed.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import natural_order
from fastmri_clgnet.formats.conversion_of import image_format, image_hint

SLICE_BYTES = 2**29  # at most of what is read at once: 64 coils of 1024 x 1024 complex numbers
# what h5py raises of damaged files
_ERRORS = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError,
           OverflowError, MemoryError)  # fmt: skip


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; whatever h5py raises while it is open is an `InputError`."""
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: a link to {path.readlink()}, which does not exist")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_file() and not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read (permission denied)")
    if not path.is_file() or not h5py.is_hdf5(path):
        raise InputError(
            f"{path}: not an HDF5 file, but fastMRI opens everything in the folder; move it "
            f"elsewhere{image_hint(path.parent) if image_format(path) else ''}"
        )
    try:
        with h5py.File(path, "r") as file:
            dict(file.attrs)  # all of which fastMRI reads
            yield file
    except InputError:
        raise
    except _ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if "unable to lock file" in reason or "already open for write" in reason:
            raise InputError(
                f"{path}: another program has it open for writing; wait until it is written, or "
                "close it there (after a crash: h5clear -s)"
            ) from error
        raise InputError(
            f"{path}: damaged or truncated HDF5 file ({reason}); copy or download it again"
        ) from error


def get_dataset(
    file: h5py.File, key: str, path: Path, at_once: bool = False
) -> h5py.Dataset | None:
    """One array of the file or of a group, not read yet; None if there is none of that name."""
    names = key.split("/")
    for depth in range(1, len(names) + 1):
        name = "/".join(names[:depth])
        link = file.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise InputError(
                f"{path}: '{name}' is a link to {getattr(link, 'filename', None) or link.path}; "
                "expected the array itself in this file (h5repack and h5py's copy store it there)"
            )
    item = file[key]
    if not isinstance(item, h5py.Dataset):
        return None
    if item.is_virtual or item.external:
        raise InputError(
            f"{path}: '{key}' is stored in other files; expected the array itself in this file "
            "(h5py's file['copy'] = file['name'][()] stores it there)"
        )
    shape = item.shape or ()
    read = math.prod(shape if at_once else shape[1:])  # Python's integers do not overflow
    size = max(read, math.prod(item.chunks or ())) * item.dtype.itemsize
    if size > SLICE_BYTES:
        raise InputError(
            f"{path}: '{key}' {item.shape} {item.dtype} would take {size:,} bytes to read a "
            f"slice, expected at most {SLICE_BYTES:,}; is the file damaged? (of chunked files, "
            "store a slice a chunk)"
        )
    item.id.get_storage_size()  # walks over the index of all chunks
    check_filters(item, path)
    return item


def need_dataset(
    file: h5py.File, key: str, path: Path, hint: str, at_once: bool = False
) -> h5py.Dataset:
    """One array of the file, or an error that says what its absence means."""
    item = get_dataset(file, key, path, at_once)
    if item is None:
        keys = ", ".join(sorted(file)) or "nothing"
        raise InputError(f"{path}: no '{key}' (the file holds: {keys}); {hint}{image_hint(path)}")
    return item


def check_filters(item: h5py.Dataset, path: Path) -> None:
    """Refuse an array that needs a compression filter which is not installed."""
    filters = item.id.get_create_plist()
    for i in range(filters.get_nfilters()):
        code, _, _, name = filters.get_filter(i)
        if h5py.h5z.filter_avail(code):
            continue
        with contextlib.suppress(ImportError):
            importlib.import_module("hdf5plugin")
        if not h5py.h5z.filter_avail(code):
            label = name.decode(errors="replace").split(";")[0].strip() or "unknown"
            raise InputError(
                f"{path}: '{item.name.strip('/')}' is compressed by the filter {label} (number "
                f"{code}), which is not installed: pip install hdf5plugin"
            )


def measurement_groups(file: h5py.File) -> list[str]:
    """The groups of an ISMRMRD file, each of which holds a header and acquisitions."""
    found = [name for name in file if f"{name}/xml" in file and f"{name}/data" in file]
    return sorted(found, key=natural_order)


def plain(value: Any) -> Any:
    """An attribute as plain text or number, also where it is stored as bytes or an array of one."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.reshape(-1)[0] if value.size == 1 else value
        value = value.item() if isinstance(value, np.generic) else value
    return value.decode("utf-8", "replace").rstrip("\0") if isinstance(value, bytes) else value
