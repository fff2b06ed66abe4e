"""Trained weights that ship with the package, each with its model card beside it.

`python -m fastmri_clgnet weights` lists them. Their names can replace a file of weights.
"""

from __future__ import annotations

from pathlib import Path

from fastmri_clgnet.errors import InputError

WEIGHTS_SUFFIX, ARGUMENTS_SUFFIX = ".safetensors", ".json"
ARRAYS_SUFFIX = ".npz"  # of DCCNN's published weights
EXPECTED = (
    "a checkpoint that train_clgnet wrote, the .safetensors and .json of export, the d5_c5.npz of "
    "DCCNN's authors, or the plain state dictionary of fastMRI's Unet or VarNet"
)  # the accepted files of weights
_FOLDER = Path(__file__).parent


def shipped() -> dict[str, Path]:
    """Return the files of the weights by name; NAME.md beside a file is its model card."""
    return {path.stem: path for path in sorted(_FOLDER.glob(f"*{WEIGHTS_SUFFIX}"))}


def find_weights(checkpoint: Path | str) -> Path:
    """Return the file of weights, given by path or, for those of the package, by name.

    Raises:
        InputError: If there is no such file.
    """
    path, names = Path(checkpoint), shipped()
    pair = (ARGUMENTS_SUFFIX, WEIGHTS_SUFFIX)  # what export writes
    if path.suffix in pair:
        for suffix, other in (pair, reversed(pair)):
            if not path.with_suffix(suffix).is_file():
                raise InputError(
                    f"{path.with_suffix(suffix)}: no such file; expected it beside the {other} of "
                    "export"
                )
    if path.is_file():
        return path
    if str(checkpoint) not in names:
        or_name = f", or one of {', '.join(names)}" if names else ""
        raise InputError(
            f"{path}: no such weights; expected {EXPECTED}{or_name} (python -m fastmri_clgnet "
            "weights lists those of the package)"
        )
    return names[str(checkpoint)]
