"""Trained weights that ship with the package, each with its model card beside it.

`python -m fastmri_clgnet weights` lists them. Their names are taken wherever a file of weights is.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def shipped() -> dict[str, Path]:
    """The files of the weights by name; NAME.md beside a file is its model card."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.safetensors"))}
