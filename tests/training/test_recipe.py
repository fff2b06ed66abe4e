"""The learning rate over one cycle, and averaged weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from fastmri_clgnet import load
from fastmri_clgnet.data import Data
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.pl_modules import CLGNetModule
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training import train
from tests.helpers import QUIET, SMALL
from tests.reliability.networks import NETWORKS
from tests.reliability.runs import checkpoint

STEPS = 6  # three batches in each of two epochs
TRAINER = {
    "accelerator": "cpu", "enable_progress_bar": False, "max_epochs": 2, "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}  # fmt: skip


class Watch(Callback):
    """Keeps rates, momenta and weights: of each step, and of each validation."""

    def __init__(self) -> None:
        self.groups: list[dict[str, Any]] = []
        self.weights: list[torch.Tensor] = []
        self.validated: list[torch.Tensor] = []

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Keep the optimizer's settings of a step."""
        self.groups.append(dict(optimizer.param_groups[0]))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Keep the weights that training goes on with."""
        self.weights.append(flat(pl_module))

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Keep the weights that are validated."""
        self.validated.append(flat(pl_module))
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "amid.ckpt")  # as SLURM may


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().double() for p in module.parameters()])


def small_module() -> CLGNetModule:
    torch.manual_seed(0)
    return CLGNetModule(chans=4, num_groups=1, num_blocks=1, lr=1e-3)


def test_rates_and_averages_are_those_of_their_formulas(
    small_dataset: Path, tmp_path: Path
) -> None:
    module, watch, decay = small_module(), Watch(), 0.8
    data = Data(small_dataset, "singlecoil", batch_size=2, num_workers=0)
    run = train(
        module, data, trainer=TRAINER, default_root_dir=tmp_path, logger=False, callbacks=[watch],
        schedule="onecycle", ema=decay,
    )  # fmt: skip
    # from lr / 25 up to lr, then down to lr / 250,000, both as half a cosine; counted from 0
    lowest, highest, last = np.array([1 / 25, 1, 1 / 25e4]) * 1e-3
    top, end, step = 0.3 * STEPS - 1, STEPS - 1, np.arange(STEPS)
    up = highest + (lowest - highest) / 2 * (1 + np.cos(np.pi * step / top))
    down = last + (highest - last) / 2 * (1 + np.cos(np.pi * (step - top) / (end - top)))
    rates = [group["lr"] for group in watch.groups]
    np.testing.assert_allclose(rates, np.where(step <= top, up, down), rtol=1e-12)
    assert {group["betas"] for group in watch.groups} == {(0.9, 0.999)}
    averages = [watch.weights[0]]
    for weights in watch.weights[1:]:
        averages.append(decay * averages[-1] + (1 - decay) * weights)
    per_epoch = len(watch.validated) // 2
    for validated, average in zip(watch.validated[::per_epoch], averages[2::3], strict=True):
        torch.testing.assert_close(validated, average, rtol=1e-5, atol=1e-8)
    assert not torch.allclose(averages[-1], watch.weights[-1], rtol=1e-3)
    last_one = load(tmp_path / "checkpoints" / "last.ckpt")
    torch.testing.assert_close(flat(last_one), averages[-1], rtol=1e-5, atol=1e-8)
    assert run.best is not None
    assert torch.equal(flat(load(run.best)), flat(module))
    amid = torch.load(tmp_path / "amid.ckpt", weights_only=True)
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    for key in ("state_dict", "current_model_state"):
        torch.testing.assert_close(amid[key], kept[key], rtol=0, atol=0)
    # constants, such as the wavelet's filters, are not averaged
    expected = dict(small_module().named_buffers())
    for name, buffer in last_one.named_buffers():
        assert torch.equal(buffer, expected[name]), name


# the other comparison methods have dccnn's module, and no batch normalisation as cddn's
@pytest.mark.parametrize("model", [*list(NETWORKS)[:5], "dccnn", "cddn"])
def test_every_model_trains_by_them(model: str, small_dataset: Path, tmp_path: Path) -> None:
    flags = ["--model", model, *NETWORKS[model], *QUIET, "--data_path", str(small_dataset)]
    flags += ["--default_root_dir", str(tmp_path), "--batch_size", "2", "--max_steps", "2"]
    flags += ["--schedule", "onecycle", "--ema", "0.9", "--logger", "false"]
    flags += ["--limit_val_batches", "1"]
    flags += ["--num_sanity_val_steps", "0"]
    assert main(flags) == 0
    state = checkpoint(tmp_path)
    (schedule,) = state["lr_schedulers"]
    assert (schedule["total_steps"], schedule["last_epoch"]) == (2, 2)
    assert state["callbacks"]["AveragedWeights"]["ema"] == 0.9
    loaded = load(tmp_path / "checkpoints" / "last.ckpt").state_dict()
    assert loaded.keys() == state["current_model_state"].keys()
    for name, values in state["state_dict"].items():
        assert torch.equal(loaded[name], values), name


def test_a_run_continues_by_its_own_recipe_only(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*SMALL, *QUIET, "--data_path", str(small_dataset), "--default_root_dir", str(tmp_path)]
    flags += ["--batch_size", "2", "--max_epochs", "1", "--logger", "false"]
    recipe = ["--schedule", "onecycle", "--ema", "0.9"]
    assert main([*flags, *recipe]) == 0
    before = checkpoint(tmp_path)
    capsys.readouterr()
    for other in ([], ["--ema", "0.9"], ["--schedule", "onecycle"], [*recipe[:3], "0.99"]):
        assert main([*flags, *other]) == 1
        said = capsys.readouterr().err
        assert "last.ckpt: trained with schedule onecycle, ema 0.9. Give these, or start" in said
    assert main([*flags, *recipe, "--max_epochs", "2"]) == 1
    assert "the checkpoint's cycle has 3 steps, this training 6" in capsys.readouterr().err
    assert checkpoint(tmp_path)["global_step"] == before["global_step"] == 3
    assert main([*flags, "--ckpt_path", "none"]) == 0
    assert main([*flags, *recipe]) == 1
    assert "trained with schedule step, ema null" in capsys.readouterr().err
    assert main([*flags, "--max_epochs", "2", "--lr", "0.5", "--weight_decay", "0.1"]) == 1
    assert "ema null, lr 0.0001, weight_decay 0.0. Give these" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"ema": 1.0}, "ema 1.0: expected a number between 0 and 1"),
        ({"schedule": "cosine"}, "schedule cosine: expected step or onecycle"),
        ({"schedule": "onecycle", "trainer": {"max_time": "00:00:10:00"}}, "give max_steps, too"),
        ({"schedule": "onecycle", "trainer": {"max_epochs": -1}}, "give max_steps, too"),
    ],
)
def test_what_is_no_recipe(
    arguments: dict[str, Any], said: str, small_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        train(small_module(), Data(small_dataset), default_root_dir=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()
