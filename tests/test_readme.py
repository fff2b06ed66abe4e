"""The commands and Python blocks of README and docs do what the text says."""

from __future__ import annotations

import importlib
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastmri.pl_modules
import pytest
import pytorch_lightning as pl
import torch
from fastmri.data.subsample import create_mask_for_mask_type
from fastmri.data.transforms import VarNetDataTransform
from fastmri.pl_modules import FastMriDataModule

from fastmri_clgnet import Lightning2Mixin, cli
from fastmri_clgnet.convert import READERS
from fastmri_clgnet.training.command import groups_of
from tests.processes import Running, as_main

ROOT = Path(__file__).parent.parent
GENERATED = ("_build", "api", "commands", "tutorials")  # folders of docs written by a build
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted(
        path
        for path in (ROOT / "docs").rglob("*.md")
        if path.parent.name not in GENERATED and path.name != "cards.md"
    ),
]


def joined(path: Path) -> str:
    r"""The text of a page; commands that `\` breaks are one line each, as a shell reads them."""
    return re.sub(r" *\\\n *", " ", path.read_text(encoding="utf-8"))


README = joined(PAGES[0])
TEXT = "\n".join(map(joined, PAGES))
COMMANDS = re.findall(r"python -m ((?:fastmri_clgnet|fastmri)\.\w+)\b(.*)", TEXT)


