"""Which checkpoints a run keeps."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel

from fastmri_clgnet.run_folder import checkpoint_dir
from fastmri_clgnet.training.checkpoints import checkpoint_callbacks


class GettingWorse(BoringModel):
    """Its validation loss rises from epoch to epoch."""

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        """Log the epoch as the loss."""
        self.log("validation_loss", torch.tensor(float(self.current_epoch)))


def test_last_is_the_last_and_best_the_best_where_validation_gets_worse(tmp_path: Path) -> None:
    trainer = pl.Trainer(
        default_root_dir=tmp_path,
        callbacks=list(checkpoint_callbacks(tmp_path)),
        accelerator="cpu",
        max_epochs=3,
        limit_train_batches=2,
        limit_val_batches=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(GettingWorse())
    steps = {
        path.name: torch.load(path, weights_only=True)["global_step"]
        for path in checkpoint_dir(tmp_path).iterdir()
    }
    assert steps == {"best.ckpt": 2, "last.ckpt": 6}
