"""Files of tensors, from anybody: read without running code, written whole."""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.formats.state_names import printable

_CLASS = re.compile(r"GLOBAL (\S+) was not an allowed global")
_KEY = b"X\n\0\0\0state_dict"  # as a pickle holds the name of a dictionary's entry
_REFUSAL = "WeightsUnpickler error: "  # the line of torch's message that says what was found
_LARGEST_ARCHIVE = 2**30  # bytes of arrays that an .npz file may unfold to


def load_tensors(path: Path, expected: str) -> dict[str, Any]:
    """Load a dictionary of tensors and plain values that `torch.save` wrote, onto the CPU.

    Raises an `InputError`, which says what was expected, where it cannot, or would run code.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickles that are refused anyway
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except (
        # what torch raises where a file is no checkpoint depends on its first bytes
        pickle.UnpicklingError, RuntimeError, EOFError, OSError, LookupError, ValueError, TypeError,
        AttributeError, MemoryError, OverflowError,
    ) as error:  # fmt: skip
        reason, remedy = f"cannot be loaded safely ({_reason(error)})", ""
        if not isinstance(error, OSError) and not _is_saved(path):
            reason = "not a checkpoint: empty, or not begun as torch.save begins a file"
        elif classes := _CLASS.findall(str(error)):
            held = printable(classes[0])
            reason = f"cannot be loaded safely, since it holds Python's {held}"
            remedy = _remedy(path)
        raise InputError(f"{path}: {reason}; expected {expected}{remedy}") from error
    if not isinstance(contents, dict):
        raise InputError(f"{path}: holds a {type(contents).__name__}; expected {expected}")
    return contents


def load_arrays(path: Path, expected: str) -> dict[str, torch.Tensor]:
    """Load the arrays of numbers that `numpy.savez` wrote, in float32, and never a pickle.

    Raises an `InputError`, which says what was expected, where it cannot.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _LARGEST_ARCHIVE:
            raise ValueError(f"{size} bytes of arrays")
        with np.load(path, allow_pickle=False) as arrays:
            return {
                name: torch.from_numpy(
                    np.asarray(arrays[name]).astype(np.float32, casting="same_kind")
                )
                for name in arrays
            }
    except (
        OSError, EOFError, ValueError, TypeError, LookupError, RuntimeError, NotImplementedError,
        MemoryError, OverflowError, AttributeError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: no archive of arrays that can be read ({reason}); expected {expected}"
        ) from error


def _is_saved(path: Path) -> bool:
    """Whether a file begins as those of `torch.save` do, now (a zip archive) or before 2020."""
    with path.open("rb") as file:
        return file.read(4).startswith((b"PK\x03\x04", b"\x80\x02"))


def _remedy(path: Path) -> str:
    """Two lines that make a plain file of one that torch does not load safely."""
    with path.open("rb") as file:
        is_checkpoint = _KEY in file.read(2**24)
    weights = '["state_dict"]' if is_checkpoint else ".state_dict()"
    return (
        ". In the environment that wrote it, these two lines write its weights to a plain file:\n"
        # which a torch that loads such files at once does not know
        '  import os, torch; os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"\n'
        f'  torch.save(torch.load({path.name!r}, map_location="cpu"){weights}, '
        f"{path.stem + '_state_dict.pt'!r})"
    )


def _reason(error: Exception) -> str:
    """What torch says, without its advice to load the file unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if "weights_only" not in line]
    said = [line for line in lines if line.startswith(_REFUSAL)] or [line for line in lines if line]
    reason = next(iter(said), type(error).__name__).removeprefix(_REFUSAL)
    return reason.partition(" was not an allowed global")[0].strip()


def save_tensors(path: Path, contents: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values, whole or not at all."""
    # to memory first: writing to a full disk, torch says no more than that it failed
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
