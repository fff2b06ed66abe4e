"""Random numbers of a training step that do not depend on the steps before it."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from fastmri_clgnet.data.seeded_slices import derive_seed


class SeedSteps(Callback):
    """Seeds torch's generators before each batch with the run's seed, process, epoch and batch.

    What a step draws, such as negatives and dropout, is then the same in a run that went on from a
    checkpoint as in one that was never stopped; no state of generators has to be kept.

    Args:
        seed: Of the run, 0 or more.
    """

    def __init__(self, seed: int) -> None:
        """Take the seed."""
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed the CPU's and the accelerators' generators."""
        torch.manual_seed(
            derive_seed(self.seed, trainer.global_rank, trainer.current_epoch, batch_idx)
        )
