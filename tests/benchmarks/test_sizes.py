"""Networks of several sizes, trained for equal time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastmri_clgnet.benchmark import main
from fastmri_clgnet.benchmarks import training, training_costs
from tests.helpers import QUIET

NETWORKS = [
    *("--networks", "tiny", "--alpha 0 --chans 4 --num_groups 1 --num_blocks 1"),
    *("--networks", "host", "--model unet --chans 4 --num_pool_layers 2"),
]
STEPS = {"tiny": 4, "host": 6}


def test_each_size_gets_the_steps_of_its_time(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = iter([0.5, 0.35])
    monkeypatch.setattr(training_costs, "seconds_of_step", lambda flags: next(seconds))
    command = [
        "sizes", "--data_path", str(small_dataset), *NETWORKS, "--minutes", "0.035",
        "--output_path", str(tmp_path), "--rounds", "1", "--schedule", "onecycle", *QUIET,
    ]  # fmt: skip
    assert main(command) == 0
    table = json.loads((tmp_path / "sizes.json").read_text())["0.035 minutes"]
    rows = table["rows"]
    assert list(rows) == ["zero_filled", *STEPS]
    assert {name: rows[name]["steps"] for name in STEPS} == STEPS  # 2.1 s by 0.5 s and 0.35 s
    assert [rows[name]["step (s)"] for name in STEPS] == [0.5, 0.35]
    assert all(rows[name]["image (s)"] > 0 and rows[name]["SSIM"] > 0 for name in STEPS)
    assert rows["tiny"]["parameters"] < rows["host"]["parameters"]
    assert "\n| zero-filled | -" in (tmp_path / "sizes.md").read_text()
    # a second call measures no times and trains nothing again
    monkeypatch.setattr(training, "train", lambda flags: 1)
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--batch_size", "3"]) == 1
    assert "costs.json: times of other flags" in capsys.readouterr().err
    assert main([*command, "--minutes", "0.001"]) == 1
    assert "minutes 0.001: no step fits into that" in capsys.readouterr().err


def test_the_time_of_a_step_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that take 7 s and 0.25 s per step: what is no step does not count."""
    clock = [0.0]

    def train(flags: list[str]) -> int:
        clock[0] += 7 + 0.25 * int(flags[flags.index("--max_steps") + 1])
        return 0

    monkeypatch.setattr(training_costs, "train", train)
    monkeypatch.setattr(training_costs.time, "process_time", lambda: clock[0])
    assert training_costs.seconds_of_step([]) == 0.25


def test_a_step_is_measured(small_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # many, since two trainings of so small a network differ by more than 20 of its steps take
    monkeypatch.setattr(training_costs, "STEPS", (5, 205))
    flags = [*NETWORKS[2].split(), "--data_path", str(small_dataset), *QUIET]
    assert 0 < training_costs.seconds_of_step(flags) < 5
