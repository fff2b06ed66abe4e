"""NaN and Inf in a sample, a loss or a gradient: stop and say where, or skip the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.training.distributed import gather, say

NanAction = Literal["stop", "skip"]
_NAMED = 10  # slices that a message names at most
_OF_THE_GRADIENT = "NaN or Inf in the gradient"


class OnNan(Callback):
    """Keeps NaN and Inf out of the weights and out of the checkpoints.

    Before each step of an optimizer the loss and the largest magnitude of the gradients are looked
    at together: one pass over the gradients, and one number that the processor waits for. All
    processes of a run decide alike. Under 16-mixed precision the gradients are left to the
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
        self._steps_of_epoch = self._skipped_of_epoch = 0
        self._whole_epoch = False  # not where a stopped one goes on
        self._losses: list[torch.Tensor] = []  # of this batch
        self._causes: list[str] = []  # of this step, which may take several batches
        self._validation_causes: list[str] = []
        self._batch: Any = None
        self._stepped = True
        self._counted = False
        self._statistics: list[tuple[torch.Tensor, torch.Tensor]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count anew."""
        self._steps_of_epoch = self._skipped_of_epoch = 0
        self._whole_epoch = True

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch, and what a bad one would spoil without an optimizer."""
        self._batch = batch
        self._losses.clear()
        if not self._stepped:
            return
        self._stepped = self._counted = False
        self._causes.clear()
        if self.action == "skip":
            self._statistics = [(buffer, buffer.clone()) for buffer in _statistics(pl_module)]

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
        """Look at loss and gradients; stop, or let this step do nothing."""
        self._stepped = True
        values = list(self._losses)
        self._losses.clear()
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            parameters = (p for group in optimizer.param_groups for p in group["params"])
            values.append(largest_magnitude(p.grad for p in parameters if p.grad is not None))
        bad = not all_finite(values)
        if bad and not self._causes:
            loss_is_fine = all_finite(values[:-1]) and len(values) > 1
            self._causes.append(describe(self._batch, "gradient" if loss_is_fine else "loss"))
        bad = trainer.strategy.reduce_boolean_decision(bad or bool(self._causes), all=False)
        if not self._counted:
            self._steps_of_epoch += 1
        if not bad:
            return
        found = gather(self._causes)
        # gradients are means over processes: whose loss is bad is at fault, not who shares it
        causes = [cause for cause in found if not cause.startswith(_OF_THE_GRADIENT)] or found
        where = f"step {trainer.global_step}: {_joined(causes)}"
        if self.action == "stop":
            raise InputError(
                f"{where}. Stopped before the weights changed; the last checkpoint is as it was. "
                "Mend or remove these volumes if they are at fault, lower --lr or give "
                "--gradient_clip_val if training diverges, or leave such batches out by "
                "--on_nan skip"
            )
        optimizer.zero_grad(set_to_none=True)  # an optimizer leaves parameters without one alone
        for buffer, before in self._statistics:
            buffer.copy_(before)
        if not self._counted:
            self._counted = True
            self.skipped += 1
            self._skipped_of_epoch += 1
            say(f"\nSkipped {where}")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look at the loss of a batch whose gradients are accumulated, while it is at hand."""
        if not self._stepped and not all_finite(self._losses):
            self._causes.append(describe(batch, "loss"))
        self._batch = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the count; an epoch without any step is no training."""
        if self.action == "stop":
            return
        pl_module.log("skipped_steps", float(self.skipped))
        if self._whole_epoch and self._skipped_of_epoch == self._steps_of_epoch > 0:
            raise InputError(
                f"epoch {trainer.current_epoch}: all of its {self._steps_of_epoch} steps were "
                "skipped for NaN or Inf; start from an earlier checkpoint, with a lower --lr"
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
            self._validation_causes.append(describe(batch, "validation loss"))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop, all processes together."""
        causes, self._validation_causes = self._validation_causes, []
        if trainer.strategy.reduce_boolean_decision(bool(causes), all=False):
            raise InputError(
                f"validation after step {trainer.global_step}: {_joined(gather(causes))}. The last "
                "checkpoint is as it was; mend or remove these volumes if they are at fault, else "
                "continue with a lower --lr"
            )

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse to replace a checkpoint by one with NaN or Inf."""
        state = checkpoint["state_dict"].values()
        if not all_finite([largest_magnitude(v for v in state if v.is_floating_point())]):
            raise InputError(
                f"step {trainer.global_step}: the weights hold NaN or Inf, and are not saved; the "
                "last checkpoint is as it was. The same command continues from it; lower --lr or "
                "give --gradient_clip_val"
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


def describe(batch: Any, what: str) -> str:
    """Say in which slices of a batch NaN or Inf came up.

    Args:
        batch: Of samples of fastMRI's transforms, or a named tuple around such a batch.
        what: What came out of it that is not finite.

    Returns:
        The slices whose own values are at fault; where there are none, all of the batch, with what
        came out of them.
    """
    sample = next((part for part in (batch, *batch) if hasattr(part, "fname")), None)
    if sample is None:
        return f"NaN or Inf in the {what}"
    names = [
        f"{name}, slice {number}"
        for name, number in zip(sample.fname, sample.slice_num.tolist(), strict=True)
    ]
    bad = [any(_spoiled(value[i]) for value in _tensors(sample)) for i in range(len(names))]
    if any(bad):
        culprits = [name for name, is_bad in zip(names, bad, strict=True) if is_bad]
        return f"{_joined(culprits)}: the sample holds NaN or Inf"
    return f"NaN or Inf in the {what} of {_joined(names)}"


def _tensors(sample: Any) -> list[torch.Tensor]:
    """What a batch holds of numbers, each with the batch's axis in front."""
    tensors = [value for value in sample if isinstance(value, torch.Tensor)]
    return [value for value in tensors if value.is_floating_point() and value.ndim > 0]


def _spoiled(values: torch.Tensor) -> bool:
    return not bool(values.isfinite().all())


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
