"""Which checkpoints a run keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel

from fastmri_clgnet.run_folder import checkpoint_dir
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training.checkpoints import CheckpointFiles, checkpoint_callbacks
from tests.helpers import QUIET, SMALL


class GettingWorse(BoringModel):
    """Its validation loss rises from epoch to epoch."""

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        """Log the epoch as the loss."""
        self.log("validation_loss", torch.tensor(float(self.current_epoch)))


def fit(root: Path, epochs: int, from_: Path | None = None) -> dict[str, int]:
    """Train for epochs of two steps; return the steps of the checkpoints in the folder."""
    trainer = pl.Trainer(
        default_root_dir=root,
        callbacks=list(checkpoint_callbacks(root)),
        plugins=[CheckpointFiles()],
        accelerator="cpu",
        max_epochs=epochs,
        limit_train_batches=2,
        limit_val_batches=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(GettingWorse(), ckpt_path=from_)
    return {
        path.name: torch.load(path, weights_only=True)["global_step"]
        for path in checkpoint_dir(root).iterdir()
    }


def test_last_is_the_last_and_best_the_best_where_validation_gets_worse(tmp_path: Path) -> None:
    assert fit(tmp_path, 3) == {"best.ckpt": 2, "last.ckpt": 6}


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
def test_the_best_stays_where_the_folder_of_the_run_was_moved(tmp_path: Path) -> None:
    fit(tmp_path / "first", 1)
    shutil.move(tmp_path / "first", tmp_path / "moved")
    last = checkpoint_dir(tmp_path / "moved") / "last.ckpt"
    assert fit(tmp_path / "moved", 3, last) == {"best.ckpt": 2, "last.ckpt": 6}
    # another run that begins with the file of this one has a best of its own
    assert fit(tmp_path / "another", 5, last) == {"best.ckpt": 8, "last.ckpt": 10}


def test_a_run_goes_on_with_its_own_volumes_only_unless_that_is_said(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(small_dataset, data)
    flags = ["--data_path", str(data), "--default_root_dir", str(tmp_path / "run"), *SMALL, *QUIET]
    flags += ["--batch_size", "2"]
    assert main([*flags, "--max_epochs", "1"]) == 0
    assert main([*flags, "--max_epochs", "1"]) == 0
    assert "Nothing was left to train" in capsys.readouterr().out
    moved = sorted((data / "singlecoil_train").iterdir())[0]
    moved.rename(data / "singlecoil_val" / moved.name)  # it was trained on
    config = (tmp_path / "run" / "config.yaml").read_bytes()
    flags += ["--max_epochs", "2"]
    assert main(flags) == 1
    assert "last.ckpt: trained and validated on other volumes" in capsys.readouterr().err
    assert (tmp_path / "run" / "config.yaml").read_bytes() == config
    assert main([*flags, "--ckpt_path", "last"]) == 0
    assert "Nothing was left" not in capsys.readouterr().out
