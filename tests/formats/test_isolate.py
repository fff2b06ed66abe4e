"""What ends a process that reads a file is one error in this one."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from fastmri_clgnet import read_scan
from fastmri_clgnet.convert import main as convert
from fastmri_clgnet.errors import InputError

if sys.platform != "linux":
    pytest.skip("forks to read files on Linux only", allow_module_level=True)

from fastmri_clgnet.formats import isolate
from fastmri_clgnet.formats.isolate import map_in_fork


def _crash(path: Path) -> None:
    faulthandler.disable()  # pytest's
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang(path: Path) -> None:
    while True:
        pass


def _kill(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _grow(path: Path) -> None:
    bytearray(2**30)


def _interrupt(path: Path) -> str:
    """Send what Ctrl-C sends to all processes: the fork goes on, the main process stops."""
    os.kill(os.getppid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
    return "not reached"


ENDS = {_crash: "crashes the HDF5 library", _hang: "takes too long", _kill: "is too large for"}


@pytest.mark.parametrize("function", ENDS, ids=lambda function: function.__name__)
def test_the_end_of_the_fork_is_an_error(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "CPU_SECONDS", 0)
    with pytest.raises(InputError, match=rf"^a.h5: damaged HDF5 file \(it {ENDS[function]}"):
        list(map_in_fork(function, [Path("a.h5")]))


def test_only_what_ends_a_fresh_fork_is_damaged() -> None:
    """An earlier file may have damaged the process that reads the next one."""
    read: list[str] = []

    def function(path: Path) -> int:
        read.append(path.name)
        if path.name == "bad" or (path.name == "victim" and "cause" in read):
            _crash(path)
        return len(read)

    paths = [Path(name) for name in ("cause", "victim", "good", "bad", "after")]
    results = map_in_fork(function, paths)
    assert [next(results) for _ in range(3)] == [1, 1, 2]
    with pytest.raises(InputError, match=r"^bad: damaged"):
        next(results)


def test_results_and_errors_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "MEMORY_BYTES", 2**27)
    paths = [tmp_path / "a", tmp_path / "b"]
    results = map_in_fork(lambda path: (path.name, torch.get_num_threads()), paths)
    assert list(results) == [("a", 1), ("b", 1)]
    with pytest.raises(MemoryError):
        next(map_in_fork(_grow, paths))
    bytearray(2**30)  # the limit is the fork's
    monkeypatch.chdir(tmp_path)
    Path("b.txt").write_text("here")
    assert list(map_in_fork(Path.read_text, [Path("b.txt")])) == ["here"]


def test_whatever_reads_a_scan_survives_its_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in" / "train" / "a.h5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        file["kspace"] = np.ones((3, 20, 20, 4), np.float32)
    monkeypatch.setattr(isolate, "_read_whole", _crash)
    with pytest.raises(InputError, match=rf"{path}: damaged HDF5 file \(it crashes"):
        read_scan(path)
    source, out = str(tmp_path / "in"), str(tmp_path / "out")
    assert convert([source, out, "--from", "cc359", "--num_workers", "1"]) == 1
    assert f"error: {path}: damaged HDF5 file (it crashes" in capsys.readouterr().err


def test_all_of_a_file_is_read_where_it_can_be(tmp_path: Path) -> None:
    """What cannot is for the reader to say: here nothing is raised."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/scalar"], file["text"] = 3, ["a", "b"]
        file["none"] = h5py.Empty("f4")
        file.create_dataset("claims", (10**9, 10**6), "f8", chunks=(1, 10**6))
        file["link"] = h5py.SoftLink("/nowhere")
    isolate.expect_readable(path)
    path.write_bytes(path.read_bytes()[:300])
    isolate.expect_readable(path)
    isolate.expect_readable(tmp_path / "nowhere.h5")


def test_ctrl_c_ends_both() -> None:
    # Python has no handler where it was started in the background
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(map_in_fork(_interrupt, [Path("a.h5")]))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not multiprocessing.active_children()
