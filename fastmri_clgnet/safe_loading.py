"""Files of tensors and pickles, from anybody: read without running code, written whole."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path

# what fastMRI's cache of its data sets is made of; numpy's two come from HDF5 attributes
_OF_DATASET_CACHES = {
    ("fastmri.data.mri_data", "FastMRIRawDataSample"),
    *(("pathlib", name) for name in ("Path", "PosixPath", "WindowsPath")),
    *(("pathlib._local", name) for name in ("Path", "PosixPath", "WindowsPath")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
}


def load_tensors(path: Path, expected: str) -> dict[str, Any]:
    """Load a dictionary that `torch.save` wrote, tensors and plain values only.

    Args:
        path: The file.
        expected: What it should be, for the error.

    Returns:
        Its contents, on the CPU.

    Raises:
        InputError: If it does not exist, cannot be read, would run code, or would take more memory
            than the file has bytes.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}")
    try:
        _refuse_compressed(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickles that are refused anyway
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except (
        # what torch raises where a file is no checkpoint depends on its first bytes
        pickle.UnpicklingError, RuntimeError, EOFError, OSError, LookupError, ValueError, TypeError,
        AttributeError, MemoryError, OverflowError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path}: cannot be loaded safely ({_reason(error)}); expected {expected}"
        ) from error
    if not isinstance(contents, dict):
        raise InputError(f"{path}: holds a {type(contents).__name__}; expected {expected}")
    return contents


def _reason(error: Exception) -> str:
    """What torch says, without its advice to load the file unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if "weights_only" not in line]
    reason = next(filter(None, lines), type(error).__name__)
    return (
        reason.removeprefix("WeightsUnpickler error: ")
        .partition(" was not an allowed global")[0]
        .strip()
    )


def _refuse_compressed(path: Path) -> None:
    """Refuse archives that grow when they are read; torch.save compresses nothing."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        n_bytes = sum(each.file_size for each in archive.infolist())
    if n_bytes > path.stat().st_size:
        raise ValueError(
            f"its {path.stat().st_size} bytes would unpack to {n_bytes}, which torch.save does not "
            "write"
        )


def save_tensors(path: Path, contents: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values, whole or not at all.

    Args:
        path: The file; its folder is made.
        contents: What `load_tensors` will give.

    Raises:
        InputError: If it cannot be written; an existing file stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # to memory first: writing to a full disk, torch says no more than that it failed
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def check_dataset_cache(path: Path) -> None:
    """Refuse a cache of fastMRI's data sets that holds anything else, since fastMRI unpickles it.

    Args:
        path: The host's dataset_cache.pkl; it need not exist.

    Raises:
        InputError: If it is another pickle, or none.
    """
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            _DatasetCacheUnpickler(file).load()
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(
            f"{path}: not a cache that fastMRI wrote ({error}); remove it, or leave "
            "--use_dataset_cache_file away"
        ) from error


class _DatasetCacheUnpickler(pickle.Unpickler):
    """Makes nothing but what fastMRI's caches are made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _OF_DATASET_CACHES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)
