"""Finding, checking and writing checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.safe_loading import load_tensors, save_tensors
from fastmri_clgnet.formats.state_names import load_whatever_wraps
from fastmri_clgnet.inference.loading import MODEL_KEY, TRAINED_ON_KEY, check_fit
from fastmri_clgnet.pl_modules.registry import name_of
from fastmri_clgnet.run_folder import BEST, LAST, checkpoint_dir

_VOLUMES_KEY = "fastmri_clgnet_volumes"
_TASK_KEY = "fastmri_clgnet_task"
_REQUEUED = "hpc_ckpt_"  # as Lightning names what it saves when SLURM's signal comes
_EXPECTED = "a checkpoint that train_clgnet wrote"


def checkpoint_callbacks(root: Path, keep_best: bool = True) -> list[ModelCheckpoint]:
    """Keep best.ckpt (lowest validation_loss) and last.ckpt.

    They are two, since `save_last` of one leaves last.ckpt as it is where validation gets worse.
    The second is written at the end of every epoch, whether or not it was validated. It leaves the
    clock to `SaveAndStop`.
    """
    folder = checkpoint_dir(root)
    last = ModelCheckpoint(folder, LAST, save_on_train_epoch_end=True, enable_version_counter=False)
    if not keep_best:
        return [last]
    best = ModelCheckpoint(folder, BEST, monitor="validation_loss", enable_version_counter=False)
    return [best, last]


class NameModel(Callback):
    """Writes into every checkpoint which --model it is of, and on which data it is trained."""

    def __init__(
        self, trained_on: Mapping[str, Any], volumes: str, task: Mapping[str, Any]
    ) -> None:
        """Take what is said of the data, a hash of the volumes' names, and `task_of` the run."""
        self.trained_on = dict(trained_on)
        self.volumes = volumes
        self.task = dict(task)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the name, beside the constructor's arguments that Lightning saves."""
        model = name_of(pl_module)
        if model is not None:
            checkpoint |= {MODEL_KEY: model, TRAINED_ON_KEY: self.trained_on}
        checkpoint |= {_VOLUMES_KEY: self.volumes, _TASK_KEY: self.task}


def expect_same_volumes(
    path: Path, checkpoint: Mapping[str, Any], callbacks: Iterable[Callback]
) -> None:
    """Raise an `InputError` if a checkpoint is of other volumes, or of another split."""
    own = [each.volumes for each in callbacks if isinstance(each, NameModel)]
    if own and checkpoint.get(_VOLUMES_KEY) not in (None, *own):
        raise InputError(
            f"{path}: trained and validated on other volumes than those that are given now; "
            "give another default_root_dir, or start over with ckpt_path none. To go on with "
            "these, say so by ckpt_path FILE, or begin a new training with init_weights FILE"
        )


def expect_same_task(
    path: Path, checkpoint: Mapping[str, Any], callbacks: Iterable[Callback]
) -> None:
    """Raise an `InputError` if a checkpoint is of other masks, changes of slices, or objective.

    Its best validation_loss would not mean the same, and best.ckpt could stay for ever.
    """
    theirs = checkpoint.get(_TASK_KEY)
    for own in (each.task for each in callbacks if isinstance(each, NameModel)):
        if theirs in (None, own):
            continue
        said = "; ".join(
            f"{name} {'null' if value is None else value}"
            for name, value in theirs.items()
            if own.get(name) != value
        )
        raise InputError(
            f"{path}: trained with {said or 'another objective'}. Give these, another "
            "default_root_dir, or start over with ckpt_path none. To go on nevertheless, say so "
            "by ckpt_path last; init_weights begins a new training with its weights"
        )


class CheckpointFiles(TorchCheckpointIO):
    """How Lightning reads and writes checkpoints here: without code, whole or not at all.

    Lightning's own way writes to the folder of temporary files and moves the file from there. Where
    that folder is on another disk (/tmp often is), moving is copying, and an interruption or a full
    disk leaves half a checkpoint in the place of a good one.

    What Lightning saves at SLURM's signal is not written: the signal may come amid a step or in a
    validation, and Lightning would read the file in every validation and test. The requeue that
    follows ends the job by SIGTERM, at which `SaveAndStop` saves a whole step.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write one checkpoint; raises an `InputError` if it cannot be written."""
        if not Path(path).name.startswith(_REQUEUED):
            save_tensors(Path(path), checkpoint)

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read one checkpoint, on the CPU; raises an `InputError` if it would run code.

        Where the run's folder was moved, best.ckpt is beside the file that is read: of another
        folder than its own Lightning would forget how good it is, and replace it by a worse one.
        """
        checkpoint = load_tensors(Path(path), _EXPECTED)
        folder = Path(path).resolve().parent
        for state in (checkpoint.get("callbacks") or {}).values():
            if isinstance(state, dict) and "best_model_path" in state and "dirpath" in state:
                _move(state, folder)
        return checkpoint


def _move(state: dict[str, Any], folder: Path) -> None:
    """Let the state of a `ModelCheckpoint` speak of a folder, if its best file is there."""

    def moved(path: str) -> str:
        return str(folder / Path(path).name) if path else path

    if (folder / Path(state["best_model_path"]).name).is_file():
        state["dirpath"] = str(folder)
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[name] = moved(state[name])
        state["best_k_models"] = {moved(path): v for path, v in state["best_k_models"].items()}


def last_checkpoint(given: Path | str | None, root: Path) -> Path | None:
    """The checkpoint that a training continues from; None where it starts from scratch.

    Args:
        given: A file, "last", "best" or "none". By default the last one, if any.
        root: The run's folder.
    """
    if str(given) == "none":
        return None
    if given is not None:
        return find_checkpoint(given, root)
    path = checkpoint_dir(root) / f"{LAST}.ckpt"
    return path if path.is_file() else None


def find_checkpoint(given: Path | str, root: Path) -> Path:
    """A checkpoint that has to exist: a file, or "last" or "best" of a run's folder."""
    path = Path(given)
    if str(given) in (LAST, BEST):
        path = checkpoint_dir(root) / f"{given}.ckpt"
    if not path.is_file():
        raise InputError(
            f"{path}: no such checkpoint; train first, or give ckpt_path (or the default_root_dir "
            "of the run)"
        )
    return path


def kept_checkpoint(root: Path, best: str) -> Path | None:
    """What a training has kept: the best checkpoint, or else the last one, if any.

    `best` is what Lightning's callback says. Of a training that was not validated it says nothing,
    or the best checkpoint of the run that it began with, and best.ckpt is of a former run here.
    """
    folder = checkpoint_dir(root)
    is_own = bool(best) and Path(best).resolve().parent == folder.resolve()
    paths = (folder / f"{name}.ckpt" for name in ((BEST, LAST) if is_own else (LAST,)))
    return next((path for path in paths if path.is_file()), None)


def checked(path: Path, module: pl.LightningModule) -> dict[str, Any]:
    """Load a checkpoint onto the CPU, without running code in it, and compare it with the model.

    The module's `load_state_dict` takes the names of a compiled or parallel one from here on.
    Raises an `InputError` that says how they differ.
    """
    checkpoint = load_tensors(path, _EXPECTED)
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(
            f"{path}: holds no 'state_dict' of tensors; expected a Lightning checkpoint"
        )
    remedy = "another default_root_dir or ckpt_path, or start over with ckpt_path none"
    arguments, model = checkpoint.get("hyper_parameters") or {}, checkpoint.get(MODEL_KEY)
    check_fit(path, state, arguments, module, remedy, model)
    load_whatever_wraps(module)
    return checkpoint
