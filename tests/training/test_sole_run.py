"""Two runs in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training import session as module
from fastmri_clgnet.training.session import sole_run
from tests.helpers import QUIET, SMALL


def test_a_second_run_says_so_and_changes_nothing(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    flags = [*QUIET, "--data_path", str(small_dataset), "--default_root_dir", str(tmp_path)]
    with sole_run(tmp_path, first=True):
        assert main([*SMALL, *flags]) == 1
        assert main([*flags, "--model", "zero_filled", "--mode", "test"]) == 1
    error = capsys.readouterr().err
    assert error.count(f"error: {tmp_path}: another run is writing there") == 2
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_the_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    root = tmp_path / "run"
    with pytest.raises(InputError, match="of the run"), sole_run(root, first=True):
        raise InputError("of the run")
    # the other processes of a run do not ask for it
    with FileLock(root / ".lock").acquire(timeout=0), sole_run(root, first=False):
        pass


def test_what_a_killed_run_had_not_finished_is_removed(tmp_path: Path) -> None:
    for path in (
        "checkpoints/.last.ckpt.1.tmp",
        "reconstructions/.a.h5.1.tmp",
        "checkpoints/last.ckpt",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    with sole_run(tmp_path, first=True):
        files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {".lock", "checkpoints/last.ckpt"}
