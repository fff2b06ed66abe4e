"""Ctrl-C and SIGTERM at any moment: the same command ends as if it had not been stopped."""

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

# one run is not stopped at all; Lightning warns of what does not hold here, see data_module.py
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
    """Send the process signals at a method's call of that number, counted from 1."""
    calls = 0

    def counted(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            for each in signals:
                os.kill(os.getpid(), each)
        return method(*args)

    return counted


@pytest.mark.parametrize(
    ("where", "number", "signum", "status"),
    [
        ("step", 1, signal.SIGINT, 130),
        ("step", 2, signal.SIGINT, 130),
        ("step", 4, signal.SIGINT, 130),  # the first of the second epoch
        ("step", 6, signal.SIGTERM, 143),  # the last one
        ("step", 8, signal.SIGTERM, 143),
        ("validation", 1, signal.SIGINT, 130),  # the first 2 are Lightning's sanity check
        ("validation", 5, signal.SIGINT, 130),
        ("validation", 6, signal.SIGTERM, 143),
    ],
)
def test_stopped_runs_end_as_whole_ones(
    command: list[str],
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
    number: int,
    signum: signal.Signals,
    status: int,
) -> None:
    root = tmp_path / "run"
    owner, name = {
        "step": (SaveAndStop, "on_train_batch_start"),
        "validation": (CLGNetModule, "validation_step"),
    }[where]
    listener = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, at_call(number, getattr(owner, name), [signum]))
        assert main([*command, str(root)]) == status
    assert signal.getsignal(signal.SIGINT) is listener
    printed = capsys.readouterr().out
    if where == "validation" and number == 1:
        assert "Stopped before the first checkpoint" in printed
    else:
        assert f"The same command continues from {root / 'checkpoints' / 'last.ckpt'}" in printed
    assert not (root / "metrics.json").exists()
    assert main([*command, str(root)]) == 0
    assert_same_state(root, whole)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_in_the_middle_of_accumulated_gradients(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
) -> None:
    """And of validations that follow numbers of batches."""
    more = ["--batch_size", "1", "--accumulate_grad_batches", "2", "--checkpoint_minutes", "0"]
    more += ["--check_val_every_n_epoch", "null", "--val_check_interval", "4"]
    assert main([*command, str(tmp_path / "whole"), *more]) == 0
    flags = [*command, str(tmp_path / "run"), *more]
    for owner, name, number in (
        (SaveAndStop, "on_train_batch_start", 4),
        (CLGNetModule, "validation_step", 9),  # in the first that is not Lightning's sanity check
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, at_call(number, getattr(owner, name), [signum]))
            assert main(flags) in (130, 143)
    assert main(flags) == 0
    # behind a validation within an epoch Lightning counts one more for its logs, and only there
    assert_same_state(tmp_path / "run", tmp_path / "whole", logged=False)


def test_sigterm_in_a_test_is_no_success(
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
def test_within_an_epoch_it_is_saved_by_the_clock(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: str, saved: bool
) -> None:
    """A run that dies has lost no more than --checkpoint_minutes."""

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
