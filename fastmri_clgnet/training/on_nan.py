"""NaN and Inf in a sample, a loss or a gradient: stop and say where, or skip the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.training.distributed import gather, say

NanAction = Literal["stop", "skip"]
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalisation
_REMEDY = (
    "fix or remove these volumes if they are at fault, lower lr or give gradient_clip_val if "
    "training diverges"
)


class OnNan(Callback):
    """Keeps NaN and Inf out of the weights and out of the checkpoints.

    Losses and gradients are checked before each step of an optimizer, with one wait for the
    device. All processes decide alike. Under 16-mixed precision the gradient scaler skips
    overflowing gradients by design, so only the loss is checked.

    "stop" raises an InputError that names step, files and slices. "skip" throws the step's
    gradients away, of all its batches, puts running statistics back, and counts the step. NaN and
    Inf in a whole epoch, in validation, or in weights about to be saved are an error either way.
    """

    def __init__(self, action: NanAction = "stop") -> None:
        """Start counting."""
        if action not in ("stop", "skip"):
            raise ValueError(f"on_nan={action!r}: expected stop or skip")
        self.action = action
        self.skipped = 0
        self._took_step = True  # in this epoch; assumed if the run continues within one
        self._batch: Any = None
        # of this step, which may take several batches and several optimizers
        self._losses: list[torch.Tensor] = []
        self._is_bad = False
        self._statistics: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._in_validation: list[str] = []  # the first batch at fault

    def on_train_epoch_start(self, *_: Any) -> None:
        """No step yet."""
        self._took_step = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch, and what a bad one would spoil without an optimizer."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._losses, self._is_bad = [], False
            if self.action == "skip":
                buffers = [b for n, b in pl_module.named_buffers() if n.endswith(_STATISTICS)]
                self._statistics = [(buffer, buffer.clone()) for buffer in buffers]
        self._batch = batch

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor
    ) -> None:
        """Keep the loss; it is checked together with the gradients."""
        self._losses.append(loss.detach().float())

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Check losses and gradients; stop, or let this step do nothing."""
        values = list(self._losses)
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            parameters = (p for group in optimizer.param_groups for p in group["params"])
            values += [p.grad for p in parameters if p.grad is not None]
        bad_here, bad_before = not _finite(values), self._is_bad
        self._is_bad = trainer.strategy.reduce_boolean_decision(bad_here or bad_before, all=False)
        if not self._is_bad:
            self._took_step = True
            return
        if not bad_before:
            several = trainer.accumulate_grad_batches
            what = "gradient" if _finite(self._losses) else "loss"
            found = gather([_describe(self._batch, what, several)] if bad_here else [])
            # gradients are means over processes: whose loss is bad is at fault, not who shares it
            causes = [cause for cause in found if "NaN or Inf in the gradient" not in cause]
            where = f"step {trainer.global_step}: " + "; ".join(causes or found)
            if self.action == "stop":
                raise InputError(
                    f"{where}. Stopped before the weights changed; the last checkpoint is "
                    f"unchanged: {_REMEDY}, or leave such batches out by on_nan skip"
                )
            self.skipped += 1
            say(f"\nSkipped {where}")
        optimizer.zero_grad(set_to_none=True)  # an optimizer skips parameters without one
        for buffer, before in self._statistics:
            buffer.copy_(before)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the count; an epoch without any step is no training."""
        if self.action == "skip":
            pl_module.log("skipped_steps", float(self.skipped))
        if not self._took_step:
            raise InputError(
                f"epoch {trainer.current_epoch}: all of its steps were skipped for NaN or Inf; "
                "start from an earlier checkpoint, with a lower lr"
            )

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Say how many were skipped."""
        if self.action == "skip":
            say(f"\nSteps skipped for NaN or Inf: {self.skipped} (of {trainer.global_step})")

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Check the loss of a validation batch."""
        if not self._in_validation and not _finite([outputs["val_loss"]]):
            self._in_validation = [_describe(batch, "validation loss")]

    def on_validation_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop, all processes together."""
        causes, self._in_validation = gather(self._in_validation), []
        if causes:
            raise InputError(
                f"validation after step {trainer.global_step}: {causes[0]}. The last checkpoint "
                f"is unchanged: {_REMEDY}"
            )

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse to replace a checkpoint by one with NaN or Inf."""
        state = checkpoint["state_dict"].values()
        if not _finite(v for v in state if v.is_floating_point()):
            raise InputError(
                f"step {trainer.global_step}: the weights hold NaN or Inf, and are not saved; the "
                f"last checkpoint is unchanged. The same command continues from it: {_REMEDY}"
            )

    def state_dict(self) -> dict[str, Any]:
        """The count, if any."""
        return {"skipped": self.skipped} if self.skipped else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.skipped = int(state_dict["skipped"])


def _finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether no value is NaN or Inf; waits for the device once."""
    return bool(torch.nn.utils.get_total_norm(list(tensors), norm_type=math.inf).isfinite())


def _describe(batch: Any, what: str, n_batches: int = 1) -> str:
    """Name the slices whose own values are at fault; without any, all of them and what failed."""
    sample = next(part for part in (batch, *batch) if hasattr(part, "fname"))
    numbered = zip(sample.fname, sample.slice_num, strict=True)
    names = [f"{name}, slice {int(number)}" for name, number in numbered]
    tensors = [v for v in sample if isinstance(v, torch.Tensor) and v.is_floating_point()]
    by_slice = [[v[i] for v in tensors if v.ndim > 0] for i in range(len(names))]
    culprits = [name for name, own in zip(names, by_slice, strict=True) if not _finite(own)]
    if culprits:
        return "; ".join(culprits) + ": the sample holds NaN or Inf"
    several = f"up to {n_batches} batches that end with " if n_batches > 1 else ""
    return f"NaN or Inf in the {what} of {several}{'; '.join(names)}"
