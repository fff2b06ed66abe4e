"""Interrupted, continued and changed conversions."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.convert import runner
from fastmri_clgnet.convert.__main__ import main
from tests.convert.host import assert_good, blobs

FLAGS = ["--from", "numpy", "--axes", "slice", "row", "column", "--kind", "image"]


def _contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def _wait_for_the_end(group: int) -> None:
    """Wait until no process of a group is left."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("processes are left")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten volumes of magnitude images, below folders, and files of other kinds."""
    for i in range(10):
        folder = tmp_path / "in" / f"p{i // 2}"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"v{i}.npy", np.abs(blobs(i, 2, 24, 20)))
        (folder / "._v.npy").write_text("stray")
        (folder / "notes.txt").write_text("notes")
    return tmp_path / "in"


@pytest.mark.parametrize("num_workers", ["1", "2"])
def test_a_killed_conversion_resumes_to_the_same_bytes(
    num_workers: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL to the main process after some volumes; its workers end with it."""
    assert main([str(source), str(tmp_path / "whole"), *FLAGS, "--num_workers", "1"]) == 0
    whole = _contents(tmp_path / "whole")
    assert len(whole) == 11
    out = tmp_path / "out"
    command = [str(source), str(out), *FLAGS, "--num_workers", num_workers]
    # a volume that keeps the converter waiting: a named pipe that nobody writes to
    last = source / "p4" / "v9.npy"
    last.unlink()
    os.mkfifo(last)
    program = (
        "import pathlib, sys; from fastmri_clgnet.convert import runner, __main__ as command;"
        "is_file = pathlib.Path.is_file;"
        "pathlib.Path.is_file = lambda self: self.is_fifo() or is_file(self);"
        "sys.exit(command.main(sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, *command], start_new_session=True)
    deadline = time.monotonic() + 600  # starting processes takes long on a busy machine
    while len(list(out.glob("singlecoil_*/*"))) < 5 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_for_the_end(process.pid)
    last.unlink()
    np.save(last, np.abs(blobs(9, 2, 24, 20)))
    before = {path: path.stat().st_mtime_ns for path in out.glob("singlecoil_*/*")}
    assert 5 <= len(before) < 10
    # nothing that the host would stumble on
    assert_good(out)
    assert main([*command[:-1], "1"]) == 0
    assert f"({len(before)} of the volumes had been converted before)" in capsys.readouterr().out
    assert _contents(out) == whole
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_several_processes_give_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for out, num_workers in (("a", "1"), ("b", "2")):
        command = [str(source), str(tmp_path / out), *FLAGS, "--num_workers", num_workers]
        assert main([*command, "--by", "folder", "--split", "0.6", "0.2", "0.2"]) == 0
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    # volumes of one folder share a split; a test volume keeps its reference
    split_of = {path.stem: path.parent.name for path in (tmp_path / "a").glob("*/*.h5")}
    assert len(split_of) == 10
    for i in range(0, 10, 2):
        assert split_of[f"p{i // 2}_v{i}"] == split_of[f"p{i // 2}_v{i + 1}"]
    test = next((tmp_path / "a" / "singlecoil_test").iterdir())
    with h5py.File(test) as file:
        mask = file["mask"][()]
        assert not file["kspace"][..., ~mask].any()
        assert file["kspace"][..., mask].all()
        assert file["reconstruction_esc"].shape == (2, 24, 20)
        assert file.attrs["acceleration"] == round(20 / mask.sum())


def test_other_settings_and_other_volumes_are_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(source), str(tmp_path / "out"), *FLAGS, "--num_workers", "1"]
    assert main(command) == 0
    before = _contents(tmp_path / "out")
    assert main([*command, "--noise", "0.5"]) == 1
    assert "another conversion, with --noise 0.01; repeat" in capsys.readouterr().err
    shutil.copy(source / "p0" / "v0.npy", source / "p0" / "w.npy")
    assert main(command) == 1
    assert "another conversion, with other volumes" in capsys.readouterr().err
    assert _contents(tmp_path / "out") == before
    (tmp_path / "out" / runner.RECORD).unlink()
    assert main(command) == 1
    assert "holds files already; give another output folder" in capsys.readouterr().err
    assert main([str(source), str(source / "out"), *FLAGS]) == 1
    assert "lies in the source" in capsys.readouterr().err
    assert main([str(source / "nowhere"), str(tmp_path / "new"), *FLAGS]) == 1
    assert "no such file or folder" in capsys.readouterr().err
    assert main([str(source), str(tmp_path / "new"), "--from", "bart"]) == 1
    assert "no files ending in .cfl" in capsys.readouterr().err
    masks = ["--accelerations", "20"]
    assert main([str(source), str(tmp_path / "new"), *FLAGS, *masks]) == 1
    assert "acceleration 20 with centre fraction 0.08" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_bad_volume_stops_and_the_others_stay(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = source / "p2" / "v5.npy"
    np.save(bad, np.full((2, 24, 20), np.nan))
    command = [str(source), str(tmp_path / "out"), *FLAGS, "--num_workers", "1"]
    assert main(command) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {bad}: the images hold NaN or Inf"
    assert_good(tmp_path / "out")
    np.save(bad, np.ones((2, 24, 20)))
    assert main(command) == 0
    assert len(list((tmp_path / "out").glob("*/*.h5"))) == 10
    assert not (tmp_path / "out" / runner.PARTIAL).exists()


def test_names_that_coincide_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a/b.npy", "a_b.npy"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "in" / name, np.ones((2, 24, 20)))
    split = ["--split", "1", "0", "0"]
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *FLAGS, *split]) == 1
    assert "2 files would be train/a_b.h5; rename them" in capsys.readouterr().err
