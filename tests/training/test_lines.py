"""What a training prints where its output is no terminal."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from fastmri_clgnet.data import Data
from fastmri_clgnet.pl_modules import CLGNetModule
from fastmri_clgnet.training import train

LINE = re.compile(
    r"epoch (\d+), step (\d+): train_loss (\S+), "
    r"validation_loss (\S+), PSNR (\S+) dB, SSIM (\S+)"
)


class Watch(Callback):
    """Keeps what Lightning knows after each validation."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, ...]] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep it."""
        if not trainer.sanity_checking:
            names = ("train_loss", "validation_loss", "val_metrics/psnr", "val_metrics/ssim")
            values = [float(trainer.callback_metrics[name]) for name in names]
            self.seen.append((trainer.current_epoch, trainer.global_step, *values))


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("bar", [False, True])
def test_a_line_for_each_validation(
    bar: bool,
    terminal: bool,
    small_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """But none in a terminal, whose progress bar shows the same."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    watch = Watch()
    settings = {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": bar}
    train(
        CLGNetModule(chans=4, num_groups=1, num_blocks=1),
        Data(small_dataset, batch_size=2, num_workers=0),
        trainer={**settings, "enable_model_summary": False, "limit_train_batches": 2},
        default_root_dir=tmp_path,
        logger=False,
        callbacks=[watch],
        keep_best=True,
    )
    # the bar breaks lines that are longer than its own
    lines = LINE.findall(" ".join(capsys.readouterr().out.split()))
    assert len(watch.seen) == 2
    if bar and terminal:
        assert not lines
    else:
        for line, seen in zip(lines, watch.seen, strict=True):
            assert [float(each) for each in line] == pytest.approx(seen, rel=1e-3, abs=6e-3)
