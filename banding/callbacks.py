"""Callbacks of a fine-tuning: keep the best model, print a row per epoch, stop early."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from banding.banding_module import BandingModule
from fastmri_clgnet.formats.safe_loading import save_tensors
from fastmri_clgnet.inference.loading import as_checkpoint

SSIM_TOLERANCE = 0.005  # how much SSIM may fall in the best checkpoint
Keep = Literal["score", "last"]
COLUMNS = {  # of the printed table: name of the logged value, heading
    "banding_score": "banding score",
    "banding_energy": "energy (target 1)",
    "adversary_accuracy": "adversary's accuracy",
    "val_metrics/ssim": "SSIM",
    "val_metrics/psnr": "PSNR (dB)",
}


class KeepBest(Callback):
    """Writes plain.ckpt, only the reconstruction module, whenever a validation is the best so far.

    The best is the one with the banding score nearest to 0 among those whose SSIM is at most
    SSIM_TOLERANCE below that before the fine-tuning; of equal scores, the one of higher SSIM. If
    there is none, or nothing could be scored, it is that of highest SSIM. The warm-up does not
    count: its weights are those before. Adversarial training oscillates around its goal, so the
    last epoch is seldom the best one. With keep "last" it is the last validation, as in the
    released code, which has no score.
    """

    def __init__(self, path: Path, ssim_before: float, keep: Keep = "score") -> None:
        self.path = path
        self.keep = keep
        self.lowest_ssim = ssim_before - SSIM_TOLERANCE
        self.best: tuple[float, ...] = (-math.inf,)
        self.epoch = 0  # that of the best checkpoint, counted from 1; 0 for none
        self.accuracy = float("nan")  # the adversary's in that epoch

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a continued run needs."""
        return {"best": list(self.best), "epoch": self.epoch, "accuracy": self.accuracy}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state, unless the file has been removed."""
        if self.path.is_file():
            self.best = tuple(state_dict["best"])
            self.epoch, self.accuracy = state_dict["epoch"], state_dict["accuracy"]

    def rank(self, metrics: Mapping[str, Any]) -> tuple[float, ...]:
        """Rank a validation: whether SSIM is high enough, then the banding score, then SSIM."""
        score, ssim = (float(metrics[name]) for name in ("banding_score", "val_metrics/ssim"))
        bands = math.inf if math.isnan(score) else abs(score)  # NaN: nothing was measured
        good = ssim >= self.lowest_ssim
        return good, -bands if good else ssim, ssim

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file, whole or not at all, if this validation is the best so far."""
        if not isinstance(pl_module, BandingModule):
            return
        if trainer.sanity_checking or pl_module.in_warmup:
            return
        rank = self.rank(trainer.callback_metrics)
        if self.keep == "last":
            rank = (float(trainer.global_step), rank[-1])
        if not (math.isfinite(rank[-1]) and rank > self.best):
            return
        self.best, self.epoch = rank, trainer.current_epoch + 1
        if trainer.is_global_zero:
            save_tensors(self.path, as_checkpoint(pl_module.reconstructor))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Store the adversary's accuracy, which is only available now."""
        accuracy = trainer.callback_metrics.get("adversary_accuracy")
        if self.epoch == trainer.current_epoch + 1 and accuracy is not None:
            self.accuracy = float(accuracy)


class StopAfter(Callback):
    """Stops after a number of training batches; Lightning counts the steps of both optimizers."""

    def __init__(self, n_batches: int) -> None:
        self.n_batches = n_batches

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the batches are done already."""
        self.on_train_batch_end(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop once the batches are done, including those before a continuation."""
        if trainer.fit_loop.total_batch_idx + 1 >= self.n_batches:
            trainer.should_stop = True


class PrintRow(Callback):
    """Prints banding score, adversary's accuracy and SSIM side by side after every epoch."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the row, in the first process only."""
        if trainer.is_global_zero:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            print_row(f"epoch {trainer.current_epoch + 1}", metrics)


def print_heading() -> None:
    """Print the heading of the table."""
    print(f"{'':18}" + "".join(f"  {title:>20}" for title in COLUMNS.values()))


def print_row(name: str, metrics: Mapping[str, float]) -> None:
    """Print one row of the table; missing values stay empty."""
    cells = (f"{metrics[key]:.4f}" if key in metrics else "" for key in COLUMNS)
    print(f"{name:18}" + "".join(f"  {cell:>20}" for cell in cells), flush=True)
