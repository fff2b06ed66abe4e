"""Reading the model out of a checkpoint of `train_clgnet`, and writing it back into one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from fastmri.pl_modules import MriModule
from pytorch_lightning.callbacks import Callback

from banding.banding_module import BandingModule
from fastmri_clgnet.loading import build, read_model
from fastmri_clgnet.safe_loading import load_tensors, save_tensors

PLAIN = "plain"  # stem of the checkpoint that train_clgnet reads
# what belongs to the source's training, not to its model
_OF_THE_TRAINING = {"optimizer_states", "lr_schedulers", "callbacks"}


class PlainModel(NamedTuple):
    """A model from a checkpoint of `train_clgnet`.

    Args:
        name: Its name in `fastmri_clgnet.training.models.MODELS`.
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
    stored = read_model(path)
    contents = load_tensors(path, "a checkpoint that train_clgnet wrote")
    contents.pop("state_dict", None)
    return PlainModel(stored.model, build(stored).train(), contents)


class SavePlain(Callback):
    """Writes plain.ckpt after every epoch: the reconstruction module alone, for `train_clgnet`.

    Everything that the source's checkpoint says of its model stays as it was. It has no state of an
    optimizer: it serves testing and fine-tuning, not the continuation of the first training.

    Args:
        path: The file to write.
        contents: Of the source's checkpoint, see `PlainModel`.
    """

    def __init__(self, path: Path, contents: dict[str, Any]) -> None:
        """Keep what stays."""
        self.path = path
        self.contents = {
            key: value for key, value in contents.items() if key not in _OF_THE_TRAINING
        }

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file, whole or not at all."""
        if not isinstance(pl_module, BandingModule) or not trainer.is_global_zero:
            return
        state = pl_module.reconstructor.state_dict()
        save_tensors(self.path, {**self.contents, "state_dict": state})
