"""Loading files of tensors without running any code that they may hold."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from fastmri_clgnet.errors import InputError


def load_tensors(path: Path, expected: str) -> dict[str, Any]:
    """Load a dictionary that `torch.save` wrote, tensors and plain values only.

    Args:
        path: The file.
        expected: What it should be, for the error.

    Returns:
        Its contents, on the CPU.

    Raises:
        InputError: If it does not exist, cannot be read, or would run code.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: cannot be loaded safely ({reason}); expected {expected}"
        ) from error
    if not isinstance(contents, dict):
        raise InputError(f"{path}: holds a {type(contents).__name__}; expected {expected}")
    return contents