def command(text: str) -> str:
    """The README's main command or test command, word for word."""
    found = re.search(rf"<!-- {text} command -->\n```bash\n(.*?)\n```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_both_commands_set_up_their_environment() -> None:
    for text in ("main", "test"):
        assert command(text).startswith("python3 -m venv ")
        assert "pip install -q -c constraints.txt" in command(text)
    assert command("test").endswith("/bin/python -m pytest")


def test_flags_exist() -> None:
    trained = [flags for name, flags in COMMANDS if name == "fastmri_clgnet.train_clgnet"]
    assert len(trained) >= 5
    for flags in trained:
        words = shlex.split(flags.replace("\\", " ").replace("`", " "), comments=True)
        groups = {"common": cli.COMMON, **groups_of(cli.chosen(words, "model") or "clgnet")}
        known = {"--help", *(f"--{name}" for group in groups.values() for name in group)}
        assert {word for word in words if word.startswith("--")} <= known, flags


FUNCTIONS = ("convert", "report", "benchmark", "check", "reconstruct", "evaluate", "export")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_commands_are_understood(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parsers accept them word for word; their effect is tested with the code."""
    called: list[Callable[..., Any]] = []
    monkeypatch.setattr(cli, "call", lambda function, *_, **__: called.append(function))
    module = importlib.import_module(f"fastmri_clgnet.{name}")
    lines = re.findall(rf"^python -m fastmri_clgnet\.{name} (.*)$", TEXT, re.M)
    assert lines
    for line in lines:
        assert module.main(shlex.split(line)) == 0
    if name == "benchmark":
        assert called[::2] == [module.BENCHMARKS[line.split()[0]] for line in lines]
    else:
        assert getattr(module, name) in called
    if name == "convert":
        assert {line.split("--from ")[1].split()[0] for line in lines} == set(READERS)


def python_block(name: str) -> str:
    """The Python block of README or docs below this comment."""
    found: list[str] = re.findall(rf"<!-- {name} -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    assert found
    assert len(set(found)) == 1
    return found[0]


def test_script_after_the_hosts_train_unet_demo(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trains and tests on a small data set, and leaves only its logs."""
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(python_block("script"))
    flags = ["--data_path", str(small_dataset), "--challenge", "singlecoil", "--max_epochs", "1"]
    size = ["--chans", "4", "--num_groups", "1", "--num_workers", "0"]
    monkeypatch.setattr(sys, "argv", [str(script), *flags, *size])
    runpy.run_path(str(script), run_name="__main__")
    assert (tmp_path / "logs" / "reconstructions" / "e.h5").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"script.py", "logs"}


@pytest.mark.parametrize("name", ["UnetModule", "VarNetModule"])
def test_bridge_in_one_line_each(name: str) -> None:
    namespace: dict[str, Any] = {}
    exec(python_block("bridge"), namespace)
    module = namespace[name]
    assert issubclass(module, Lightning2Mixin)
    assert module.__mro__[2] is getattr(fastmri.pl_modules, name)
    assert module.validation_epoch_end is None


def test_drop_ins() -> None:
    namespace: dict[str, Any] = {}
    exec(python_block("drop-in"), namespace)
    assert namespace["network"](torch.zeros(1, 2, 16, 18)).shape == (1, 2, 16, 18)
    kspace, mask = torch.zeros(1, 1, 32, 32, 2), torch.ones(1, 1, 1, 32, 1, dtype=torch.bool)
    maps = torch.ones_like(kspace)
    assert namespace["block"](kspace, kspace, mask, maps).shape == kspace.shape
    assert namespace["model"](kspace.expand(1, 2, 32, 32, 2), mask, 4).shape == (1, 32, 32)


def test_swap_into_the_hosts_varnet(small_dataset: Path, tmp_path: Path) -> None:
    """Every cascade is a CLGNet, gradients reach them, and a step through the bridge moves them."""
    namespace: dict[str, Any] = {}
    exec(python_block("swap").replace("num_cascades=4", "num_cascades=2"), namespace)
    module = namespace["module"]
    data = FastMriDataModule(
        small_dataset,
        "multicoil",
        *[VarNetDataTransform(create_mask_for_mask_type("random", [0.1], [4]))] * 2,
        VarNetDataTransform(),
        use_dataset_cache_file=False,
        num_workers=0,
    )
    batch = next(iter(data.train_dataloader()))
    cascades = module.varnet.cascades
    with torch.no_grad():
        kspace, maps = batch.masked_kspace, torch.ones_like(batch.masked_kspace)
        assert torch.equal(cascades[0](kspace, kspace, batch.mask, maps), kspace)
        output = module(kspace, batch.mask, batch.num_low_frequencies)
    assert output.shape == kspace.shape[:1] + kspace.shape[2:4]
    before = [parameter.clone() for parameter in cascades.parameters()]
    trainer = pl.Trainer(
        default_root_dir=tmp_path, max_epochs=1, limit_train_batches=2, limit_val_batches=1,
        accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, data)
    # the first step moves the last convolutions away from zero, the second the others
    names = [name for name, _ in cascades.named_parameters()]
    for name, old, new in zip(names, before, cascades.parameters(), strict=True):
        # the first cascade starts at the measurement: its data consistency has no effect
        assert name == "0.dc_weight" or not torch.equal(old, new), name
        assert torch.isfinite(new).all()
    assert {type(cascade.model).__name__ for cascade in cascades} == {"NormCLGNet"}
    assert "validation_loss" in trainer.callback_metrics


def demo_words(challenge: str) -> list[str]:
    """The words after `python -m` in the main command, without the set-up."""
    training = command("main").split("&&")[-1].strip()
    assert training.endswith("-m fastmri_clgnet.train_clgnet --challenge singlecoil")
    return [*shlex.split(training)[2:-1], challenge, "--demo_dir", "demo"]


def offline(folder: Path) -> dict[str, str]:
    """Disable the internet on any machine: a missing proxy, an empty cache."""
    return {"https_proxy": "http://127.0.0.1:9", "TORCH_HOME": str(folder)}


def assert_demo(folder: Path, challenge: str, printed: str, decibels: float) -> None:
    """The network beats zero-filling by this many dB, and all printed paths exist."""
    assert printed.count("Loss: L1 only, since VGG19's weights could not be downloaded") == 1
    assert "*** DEMO" in printed
    root = folder / "clgnet" / f"{challenge}_demo"
    metrics = json.loads((root / "metrics.json").read_text())
    assert metrics["CLGNet"]["psnr"] >= metrics["zero-filled"]["psnr"] + decibels
    assert metrics["CLGNet"]["ssim"] > metrics["zero-filled"]["ssim"]
    assert f"{metrics['CLGNet']['psnr']:.2f}" in printed
    names = {path.name for path in (root / "reconstructions").iterdir()}
    assert names == {"demo_test_0.h5", "demo_test_1.h5"}
    for name in ("checkpoints/best.ckpt", "comparison.png", "tensorboard", "config.yaml"):
        assert (root / name).exists()
        assert name in printed


def test_main_command_beats_zero_filling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a third of its epochs, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    module, *argv = demo_words("singlecoil")
    argv += ["--max_epochs", "8"]
    run = Running(as_main, module, argv, environment=offline(tmp_path)).wait()
    assert run.returncode == 0, run.stderr
    assert_demo(tmp_path, "singlecoil", run.stdout, 3)


@pytest.mark.slow
@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
def test_main_command_beats_zero_filling_by_5_db(challenge: str, tmp_path: Path) -> None:
    """In full, in an empty folder, in a new process."""
    run = subprocess.run(
        [sys.executable, "-m", *demo_words(challenge)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **offline(tmp_path)},
    )
    assert run.returncode == 0, run.stderr
    assert_demo(tmp_path, challenge, run.stdout, 5)
