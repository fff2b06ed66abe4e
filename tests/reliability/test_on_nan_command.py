"""--on_nan of the training commands: the messages, and the files that are kept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from banding import train_banding
from fastmri_clgnet.data import folders
from fastmri_clgnet.train_clgnet import main
from tests.helpers import QUIET, SMALL, make_small_dataset

COMMAND = ["--data_path", "data", *SMALL, *QUIET, "--batch_size", "2", "--log_every_n_steps", "1"]
COMMAND += ["--num_log_images", "0", "--enable_model_summary", "false"]
CHECKPOINTS = Path("clgnet/singlecoil/checkpoints")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set to damage; the check before training reads only one slice per file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "READ_WHOLE_BYTES", 0)
    return make_small_dataset(Path("data"), "singlecoil")


def damage(name: str, key: str = "kspace") -> None:
    """Write NaN into the last slice of a file."""
    with h5py.File(Path("data") / name, "r+") as file:
        file[key][2, 5, 5] = np.nan


def test_stop_names_the_slice_and_keeps_the_checkpoints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*COMMAND, "--max_epochs", "1"]) == 0
    before = {path.name: path.read_bytes() for path in CHECKPOINTS.iterdir()}
    assert set(before) == {"best.ckpt", "last.ckpt"}
    for key in ("reconstruction_esc", "kspace"):
        damage("singlecoil_train/a.h5", key)
        assert main([*COMMAND, "--max_epochs", "9"]) == 1
        errors = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
        assert len(errors) == 1
        assert "a.h5, slice 2: the sample holds NaN or Inf" in errors[0]
        assert any(f"error: step {step}: " in errors[0] for step in (3, 4, 5))
        assert {path.name: path.read_bytes() for path in CHECKPOINTS.iterdir()} == before


def test_skip_counts_prints_and_logs(capsys: pytest.CaptureFixture[str]) -> None:
    damage("singlecoil_train/a.h5")
    damage("singlecoil_train/b.h5", "reconstruction_esc")
    assert main([*COMMAND, "--max_epochs", "2", "--on_nan", "skip", "--batch_size", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("a.h5, slice 2: the sample holds NaN or Inf") == 2
    assert printed.count("b.h5, slice 2: the sample holds NaN or Inf") == 2
    assert "Steps skipped for NaN or Inf: 4 (of 12)" in printed
    events = EventAccumulator("clgnet/singlecoil/tensorboard")
    events.Reload()
    assert [event.value for event in events.Scalars("skipped_steps")] == [2, 4]
    state = torch.load(CHECKPOINTS / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())


def test_bad_validation_samples_always_stop(capsys: pytest.CaptureFixture[str]) -> None:
    damage("singlecoil_val/d.h5")
    assert main([*COMMAND, "--max_epochs", "1", "--on_nan", "skip"]) == 1
    assert "singlecoil_val/d.h5, slice 2: the k-space holds NaN or Inf" in capsys.readouterr().err
    damage("singlecoil_val/c.h5", "reconstruction_esc")
    assert main([*COMMAND, "--max_epochs", "1", "--on_nan", "skip"]) == 1
    assert "singlecoil_val/c.h5, slice 2: the reference holds NaN or Inf" in capsys.readouterr().err
    assert not (CHECKPOINTS / "best.ckpt").exists()


def test_weights_that_diverge_stop_before_they_are_saved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*COMMAND, "--max_epochs", "1"]) == 0
    before = (CHECKPOINTS / "last.ckpt").read_bytes()
    # a step to weights of 1e30, first used by the validation
    flags = ["--max_steps", "1", "--lr", "1e30", "--ckpt_path", "none"]
    assert main([*COMMAND, *flags, "--limit_train_batches", "1"]) == 1
    message = "validation after step 1: NaN or Inf in the validation loss of c.h5, slice 0"
    assert message in capsys.readouterr().err
    assert (CHECKPOINTS / "last.ckpt").read_bytes() == before


def test_fine_tuning_against_bands_stops_and_skips(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--max_epochs", "1"]) == 0
    damage("singlecoil_train/a.h5")
    checkpoint = ["--checkpoint", str(CHECKPOINTS / "last.ckpt"), "--data_path", "data"]
    command = [*checkpoint, *QUIET, "--adversary_chans", "4", "--max_epochs", "1"]
    assert train_banding.main(command) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "a.h5, slice 2: the sample holds NaN or Inf" in error
    assert train_banding.main([*command, "--on_nan", "skip"]) == 0
    # of a warm-up epoch, in which only the adversary takes steps
    assert "Steps skipped for NaN or Inf: 1 (of 6)" in capsys.readouterr().out
    plain = torch.load("banding/clgnet/singlecoil/checkpoints/plain.ckpt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in plain["state_dict"].values())


@pytest.mark.slow
def test_two_processes_stop_and_skip_together() -> None:
    """Only one of them has the bad slice."""
    shutil.rmtree("data/singlecoil_test")  # which has one volume, too few for two
    flags = ["--devices", "2", "--strategy", "ddp", "--max_epochs", "2", "--batch_size", "1"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fastmri_clgnet.train_clgnet", *COMMAND, *flags, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=500)

    damage("singlecoil_train/a.h5")
    skipped = run("--on_nan", "skip")
    assert skipped.returncode == 0, skipped.stderr
    assert skipped.stdout.count("a.h5, slice 2: the sample holds NaN or Inf") == 2
    assert "Steps skipped for NaN or Inf: 2 (of 6)" in skipped.stdout
    # the check before training reads all of a data set this small: the file must look valid
    code = (
        "import sys; from fastmri_clgnet.data import folders; folders.READ_WHOLE_BYTES = 0;"
        "from fastmri_clgnet.train_clgnet import main; sys.exit(main(sys.argv[1:]))"
    )
    Path("train.py").write_text(code)
    stop = [sys.executable, "train.py", *COMMAND, *flags[:-4], "--max_epochs", "4"]
    stopped = subprocess.run(stop, capture_output=True, text=True, timeout=500)
    assert stopped.returncode == 1, stopped.stderr
    assert "a.h5, slice 2: the sample holds NaN or Inf" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    weights = torch.load(CHECKPOINTS / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())
