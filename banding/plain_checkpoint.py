"""Reading the model out of a checkpoint of `train_clgnet`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fastmri.pl_modules import MriModule

PLAIN = "plain"  # stem of the checkpoint that is kept, and that train_clgnet reads
SSIM_TOLERANCE = 0.005  # how much SSIM may fall for the bands' sake in what is kept


class PlainModel(NamedTuple):
    """A model from a checkpoint of `train_clgnet`.

    Args:
        name: Its name in `fastmri_clgnet.pl_modules.registry.MODELS`.
        module: Its Lightning module, with the weights.
        contents: What else the checkpoint holds, by key.
    """

    name: str
    module: MriModule
    contents: dict[str, Any]


def load_plain(path: Path) -> PlainModel:
    """Make the module that a checkpoint of `train_clgnet` holds; no code in it is run.

    Args:
        path: A checkpoint of `train_clgnet`.

    Returns:
        The model.

    Raises:
        InputError: If it cannot be read, or is of no model of this library.
    """
    from fastmri_clgnet.loading import build, read_model
    from fastmri_clgnet.safe_loading import load_tensors

    stored = read_model(path)
    contents = load_tensors(path, "a checkpoint that train_clgnet wrote")
    contents.pop("state_dict", None)
    return PlainModel(stored.model, build(stored).train(), contents)
