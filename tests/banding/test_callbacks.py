"""The choice of the best epoch of a fine-tuning."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fastmri.pl_modules import UnetModule

from banding import BandingModule
from banding.callbacks import KeepBest
from fastmri_clgnet import Lightning2Mixin


class Unet(Lightning2Mixin, UnetModule):
    """fastMRI's U-Net, as small as possible."""


def validated(
    keeper: KeepBest, module: BandingModule, epoch: int, score: float, ssim: float
) -> None:
    """Show the callback an epoch with these metrics; its weights equal its number."""
    metrics = {"banding_score": torch.tensor(score), "val_metrics/ssim": torch.tensor(ssim)}
    trainer: Any = SimpleNamespace(
        sanity_checking=False,
        is_global_zero=True,
        current_epoch=epoch - 1,
        global_step=10 * epoch,
        callback_metrics=metrics,
    )
    module._trainer = trainer  # which tells a module its epoch
    with torch.no_grad():
        for parameter in module.reconstructor.parameters():
            parameter.fill_(epoch)
    keeper.on_validation_end(trainer, module)
    metrics["adversary_accuracy"] = torch.tensor(epoch / 10)
    keeper.on_train_epoch_end(trainer, module)


@pytest.mark.parametrize(
    ("epochs", "kept"),
    [
        # the score nearest to 0, of either sign, and not the last
        ([(0.5, 0.8), (-0.2, 0.8), (0.3, 0.9)], 2),
        # but only if SSIM is at most 0.005 below the 0.8 before
        ([(0.5, 0.796), (0.1, 0.794), (0.4, 0.796)], 3),
        # the highest SSIM until there is one
        ([(0.1, 0.5), (0.9, 0.7), (0.0, 0.6)], 2),
        ([(0.1, 0.5), (0.9, 0.8), (0.0, 0.6)], 2),
        # never a diverged network
        ([(0.1, 0.5), (float("nan"), float("nan"))], 1),
        ([(0.1, 0.8), (float("nan"), 0.8)], 1),
        # nothing could be scored: by SSIM
        ([(float("nan"), 0.8), (float("nan"), 0.9), (float("nan"), 0.85)], 2),
        # of equal scores the one of higher SSIM, and the first of equal ones
        ([(0.1, 0.8), (-0.1, 0.9), (0.1, 0.9)], 2),
        ([(0.1, 0.9), (-0.1, 0.8)], 1),
    ],
)
def test_the_best_epoch_is_kept(
    epochs: list[tuple[float, float]], kept: int, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints" / "plain.ckpt"
    module = BandingModule(Unet(chans=1, num_pool_layers=1), adversary_chans=1, warmup_epochs=0)
    keeper = KeepBest(path, ssim_before=0.8)
    for epoch, (score, ssim) in enumerate(epochs, 1):
        validated(keeper, module, epoch, score, ssim)
        # a continued run has the state of the stopped one
        state, keeper = keeper.state_dict(), KeepBest(path, ssim_before=0.8)
        keeper.load_state_dict(state)
    assert (keeper.epoch, keeper.accuracy) == (kept, pytest.approx(kept / 10))
    written = torch.load(path, weights_only=True)
    assert written["hyper_parameters"]["num_pool_layers"] == 1
    assert all(bool((value == kept).all()) for value in written["state_dict"].values())
    # a removed file is written again
    path.unlink()
    anew = KeepBest(path, ssim_before=0.8)
    anew.load_state_dict(keeper.state_dict())
    validated(anew, module, 9, 1.0, 0.1)
    assert anew.epoch == 9 and path.is_file()


def test_the_warm_up_is_not_ranked(tmp_path: Path) -> None:
    """Its weights are those before, so that a better score there says nothing."""
    module = BandingModule(Unet(chans=1, num_pool_layers=1), adversary_chans=1, warmup_epochs=2)
    keeper = KeepBest(tmp_path / "plain.ckpt", ssim_before=0.8)
    for epoch, score in enumerate((0.0, 0.0, 0.7, 0.6), 1):
        validated(keeper, module, epoch, score, ssim=0.8)
        assert keeper.epoch == (0, 0, 3, 4)[epoch - 1]


def test_the_last_is_kept_if_asked(tmp_path: Path) -> None:
    module = BandingModule(Unet(chans=1, num_pool_layers=1), adversary_chans=1, warmup_epochs=1)
    keeper = KeepBest(tmp_path / "plain.ckpt", ssim_before=0.8, keep="last")
    for epoch, (score, ssim) in enumerate([(0, 0.9), (0.1, 0.8), (0.9, 0.1)], 1):
        validated(keeper, module, epoch, score, ssim)
        assert keeper.epoch == (0, 2, 3)[epoch - 1]
    validated(keeper, module, 4, float("nan"), float("nan"))
    assert keeper.epoch == 3
