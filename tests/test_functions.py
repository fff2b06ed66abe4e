"""The documentation's functions, one after the other, as a notebook calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import make_small_dataset
from tests.test_readme import python_block


def test_every_step_of_a_study_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_small_dataset(Path("DATA"), "singlecoil")
    # such a process would run the script around the block again, since it has no guard
    for name in ("SpawnProcess", "ForkServerProcess"):
        monkeypatch.setattr(f"multiprocessing.context.{name}._Popen", None)
    names: dict[str, object] = {}
    exec(python_block("functions"), names)
    assert Path("run/checkpoints/best.ckpt").is_file()
    assert {path.name for path in Path("OUT").iterdir()} == {"c.h5", "d.h5"}
    assert Path("report.html").stat().st_size > 10_000
    printed = capsys.readouterr().out
    for text in ("DATA/singlecoil_train", "zero-filled", "run/comparison.png", "report.html"):
        assert text in printed, text
