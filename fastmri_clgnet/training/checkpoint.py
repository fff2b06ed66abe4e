"""Finding, checking and writing checkpoints."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.safe_loading import load_tensors

LAST, BEST = "last", "best"
# constructor arguments that change what a network does with the same weights
_WITHOUT_PARAMETERS = {"wavelet", "hard_dc", "num_cascades", "mask_center"}
_REQUEUED = "hpc_ckpt_*.ckpt"  # what Lightning writes before SLURM puts a job back into the queue
MODEL_KEY = "fastmri_clgnet_model"  # under which a checkpoint says which --model it is of


def checkpoint_dir(root: Path) -> Path:
    """Where a run keeps its checkpoints."""
    return root / "checkpoints"


def checkpoint_callbacks(root: Path) -> list[Callback]:
    """Keep best.ckpt (lowest validation_loss) and last.ckpt.

    They are two, since `save_last` of one leaves last.ckpt as it is where validation gets worse.
    The second is written at the end of every epoch, whether or not it was validated.
    """
    best = ModelCheckpoint(
        checkpoint_dir(root), BEST, monitor="validation_loss", enable_version_counter=False
    )
    return [best, last_checkpoint(root)]


def last_checkpoint(root: Path) -> ModelCheckpoint:
    """Write last.ckpt at the end of every epoch."""
    return ModelCheckpoint(
        checkpoint_dir(root), LAST, save_on_train_epoch_end=True, enable_version_counter=False
    )


class NameModel(Callback):
    """Writes into every checkpoint which --model it is of, so that it can be rebuilt from the file.

    Args:
        model: The choice of --model.
    """

    def __init__(self, model: str) -> None:
        """Take the name."""
        self.model = model

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the name, beside the constructor's arguments that Lightning saves."""
        checkpoint[MODEL_KEY] = self.model


def find_checkpoint(name: str | None, mode: str, root: Path) -> Path | None:
    """Decide which checkpoint to load.

    Args:
        name: The --ckpt_path flag: a file, "last", "best", "none" or None for the mode's default.
        mode: "train" continues from the last one, if any; "test" needs one and prefers the best.
        root: The run's folder.

    Returns:
        The file, or None to start from scratch.

    Raises:
        InputError: If it does not exist.
    """
    folder = checkpoint_dir(root)
    if name is None and mode == "train":
        paths = [*folder.glob(f"{LAST}.ckpt"), *root.glob(_REQUEUED)]
        return max(paths, key=lambda path: path.stat().st_mtime, default=None)
    if name == "none" and mode == "train":
        return None
    if name == "none":
        raise InputError("--mode test needs a checkpoint; give --ckpt_path or leave it away")
    name = BEST if name is None else name
    path = folder / f"{name}.ckpt" if name in (LAST, BEST) else Path(name)
    if not path.is_file():
        raise InputError(
            f"{path}: no such checkpoint; train first, or give --ckpt_path (or the "
            "--default_root_dir of the run)"
        )
    return path


def forget_requeued(root: Path) -> None:
    """Remove what Lightning saved for a requeued SLURM job, which it would load by itself.

    Args:
        root: The run's folder.
    """
    for path in root.glob(_REQUEUED):
        path.unlink(missing_ok=True)


def check_checkpoint(path: Path, module: pl.LightningModule) -> None:
    """Load a checkpoint without running any code it may hold, and compare it with the model.

    Args:
        path: A Lightning checkpoint.
        module: The module that it is to be loaded into.

    Raises:
        InputError: If it cannot be read, or is of another model or size; says how they differ.
    """
    checkpoint = load_tensors(path, "a checkpoint that train_clgnet wrote")
    state, expected = checkpoint.get("state_dict"), module.state_dict()
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(
            f"{path}: holds no 'state_dict' of tensors; expected a Lightning checkpoint"
        )
    same_shapes = {k: v.shape for k, v in state.items()} == {
        k: v.shape for k, v in expected.items()
    }
    theirs = checkpoint.get("hyper_parameters") or {}
    compared = _WITHOUT_PARAMETERS if same_shapes else _architecture(module)
    differences = [
        f"--{name} {theirs[name]}"
        for name, value in module.hparams.items()
        if name in theirs and theirs[name] != value and name in compared
    ]
    if same_shapes and not differences:
        return
    if differences:
        raise InputError(
            f"{path}: of another model or size, trained with {' '.join(differences)}. Give "
            "these flags, or another --default_root_dir, or start over with --ckpt_path none"
        )
    name = next(iter(state.keys() ^ expected.keys()), "sizes")
    raise InputError(
        f"{path}: of another model ({name} does not fit {type(module).__name__}). Give another "
        "--default_root_dir or --ckpt_path, or start over with --ckpt_path none"
    )


def _architecture(module: pl.LightningModule) -> set[str]:
    """The constructor's arguments that change no optimizer or logging setting."""
    optimizer = {"lr", "lr_step_size", "lr_gamma", "weight_decay"}
    training = {*optimizer, "num_log_images", "checkpoint_activations"}
    return set(inspect.signature(type(module)).parameters) - training


def weights_only(trainer_method: Any) -> dict[str, Any]:
    """Ask `Trainer.fit` and its like for safe loading, where this Lightning has the switch.

    Older ones have not; there `check_checkpoint` has refused unsafe files before.
    """
    return (
        {"weights_only": True}
        if "weights_only" in inspect.signature(trainer_method).parameters
        else {}
    )
