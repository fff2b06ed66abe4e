"""Finding, checking and writing checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.loading import MODEL_KEY, TRAINED_ON_KEY, check_fit
from fastmri_clgnet.inference.safe_loading import load_tensors, save_tensors
from fastmri_clgnet.run_folder import BEST, LAST, checkpoint_dir

_REQUEUED = "hpc_ckpt_*.ckpt"  # what Lightning writes before SLURM puts a job back into the queue
_EXPECTED = "a checkpoint that train_clgnet wrote"


def checkpoint_callbacks(root: Path, keep_best: bool = True) -> list[Callback]:
    """Keep best.ckpt (lowest validation_loss) and last.ckpt.

    They are two, since `save_last` of one leaves last.ckpt as it is where validation gets worse.
    The second is written at the end of every epoch, whether or not it was validated.
    """
    folder = checkpoint_dir(root)
    last = ModelCheckpoint(folder, LAST, save_on_train_epoch_end=True, enable_version_counter=False)
    if not keep_best:
        return [last]
    best = ModelCheckpoint(folder, BEST, monitor="validation_loss", enable_version_counter=False)
    return [best, last]


class NameModel(Callback):
    """Writes into every checkpoint which --model it is of, and on which data it is trained."""

    def __init__(self, model: str, trained_on: Mapping[str, Any]) -> None:
        """Take the name."""
        self.model, self.trained_on = model, dict(trained_on)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the name, beside the constructor's arguments that Lightning saves."""
        checkpoint[MODEL_KEY] = self.model
        checkpoint[TRAINED_ON_KEY] = self.trained_on


class CheckpointFiles(TorchCheckpointIO):
    """How Lightning reads and writes checkpoints here: without code, whole or not at all.

    Lightning's own way writes to the folder of temporary files and moves the file from there. Where
    that folder is on another disk (/tmp often is), moving is copying, and an interruption or a full
    disk leaves half a checkpoint in the place of a good one.
    """

    def __init__(self, loaded: dict[Path, dict[str, Any]] | None = None) -> None:
        """Take what `checked` has read already, by its path, to be handed out once."""
        super().__init__()
        self.loaded = loaded or {}

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write one checkpoint; raises an `InputError` if it cannot be written."""
        save_tensors(Path(path), checkpoint)

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read one checkpoint, on the CPU; raises an `InputError` if it would run code."""
        contents = self.loaded.pop(Path(path), None)
        return load_tensors(Path(path), _EXPECTED) if contents is None else contents


def find_checkpoint(name: str | None, root: Path, testing: bool = False) -> Path | None:
    """The checkpoint to load, by file, "last", "best" or "none", or None to start from scratch.

    By default a test takes the best, without which it fails; a training the last, if any.
    """
    folder = checkpoint_dir(root)
    if name is None and not testing:
        paths = [*folder.glob(f"{LAST}.ckpt"), *root.glob(_REQUEUED)]
        return max(paths, key=lambda path: path.stat().st_mtime, default=None)
    if name == "none" and not testing:
        return None
    if name == "none":
        raise InputError("--mode test needs a checkpoint; give --ckpt_path or omit it")
    name = BEST if name is None else name
    path = folder / f"{name}.ckpt" if name in (LAST, BEST) else Path(name)
    if not path.is_file():
        raise InputError(
            f"{path}: no such checkpoint; train first, or give --ckpt_path (or the "
            "--default_root_dir of the run)"
        )
    return path


def forget_requeued(root: Path) -> None:
    """Remove what Lightning saved for a requeued SLURM job, which it would load by itself."""
    for path in root.glob(_REQUEUED):
        path.unlink(missing_ok=True)


def checked(path: Path, module: pl.LightningModule) -> dict[str, Any]:
    """Load a checkpoint onto the CPU, without running code in it, and compare it with the model.

    Raises an `InputError` that says how they differ.
    """
    checkpoint = load_tensors(path, _EXPECTED)
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(
            f"{path}: holds no 'state_dict' of tensors; expected a Lightning checkpoint"
        )
    remedy = "another --default_root_dir or --ckpt_path, or start over with --ckpt_path none"
    check_fit(path, state, checkpoint.get("hyper_parameters") or {}, module, remedy)
    return checkpoint
