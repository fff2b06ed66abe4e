"""Ctrl-C and SIGTERM at any moment: the same command ends as an unstopped one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastmri_clgnet.pl_modules import CLGNetModule
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training.stopping import SaveAndStop
from tests.reliability.runs import COMMAND, assert_same_state, checkpoint, make_weights

# one run is not stopped at all; Lightning's warning does not apply, see data_module.py
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch"),
    pytest.mark.filterwarnings("ignore:Detected KeyboardInterrupt"),  # of older versions
]


@pytest.fixture(scope="module")
def command(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    weights = make_weights(tmp_path_factory.mktemp("weights") / "vgg.pt")
    return [*COMMAND, *weights, "--data_path", str(small_dataset), "--default_root_dir"]


@pytest.fixture(scope="module")
def whole(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    root = tmp_path_factory.mktemp("whole")
    assert main([*command, str(root)]) == 0
    return root


def at_call(
    number: int, method: Callable[..., Any], signals: list[signal.Signals]
) -> Callable[..., Any]:
    """Send the process signals at the given call of a method, counted from 1."""
    calls = 0

    def counted(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            for each in signals:
                os.kill(os.getpid(), each)
        return method(*args)

    return counted


STEP, VALIDATION = "on_train_batch_start", "validation_step"


def stopped_at(
    command: list[str], where: str, number: int, signum: signal.Signals, capsys: Any
) -> str:
    """Send a run a signal at the given step or validation step; return its output."""
    owner: type = SaveAndStop if where == STEP else CLGNetModule
    listener = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, where, at_call(number, getattr(owner, where), [signum]))
        assert main(command) == (130 if signum == signal.SIGINT else 143)
    assert signal.getsignal(signal.SIGINT) is listener
    printed: str = capsys.readouterr().out
    return printed


def test_a_run_that_is_stopped_again_and_again_ends_as_a_whole_one(
    command: list[str], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stops are counted from where the run continued; an epoch has 3 steps and 3 validations."""
    root = tmp_path / "run"
    last = root / "checkpoints" / "last.ckpt"
    run = [*command, str(root)]
    # in Lightning's sanity check
    printed = stopped_at(run, VALIDATION, 1, signal.SIGINT, capsys)
    assert "Stopped before the first checkpoint" in printed and not last.exists()
    for where, number, signum, steps in (
        (STEP, 1, signal.SIGINT, 1),
        (STEP, 1, signal.SIGTERM, 2),  # the second to last of the epoch
        (VALIDATION, 1, signal.SIGINT, 2),  # of the first epoch: its last step is repeated
        (VALIDATION, 3, signal.SIGTERM, 3),  # too late: the epoch ends
        (STEP, 1, signal.SIGINT, 4),
        (STEP, 2, signal.SIGTERM, 5),  # the last of the second epoch: stopped in its validation
        (VALIDATION, 4, signal.SIGTERM, 8),  # of the third epoch
    ):
        printed = stopped_at(run, where, number, signum, capsys)
        assert f"The same command continues from {last}" in printed
        assert checkpoint(root)["global_step"] == steps
        assert not (root / "metrics.json").exists()
    assert main(run) == 0
    assert_same_state(root, whole)


