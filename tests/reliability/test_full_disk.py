"""A full disk: a child process cannot write files above a size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fastmri_clgnet.inference.loading import load
from fastmri_clgnet.train_clgnet import main
from tests.helpers import QUIET, SMALL, make_small_dataset
from tests.processes import Done, Running, as_main

COMMAND = ["--data_path", "data", *SMALL, *QUIET, "--batch_size", "2"]
TRAIN = "fastmri_clgnet.train_clgnet"
RUN = Path("clgnet/singlecoil")


@pytest.fixture(autouse=True)
def finished_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of one epoch in the working folder, next to its data."""
    monkeypatch.chdir(tmp_path)
    make_small_dataset(Path("data"), "singlecoil")
    assert main([*COMMAND, "--max_epochs", "1", "--logger", "false"]) == 0
    return RUN


def execute(module: str, limit: int, *flags: str) -> Done:
    """Run a command that cannot write files above a size."""
    return Running(as_main, module, [*flags], file_bytes=limit).wait()


def run(module: str, limit: int, *flags: str) -> str:
    """Run a command that must fail; return its error."""
    process = execute(module, limit, *flags)
    assert process.returncode == 1, process.stderr
    assert "Traceback" not in process.stderr
    errors = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, process.stderr
    return errors[0]


def contents() -> dict[Path, bytes]:
    """All files of the run, including hidden ones, except logs and saved images."""
    paths = [path for path in RUN.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths if path.parts[2] not in ("tensorboard",)}


def test_configuration_and_checkpoints(finished_run: Path) -> None:
    before = contents()
    limit = (finished_run / "config.yaml").stat().st_size - 100
    error = run(TRAIN, limit, *COMMAND, "--max_epochs", "2")
    assert "config.yaml: cannot be written (File too large)" in error
    assert contents() == before
    size = (finished_run / "checkpoints" / "last.ckpt").stat().st_size
    error = run(TRAIN, size // 2, *COMMAND, "--max_epochs", "2", "--num_log_images", "0")
    assert "checkpoints/" in error and ".ckpt: cannot be written (File too large)" in error
    assert "Free space" in error
    after = contents()
    assert after.keys() == before.keys()
    for name in ("best.ckpt", "last.ckpt"):
        path = finished_run / "checkpoints" / name
        assert after[path] == before[path]
        load(path)
        assert torch.load(path, weights_only=True)["epoch"] == 0
    # with free space, the same command continues
    assert main([*COMMAND, "--max_epochs", "2"]) == 0


def test_log(finished_run: Path) -> None:
    """Its images fill the disk some epochs later; earlier checkpoints are whole."""
    limit = (finished_run / "checkpoints" / "last.ckpt").stat().st_size * 5 // 4
    flags = [*COMMAND, "--max_epochs", "1000", "--num_log_images", "100"]
    process = execute(TRAIN, limit, *flags)
    assert process.returncode == 1, process.stderr
    assert "File too large" in process.stderr
    assert not [path for path in contents() if path.name.endswith(".tmp")]
    for name in ("best.ckpt", "last.ckpt"):
        assert torch.load(finished_run / "checkpoints" / name, weights_only=True)["epoch"] > 0
