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
        callback_metrics=metrics,
    )
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
    ],
)
def test_the_best_epoch_is_kept(
    epochs: list[tuple[float, float]], kept: int, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints" / "plain.ckpt"
    contents = {"hyper_parameters": {"chans": 1}}
    module = BandingModule(Unet(chans=1, num_pool_layers=1), adversary_chans=1)
    keeper = KeepBest(path, contents, ssim_before=0.8)
    for epoch, (score, ssim) in enumerate(epochs, 1):
        validated(keeper, module, epoch, score, ssim)
        # a continued run has the state of the stopped one
        state, keeper = keeper.state_dict(), KeepBest(path, contents, ssim_before=0.8)
        keeper.load_state_dict(state)
    assert (keeper.epoch, keeper.accuracy) == (kept, pytest.approx(kept / 10))
    written = torch.load(path, weights_only=True)
    assert written.keys() == {"hyper_parameters", "state_dict"}
    assert all(bool((value == kept).all()) for value in written["state_dict"].values())
    # a removed file is written again
    path.unlink()
    anew = KeepBest(path, contents, ssim_before=0.8)
    anew.load_state_dict(keeper.state_dict())
    validated(anew, module, 9, 1.0, 0.1)
    assert anew.epoch == 9 and path.is_file()