def test_with_a_cycle_of_the_learning_rate_and_averaged_weights(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--schedule", "onecycle", "--ema", "0.8", "--residual", "true"]
    whole = [*command, str(tmp_path / "whole"), *more]
    assert main(whole) == 0
    assert checkpoint(tmp_path / "whole")["lr_schedulers"][0]["total_steps"] == 9
    flags = [*command, str(tmp_path / "run"), *more]
    for where, number, signum, steps in (
        (STEP, 1, signal.SIGINT, 1),
        (VALIDATION, 2, signal.SIGTERM, 2),  # the averaged weights are in place then
        (STEP, 3, signal.SIGTERM, 5),
    ):
        stopped_at(flags, where, number, signum, capsys)
        assert checkpoint(tmp_path / "run")["global_step"] == steps
    assert main(flags) == 0
    assert_same_state(tmp_path / "run", tmp_path / "whole")
    assert main(flags) == 0  # nothing is left to do
    assert_same_state(tmp_path / "run", tmp_path / "whole")


def test_in_the_middle_of_accumulated_gradients(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with validations after a number of batches."""
    more = ["--batch_size", "1", "--accumulate_grad_batches", "2", "--checkpoint_minutes", "0"]
    more += ["--schedule", "onecycle", "--ema", "0.8"]
    more += ["--check_val_every_n_epoch", "null", "--val_check_interval", "4"]
    assert main([*command, str(tmp_path / "whole"), *more]) == 0
    flags = [*command, str(tmp_path / "run"), *more]
    stopped_at(flags, STEP, 4, signal.SIGINT, capsys)
    # in the first validation that is not Lightning's sanity check
    stopped_at(flags, VALIDATION, 9, signal.SIGINT, capsys)
    stopped_at(flags, STEP, 4, signal.SIGTERM, capsys)
    assert main(flags) == 0
    # after a validation within an epoch Lightning counts one more for its logs, and only there
    assert_same_state(tmp_path / "run", tmp_path / "whole", logged=False)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of SLURM, which ends by SIGTERM when it is put back into the queue."""
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text("#!/bin/sh\nkill -TERM $PPID\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(scontrol.parent), prepend=os.pathsep)
    for name in ("JOB_ID", "NTASKS", "NTASKS_PER_NODE"):
        monkeypatch.setenv(f"SLURM_{name}", "1")
    for name in ("PROCID", "LOCALID", "NODEID"):
        monkeypatch.setenv(f"SLURM_{name}", "0")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "localhost")


@pytest.mark.usefixtures("slurm")
@pytest.mark.filterwarnings("ignore:The `srun` command is available")
def test_a_job_that_slurm_requeues_ends_as_a_whole_run(
    command: list[str], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its signal comes in a step, in an epoch's validation, and in the one after the training."""
    root = tmp_path / "run"
    run = [*command, str(root)]
    for where, number, steps in ((STEP, 1, 1), (STEP, 1, 2), (VALIDATION, 2, 2)):
        stopped_at(run, where, number, signal.SIGUSR1, capsys)
        assert checkpoint(root)["global_step"] == steps
    with pytest.raises(SystemExit) as stopped:
        stopped_at(run, VALIDATION, 11, signal.SIGUSR1, capsys)
    assert stopped.value.code == 143
    assert checkpoint(root)["global_step"] == 9 and not (root / "metrics.json").exists()
    assert main(run) == 0
    assert "Nothing was left to train" in capsys.readouterr().out
    assert not list(tmp_path.rglob("hpc_ckpt_*"))
    assert_same_state(root, whole)


def test_sigterm_in_a_test_is_not_a_success(
    command: list[str], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_step = CLGNetModule.test_step
    monkeypatch.setattr(CLGNetModule, "test_step", at_call(1, test_step, [signal.SIGTERM]))
    best = str(whole / "checkpoints" / "best.ckpt")
    with pytest.raises(SystemExit) as stopped:
        main([*command, str(tmp_path / "run"), "--mode", "test", "--ckpt_path", best])
    assert stopped.value.code == 143
    assert not list(tmp_path.rglob("*.h5"))


def test_a_second_interrupt_stops_at_once_and_writes_nothing(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = at_call(5, CLGNetModule.training_step, [signal.SIGINT, signal.SIGINT])
    monkeypatch.setattr(CLGNetModule, "training_step", twice)
    assert main([*command, str(tmp_path)]) == 130
    assert checkpoint(tmp_path)["global_step"] == 3  # of the end of the first epoch


@pytest.mark.parametrize(("minutes", "saved"), [("60", False), ("0", True)])
def test_checkpoints_within_an_epoch_follow_the_clock(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: str, saved: bool
) -> None:
    """A killed run loses at most --checkpoint_minutes."""

    def step_or_die(*args: Any) -> Any:
        if args[2] == 1:  # the second batch
            raise RuntimeError("died")
        return step(*args)

    step = CLGNetModule.training_step
    monkeypatch.setattr(CLGNetModule, "training_step", step_or_die)
    with pytest.raises(RuntimeError, match="died"):
        main([*command, str(tmp_path), "--checkpoint_minutes", minutes])
    assert (tmp_path / "checkpoints" / "last.ckpt").exists() == saved
    assert not saved or checkpoint(tmp_path)["global_step"] == 1
