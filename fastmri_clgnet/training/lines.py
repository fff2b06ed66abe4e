"""A line for each validation, where the output is a file."""

from __future__ import annotations

import sys
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from fastmri_clgnet.training.distributed import say

_NAMES = {  # as the modules log them, and as the line says them
    "train_loss": "train_loss {:.4g}",
    "validation_loss": "validation_loss {:.4g}",
    "val_metrics/psnr": "PSNR {:.2f} dB",
    "val_metrics/ssim": "SSIM {:.4f}",
}


class Lines(Callback):
    """Prints losses and metrics after each validation, such as in the log of a cluster's job.

    In a terminal the progress bar shows them.
    """

    def on_validation_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Say where the training is."""
        if trainer.sanity_checking or (sys.stdout.isatty() and trainer.progress_bar_callback):
            return
        logged = trainer.callback_metrics
        values = [
            text.format(float(logged[name])) for name, text in _NAMES.items() if name in logged
        ]
        place = f"epoch {trainer.current_epoch}, step {trainer.global_step}"
        say(f"{place}: {', '.join(values)}")
