"""NaN and Inf in a sample, a loss or a gradient: stop and say where, or skip the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.training.distributed import gather, say
from fastmri_clgnet.training.run import NanAction

_NAMED = 10  # slices that a message names at most
_REMEDY = (
    "fix or remove these volumes if they are at fault, lower lr or give gradient_clip_val if "
    "training diverges"
)


class OnNan(Callback):
    """Keeps NaN and Inf out of the weights and out of the checkpoints.

    Before each step of an optimizer the losses and the largest magnitude of the gradients are
    looked at together: one pass over the gradients, and one number that the processor waits for.
    All processes of a run decide alike. Under 16-mixed precision the gradients are left to the
    gradient scaler, which skips steps whose gradients overflow by design; the loss is looked at.

    "stop" raises an error that names step, files and slices; nothing is saved. "skip" throws the
    gradients of that step away, so that the optimizer changes nothing (its step counts as one of
    max_steps), and puts running statistics of batch normalisation back; with
    accumulate_grad_batches this loses all batches of the step. The count is logged after each epoch
    as skipped_steps, kept in checkpoints, and printed at the end. An epoch of which every step was
    skipped is an error, and so, whatever the action, are NaN and Inf in validation or in weights
    that are about to be saved.

    Args:
        action: "stop" or "skip".

    Attributes:
        skipped: Steps that were skipped.

    Raises:
        ValueError: If the action is another.
        InputError: In training, as above.
    """

    def __init__(self, action: NanAction = "stop") -> None:
        """Start counting."""
        if action not in ("stop", "skip"):
            raise ValueError(f"action={action!r}: expected stop or skip")
        self.action = action
        self.skipped = 0
        self._good_steps: int | None = None  # of this epoch; None where a stopped one goes on
        # of this step, which may take several batches and several optimizers
        self._batches: list[Any] = []
        self._losses: list[torch.Tensor] = []
        self._is_bad = False
        self._statistics: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._in_validation: list[str] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the steps of an epoch from its start."""
        self._good_steps = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch, and what a bad one would spoil without an optimizer."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._batches.clear()
            self._losses.clear()
            self._is_bad = False
            if self.action == "skip":
                self._statistics = [(buffer, buffer.clone()) for buffer in _statistics(pl_module)]
        self._batches.append(batch)

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor
    ) -> None:
        """Keep the loss; it is looked at together with the gradients."""
        self._losses.append(loss.detach().float())

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Look at losses and gradients; stop, or let this step do nothing."""
        values = list(self._losses)
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            parameters = (p for group in optimizer.param_groups for p in group["params"])
            values.append(largest_magnitude(p.grad for p in parameters if p.grad is not None))
        is_bad_here = not all_finite(values)
        first = not self._is_bad
        self._is_bad = trainer.strategy.reduce_boolean_decision(
            is_bad_here or self._is_bad, all=False
        )
        if not self._is_bad:
            self._good_steps = None if self._good_steps is None else self._good_steps + 1
            return
        if first:
            losses = [not all_finite([loss]) for loss in self._losses]
            at_fault = [b for b, bad in zip(self._batches, losses, strict=False) if bad]
            what = "loss" if at_fault else "gradient"
            found = gather([describe(at_fault or self._batches, what)] if is_bad_here else [])
            # gradients are means over processes: whose loss is bad is at fault, not who shares it
            causes = [cause for cause in found if "NaN or Inf in the gradient" not in cause]
            where = f"step {trainer.global_step}: {_joined(causes or found)}"
            if self.action == "stop":
                raise InputError(
                    f"{where}. Stopped before the weights changed; the last checkpoint is "
                    f"unchanged: {_REMEDY}, or leave such batches out by on_nan skip"
                )
            self.skipped += 1
            say(f"\nSkipped {where}")
        optimizer.zero_grad(set_to_none=True)  # an optimizer leaves parameters without one alone
        for buffer, before in self._statistics:
            buffer.copy_(before)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the count; an epoch without any step is no training."""
        if self.action == "stop":
            return
        pl_module.log("skipped_steps", float(self.skipped))
        if self._good_steps == 0:
            raise InputError(
                f"epoch {trainer.current_epoch}: all of its steps were skipped for NaN or Inf; "
                "start from an earlier checkpoint, with a lower lr"
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how many were skipped."""
        if self.action == "skip":
            say(f"\nSteps skipped for NaN or Inf: {self.skipped} (of {trainer.global_step})")

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Look at the loss of a validation batch."""
        if not all_finite([torch.as_tensor(outputs["val_loss"])]):
            self._in_validation.append(describe([batch], "validation loss"))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop, all processes together."""
        causes, self._in_validation = self._in_validation, []
        if trainer.strategy.reduce_boolean_decision(bool(causes), all=False):
            raise InputError(
                f"validation after step {trainer.global_step}: {_joined(gather(causes))}. The last "
                f"checkpoint is unchanged: {_REMEDY}"
            )

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse to replace a checkpoint by one with NaN or Inf."""
        state = checkpoint["state_dict"].values()
        if not all_finite([largest_magnitude(v for v in state if v.is_floating_point())]):
            raise InputError(
                f"step {trainer.global_step}: the weights hold NaN or Inf, and are not saved; the "
                f"last checkpoint is unchanged. The same command continues from it: {_REMEDY}"
            )

    def state_dict(self) -> dict[str, Any]:
        """The count, where there is one."""
        return {"skipped": self.skipped} if self.skipped else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.skipped = int(state_dict["skipped"])


def largest_magnitude(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """The largest magnitude of all values, a scalar; NaN if one of them is."""
    return torch.nn.utils.get_total_norm(list(tensors), norm_type=math.inf)


def all_finite(scalars: list[torch.Tensor]) -> bool:
    """Whether no scalar is NaN or Inf; waits for the device once."""
    if not scalars:
        return True
    device = scalars[0].device
    return bool(torch.stack([s.float().to(device).reshape(()) for s in scalars]).isfinite().all())


def describe(batches: list[Any], what: str) -> str:
    """Say in which slices of batches NaN or Inf came up.

    Args:
        batches: Each of samples of fastMRI's transforms, or a named tuple around such a batch.
        what: What came out of them that is not finite.

    Returns:
        The slices whose own values are at fault; where there are none, all of them, with what came
        out of them.
    """
    names, culprits = [], []
    for batch in batches:
        sample = next((part for part in (batch, *batch) if hasattr(part, "fname")), None)
        if sample is None:
            continue
        tensors = [v for v in sample if isinstance(v, torch.Tensor) and v.is_floating_point()]
        for i, (name, number) in enumerate(zip(sample.fname, sample.slice_num, strict=True)):
            names.append(f"{name}, slice {int(number)}")
            if not all(v[i].isfinite().all() for v in tensors if v.ndim > 0):
                culprits.append(names[-1])
    if culprits:
        return f"{_joined(culprits)}: the sample holds NaN or Inf"
    return f"NaN or Inf in the {what}" + (f" of {_joined(names)}" if names else "")


def _joined(names: list[str]) -> str:
    """A list of names of readable length."""
    shown = "; ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown}; and {len(names) - _NAMED} more"


def _statistics(module: nn.Module) -> list[torch.Tensor]:
    """What a forward pass in training changes: running statistics of batch normalisation."""
    layers = [each for each in module.modules() if isinstance(each, nn.modules.batchnorm._NormBase)]
    return [
        buffer
        for layer in layers
        for buffer in (layer.running_mean, layer.running_var, layer.num_batches_tracked)
        if buffer is not None
    ]
