"""Reads HDF5 files in another process: HDF5 is written in C, and damaged files may crash it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import h5py

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.hdf5 import open_hdf5

if sys.platform == "linux":
    from resource import RLIMIT_AS, getpagesize, getrlimit, setrlimit

CPU_SECONDS, BYTES_PER_SECOND = 30, 4 * 2**20  # for each file; one second more for so many bytes
MEMORY_BYTES = 6 * 2**30  # beside what the main process has
MOST_PACKED = 1000  # times that compression makes arrays smaller
AT_ONCE, RECORDS = 2**24, 256  # bytes, or records of any length, that are read at once
Result = TypeVar("Result")


def read_files(
    paths: Sequence[Path], read: Callable[[h5py.File, Path], Result]
) -> Iterator[Result]:
    """Yield `read(file, path)` of each file; a crash of the reader is an `InputError`."""

    def opened(path: Path) -> Result:
        with open_hdf5(path) as file:
            return read(file, path)

    # forks are unsafe on other systems
    return map_in_fork(opened, paths) if sys.platform == "linux" else map(opened, paths)


def expect_readable(path: Path) -> None:
    """Read all of an HDF5 file in another process, before this one does.

    Raises an `InputError` where that process crashes or takes too long. Every other error is left
    to whoever reads the file here.
    """
    if sys.platform == "linux" and path.is_file() and h5py.is_hdf5(path):
        list(map_in_fork(_read_whole, [path]))


def _read_whole(path: Path) -> None:
    most = MOST_PACKED * path.stat().st_size

    def read(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
            return
        with contextlib.suppress(Exception):
            if not item.shape:
                item[()]
            elif item.nbytes <= most:  # larger ones are refused by whoever reads them
                step = max(1, AT_ONCE * len(item) // max(1, item.nbytes))
                step = min(step, RECORDS) if item.dtype.hasobject else step
                for start in range(0, len(item), step):
                    item[start : start + step]

    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        dict(file.attrs)
        file.visititems(read)


def map_in_fork(function: Callable[[Path], Any], paths: Sequence[Path]) -> Iterator[Any]:
    """Yield function(path) of each path, called in a fork; a crash there is an `InputError`."""
    ends = {
        -signal.SIGPROF: "takes too long to read", -signal.SIGKILL: "is too large for the memory"
    }  # fmt: skip
    here, there = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process
        if "torch" in sys.modules:  # whose threads a fork has not, and would wait for
            sys.modules["torch"].set_num_threads(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where C libraries would report a crash
        virtual = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * getpagesize()
        soft, hard = virtual + MEMORY_BYTES, getrlimit(RLIMIT_AS)[1]
        setrlimit(RLIMIT_AS, (soft if hard < 0 else min(soft, hard), hard))
        for path in paths:
            size = path.stat().st_size if path.exists() else 0
            signal.setitimer(signal.ITIMER_PROF, 1 + CPU_SECONDS + size / BYTES_PER_SECOND)
            try:
                there.send(function(path))
            except Exception as error:
                there.send(error)

    fork = multiprocessing.get_context("fork").Process(target=work)
    fork.start()
    there.close()
    try:
        for i, path in enumerate(paths):
            try:
                result = here.recv()
            except EOFError:
                fork.join()
                if i > 0:  # an earlier file may have damaged the fork: a fresh one decides
                    yield from map_in_fork(function, paths[i:])
                    return
                reason = ends.get(fork.exitcode or 0, "crashes the HDF5 library")
                result = InputError(
                    f"{path}: damaged HDF5 file (it {reason}); copy or download it again"
                )
            if isinstance(result, Exception):
                raise result
            yield result
    finally:  # after Ctrl-C, too
        fork.kill()
        fork.join()
