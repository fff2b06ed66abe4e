"""Names for prediction folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastmri_clgnet.errors import InputError


def folder_labels(folders: Sequence[Path]) -> list[str]:
    """Short names for folders: the part of their paths that tells them apart.

    Args:
        folders: Such as clgnet/singlecoil/reconstructions and unet/singlecoil/reconstructions.

    Returns:
        Such as clgnet and unet; the folder's own name where there is only one.

    Raises:
        InputError: If a folder is given twice.
    """
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        raise InputError("a folder of predictions is given twice")
    if len(folders) == 1:
        return [folders[0].resolve().name]
    start = _common(parts)
    end = _common([part[:start:-1] for part in parts])
    return ["/".join(part[start : len(part) - end]) or part[-1] for part in parts]


def _common(parts: Sequence[tuple[str, ...]]) -> int:
    """How many leading elements all have in common."""
    columns = list(zip(*parts, strict=False))
    return next((i for i, column in enumerate(columns) if len(set(column)) > 1), len(columns))
