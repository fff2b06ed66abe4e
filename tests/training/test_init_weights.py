"""Trainings that begin with the weights of another one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fastmri_clgnet.data import Data, Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.export import export
from fastmri_clgnet.inference.loading import load
from fastmri_clgnet.pl_modules import CLGNetModule
from fastmri_clgnet.pl_modules.unet_module import UnetModule
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training import train
from tests.helpers import QUIET, SMALL

TRAINER = {"accelerator": "cpu", "enable_progress_bar": False, "max_steps": 1}


@pytest.mark.parametrize("kind", ["checkpoint", "exported"])
def test_begins_with_them_and_with_nothing_else(
    kind: str,
    small_run: Path,
    small_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = small_run / "checkpoints" / "best.ckpt"
    trained = load(weights).state_dict()
    if kind == "exported":
        export(weights, tmp_path / "weights.safetensors")
        weights = tmp_path / "weights.safetensors"
    root = tmp_path / "run"
    flags = [*SMALL, *QUIET, "--data_path", str(small_dataset), "--default_root_dir", str(root)]
    flags += ["--init_weights", str(weights), "--lr", "1e-30", "--max_steps", "1"]
    flags += ["--augment", "true", "--train_size", "24", "--mask_type", "mixed"]
    flags += ["--center_fractions", "0.2", "--accelerations", "2"]
    capsys.readouterr()
    assert main(flags) == 0
    said = capsys.readouterr().out
    assert (
        f"Starting with the weights of {weights} (clgnet, trained on: singlecoil, AXT2, 4x" in said
    )
    last = torch.load(root / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 1
    assert last["epoch"] == 0
    for name, values in trained.items():
        torch.testing.assert_close(last["state_dict"][name], values, rtol=0, atol=0)
    # the same command goes on from its own checkpoint
    assert main([*flags[:-1], "2", "--max_steps", "2"]) == 0
    assert "Starting with" not in capsys.readouterr().out


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(
    small_run: Path, small_dataset: Path, tmp_path: Path
) -> None:
    weights = small_run / "checkpoints" / "best.ckpt"
    data = Data(small_dataset, mask=Mask(accelerations=(2,)), num_workers=0)
    root = tmp_path / "run"
    for module, path, message in (
        (CLGNetModule(1, 1, 8, 1, 1), weights, "trained with chans 4"),
        (
            CLGNetModule(1, 1, 4, 1, 1, spectrum="linear"),
            weights,
            "trained with spectrum norm_relu",
        ),
        (UnetModule(chans=4, num_pool_layers=2), weights, "of the model clgnet, not of unet"),
        (CLGNetModule(1, 1, 4, 1, 1), tmp_path / "none.ckpt", "none.ckpt: no such weights"),
    ):
        with pytest.raises(InputError, match=message):
            train(module, data, trainer=TRAINER, default_root_dir=root, init_weights=path)
    assert not root.exists()
