"""`python -m banding.demo`: it runs (seconds), and its claims hold (minutes)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from banding import demo
from banding.metrics import banding_score
from fastmri_clgnet.data import demo as demo_data


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def test_bands_are_added_where_the_signal_is_low() -> None:
    rng = np.random.default_rng(0)
    target = np.abs(rng.normal(size=(64, 64)) * 0.01).astype(np.float32)
    target[20:40, 20:40] = 1.0
    seen: list[Any] = []
    demo.BandedTarget(lambda *sample: seen.append(sample[2]))(target, None, target, {}, "a.h5", 0)
    (banded,) = seen
    assert banded.dtype == np.float32 and banded.min() >= 0
    np.testing.assert_array_equal(banded[20:40, 20:40], target[20:40, 20:40])
    assert np.abs(banded - target).max() == pytest.approx(demo.AMPLITUDE, rel=0.01)
    plain, with_bands = (torch.from_numpy(each) for each in (target, banded))
    assert abs(banding_score(plain)) < 0.2 < 0.9 < banding_score(with_bands)


def test_runs_on_little(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few batches have no effect, and the exit status is 1."""
    few = dict.fromkeys(demo_data.VOLUMES, (2, 2))
    monkeypatch.setattr(demo_data, "VOLUMES", few)
    flags = ["--demo_dir", "data", "--pretrain_epochs", "1", "--max_epochs", "1"]
    assert demo.main([*flags, "--limit_train_batches", "1"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("\nkept: epoch") == 2
    table = printed[printed.index("bands added on purpose") :]
    for name, folder in (
        ("before", "without_adversary"),
        ("without adversary", "without_adversary"),
        ("with adversary", "with_adversary"),
    ):
        metrics = json.loads(Path(f"banding_demo/seed0/{folder}/metrics.json").read_text())
        row = metrics["before" if name == "before" else "after"]
        assert f"\n{name} " in table and f" {row['banding_score']:.4f} " in table
    assert (
        "before, blurred" in table and Path("banding_demo/seed0/reconstructions/blurred").is_dir()
    )
    assert "\nNO  with the adversary, the banding score is at most half" in table
    assert Path("banding_demo/seed0/bands.png").is_file()
    assert sorted(path.name for path in Path().iterdir()) == ["banding_demo", "data"]


GOOD = {"banding_score": 0.1, "banding_energy": 3.0, "val_metrics/ssim": 0.80}
BEFORE = {"banding_score": 0.9, "banding_energy": 9.0, "val_metrics/ssim": 0.80}
CONTROL = {**BEFORE, "banding_score": 0.8}


@pytest.mark.parametrize(
    ("control", "after", "status"),
    [
        (CONTROL, GOOD, 0),
        (CONTROL, {**GOOD, "banding_score": -0.44}, 0),
        (CONTROL, {**GOOD, "banding_score": -0.46}, 1),
        (CONTROL, {**GOOD, "banding_energy": 5.0}, 1),
        (CONTROL, {**GOOD, "val_metrics/ssim": 0.794}, 1),
        ({**CONTROL, "banding_score": -0.4}, GOOD, 1),
    ],
)
def test_verdict(control: dict[str, float], after: dict[str, float], status: int) -> None:
    rows = {"before": BEFORE, "without adversary": control, "with adversary": after}
    assert demo.verdict(rows) == status


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_demo_removes_its_bands(seed: int, in_folder: Path) -> None:
    """The README's claim: with the adversary the score halves, SSIM holds; without, it does not."""
    assert demo.main(["--seed", str(seed)]) == 0
    metrics = {
        name: json.loads(Path(f"banding_demo/seed{seed}/{name}_adversary/metrics.json").read_text())
        for name in ("with", "without")
    }
    before = metrics["with"]["before"]
    after, control = metrics["with"]["after"], metrics["without"]["after"]
    assert metrics["without"]["before"] == pytest.approx(before)
    goal = abs(before["banding_score"]) / 2
    assert abs(after["banding_score"]) <= goal < abs(control["banding_score"])
    assert after["val_metrics/ssim"] >= before["val_metrics/ssim"] - 0.005
    assert after["banding_energy"] <= before["banding_energy"] / 2
