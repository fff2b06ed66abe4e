"""Trainings that begin with the weights of another one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from fastmri_clgnet.data import Data, Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.export import export
from fastmri_clgnet.inference.loading import load, start_from
from fastmri_clgnet.pl_modules import CLGNetModule
from fastmri_clgnet.pl_modules.unet_module import UnetModule
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training import train
from fastmri_clgnet.training.checkpoints import checked
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


@pytest.mark.parametrize("where", ["in front", "inside"])
def test_weights_of_a_compiled_model_are_loaded_continued_and_tested(
    where: str, small_run: Path, small_dataset: Path, tmp_path: Path
) -> None:
    """A checkpoint of Lightning whose names are those of torch.compile."""
    contents = torch.load(small_run / "checkpoints" / "last.ckpt", weights_only=True)
    plain = contents["state_dict"]
    contents["state_dict"] = {
        f"module._orig_mod.{name}" if where == "in front" else f"clgnet._orig_mod.{name[7:]}": v
        for name, v in plain.items()
    }
    assert contents["state_dict"].keys() & plain.keys() == set()
    path = tmp_path / "compiled.ckpt"
    torch.save({**contents, "callbacks": {}}, path)  # which name another folder
    for name, values in load(path).state_dict().items():
        assert torch.equal(values, plain[name])
    root = tmp_path / "run"
    flags = [*SMALL, *QUIET, "--data_path", str(small_dataset), "--default_root_dir", str(root)]
    flags += ["--batch_size", "2", "--lr", "0.001", "--log_every_n_steps", "1"]
    assert main([*flags, "--mode", "test", "--ckpt_path", str(path)]) == 0
    assert main([*flags, "--max_epochs", "3", "--ckpt_path", str(path)]) == 0
    continued = torch.load(root / "checkpoints" / "last.ckpt", weights_only=True)
    assert continued["epoch"] == 2 and continued["state_dict"].keys() == plain.keys()
    # a compiled network of one's own begins with plain weights
    module = CLGNetModule(1, 1, 4, 1, 1)
    module.clgnet = torch.compile(module.clgnet)  # type: ignore[assignment]
    start_from(module, small_run / "checkpoints" / "last.ckpt")
    assert torch.equal(
        module.state_dict()["clgnet._orig_mod." + next(iter(plain))[7:]], next(iter(plain.values()))
    )


def test_the_first_names_that_do_not_fit_are_given(small_run: Path, tmp_path: Path) -> None:
    contents = torch.load(small_run / "checkpoints" / "last.ckpt", weights_only=True)
    names = list(contents["state_dict"])
    for name in names[:5]:
        contents["state_dict"][f"x.{name}"] = contents["state_dict"].pop(name)
    torch.save(contents, tmp_path / "a.ckpt")
    missing, left = ", ".join(names[:3]), ", ".join(f"x.{name}" for name in names[:3])
    said = f"missing: {missing} and 2 more; left over: {left} and 2 more"
    module = CLGNetModule(1, 1, 4, 1, 1)
    with pytest.raises(
        InputError, match=re.escape(f"a.ckpt: does not fit the model clgnet ({said})")
    ):
        load(tmp_path / "a.ckpt")
    for function in (
        lambda: start_from(module, tmp_path / "a.ckpt"),
        lambda: checked(tmp_path / "a.ckpt", module),
    ):
        with pytest.raises(
            InputError,
            match=re.escape(f"a.ckpt: of another model, which does not fit CLGNetModule ({said})"),
        ):
            function()
