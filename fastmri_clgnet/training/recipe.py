"""The recipe of a training: its learning rate over one cycle, and averages of its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, WeightAveraging
from pytorch_lightning.utilities.types import LRSchedulerConfig
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from fastmri_clgnet.errors import InputError

Schedule = Literal["step", "onecycle"]
_PLAIN = {"schedule": "step", "ema": None}  # what a checkpoint without the callbacks below is of
# of the optimizer, whose state goes on with the checkpoint's
_OF_THE_OPTIMIZER = ("lr", "lr_step_size", "lr_gamma", "weight_decay")


class OneCycle(Callback):
    """Replaces the module's schedule by torch's `OneCycleLR` over all steps of the training.

    The learning rate of the module's optimizer is the highest one. The rate rises to it, from 1/25
    of it, in the first 30 % of the steps (the warm-up), and falls to almost nothing, both as a
    cosine. Only the rate has a cycle: the optimizer's momentum stays, which optimizers have
    differently or not at all.

    The steps are counted once Lightning has made the data's loader. To count them earlier would
    make it before Lightning knows where a stopped run goes on.
    """

    def __init__(self) -> None:
        """Expect any number of steps."""
        self.steps: int | None = None
        self._stored: dict[str, Any] | None = None
        self._scheduler: OneCycleLR | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the schedule, where the training is."""
        if len(trainer.optimizers) != 1 or not pl_module.automatic_optimization:
            raise InputError(
                f"schedule onecycle: {type(pl_module).__name__} has not one optimizer that "
                "Lightning steps; use schedule step"
            )
        steps = int(trainer.estimated_stepping_batches)
        if self.steps not in (None, steps):
            raise InputError(
                f"schedule onecycle: the checkpoint's cycle has {self.steps} steps, this training "
                f"{steps}. Continue with the same max_epochs, max_steps, data and batches, or "
                "start over with ckpt_path none"
            )
        self.steps = steps
        (optimizer,) = trainer.optimizers
        rates = [group.get("max_lr", group["lr"]) for group in optimizer.param_groups]
        done = -1 if self._stored is None else self._stored["last_epoch"] - 1
        self._scheduler = OneCycleLR(
            optimizer, rates, steps, cycle_momentum=False, last_epoch=done
        )  # it takes the next step, and so sets the rate
        if self._stored is not None:
            self._scheduler.load_state_dict(self._stored)
        config = LRSchedulerConfig(self._scheduler, interval="step")
        trainer.strategy.lr_scheduler_configs = [config]

    def state_dict(self) -> dict[str, Any]:
        """What a run that continues has to have, too, and where the cycle is."""
        state: dict[str, Any] = {"schedule": "onecycle", "steps": self.steps}
        if self._scheduler is not None:
            state["scheduler"] = self._scheduler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on in the cycle."""
        self.steps, self._stored = state_dict["steps"], state_dict["scheduler"]


class AveragedWeights(WeightAveraging):
    """Lightning's exponential moving average of the weights, which are validated and saved.

    A checkpoint's state_dict has the averaged weights, so that whatever reads it uses them, and
    current_model_state has those that the training goes on with. It is `EMAWeightAveraging` with
    all weights averaged by a few operators instead of some for each, and with buffers as they are:
    averaging would round constants such as wavelet filters again and again.
    """

    def __init__(self, decay: float) -> None:
        """Take the share of the former average that stays at each step."""
        if not 0 < decay < 1:
            raise InputError(f"ema {decay}: expected a number between 0 and 1, such as 0.999")
        super().__init__(use_buffers=False, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.decay = decay
        self._validates = False  # with averaged weights in the module, the others in Lightning's

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the averaged weights in place."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._validates = True

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the weights that the training goes on with back."""
        super().on_validation_epoch_end(trainer, pl_module)
        self._validates = False

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save both, also in a validation, where SLURM may ask for it."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._validates:
            swapped = checkpoint["current_model_state"], checkpoint["state_dict"]
            checkpoint["state_dict"], checkpoint["current_model_state"] = swapped

    def state_dict(self) -> dict[str, Any]:
        """What a run that continues has to have, too, beside Lightning's state."""
        return {**super().state_dict(), "ema": self.decay}


def recipe_callbacks(
    schedule: Schedule, ema: float | None, settings: Mapping[str, Any]
) -> list[Callback]:
    """The callbacks of a recipe; they have to stand in front of what writes checkpoints.

    Raises an `InputError` if a value is unknown, or the trainer's settings do not say how many
    steps a cycle has.
    """
    if schedule not in ("step", "onecycle"):
        raise InputError(f"schedule {schedule}: expected step or onecycle")
    endless = settings.get("max_time") is not None or settings.get("max_epochs") == -1
    if schedule == "onecycle" and endless and settings.get("max_steps", -1) in (None, -1):
        raise InputError(
            "schedule onecycle: the cycle is laid out over a number of steps, which max_time, or "
            "epochs without end, do not say; give max_steps, too"
        )
    cycle: list[Callback] = [OneCycle()] if schedule == "onecycle" else []
    return cycle + ([] if ema is None else [AveragedWeights(ema)])


def expect_same_recipe(
    path: Path,
    checkpoint: Mapping[str, Any],
    callbacks: Iterable[Callback],
    arguments: Mapping[str, Any],
) -> None:
    """Raise an `InputError` if a checkpoint's recipe is not that of callbacks and arguments.

    The arguments are the module's. The lowest validation_loss of another loss means nothing.
    """
    theirs = _said(dict(checkpoint.get("callbacks") or {}).values())
    own = _said(each.state_dict() for each in callbacks)
    stored = dict(checkpoint.get("hyper_parameters") or {})
    for name in _OF_THE_OPTIMIZER:
        if name in stored and stored[name] != arguments.get(name):
            theirs[name], own[name] = stored[name], arguments.get(name)
    if "loss" in arguments:  # which files from before it could be chosen leave out
        theirs["loss"] = stored.get("loss", "ssim")
        own["loss"] = arguments["loss"]
    if own.get("loss") == theirs.get("loss") == "ssdu":  # whose held-out columns they settle
        for name in ("ssdu_ratio", "ssdu_masks"):
            theirs[name] = stored[name]
            own[name] = arguments[name]
    if theirs != own:
        said = ", ".join(f"{key} {'null' if v is None else v}" for key, v in theirs.items())
        raise InputError(
            f"{path}: trained with {said}. Give these, or start over with ckpt_path none; "
            "init_weights begins a new training with its weights"
        )


def _said(states: Iterable[Any]) -> dict[str, Any]:
    """What the states of callbacks say of the recipe."""
    said = dict(_PLAIN)
    for state in states:
        said |= {key: state[key] for key in said if isinstance(state, dict) and key in state}
    return said
