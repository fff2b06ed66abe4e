"""Reads a file in a process of its own: HDF5 is written in C, and damaged files may crash it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, getrlimit, setrlimit
from typing import Any

import torch

from fastmri_clgnet.errors import InputError

CPU_SECONDS, BYTES_PER_SECOND = 30, 4 * 2**20  # one second more for each so many bytes
MEMORY_BYTES = 6 * 2**30  # beside what the main process has
_REASONS = {
    -signal.SIGXCPU: "reading it takes longer than a file of its size can need",
    -signal.SIGKILL: "the process that read it was killed, possibly out of memory",
}


def call_in_fork(function: Callable[[Path], Any], path: Path) -> Any:
    """Return function(path), called in a fork with limits; a crash there is an `InputError`."""
    here, there = multiprocessing.Pipe(duplex=False)
    fork = multiprocessing.get_context("fork").Process(target=_work, args=(function, path, there))
    with warnings.catch_warnings():  # Python 3.12 warns of threads, which the fork does not need
        warnings.simplefilter("ignore", DeprecationWarning)
        fork.start()
    there.close()
    try:
        result = here.recv()
    except EOFError:
        fork.join()
        reason = _REASONS.get(fork.exitcode or 0, "it crashes the HDF5 library")
        result = InputError(f"{path}: damaged HDF5 file ({reason}); copy or download it again")
    finally:  # after Ctrl-C, too
        fork.kill()
        fork.join()
    if isinstance(result, Exception):
        raise result
    return result


def _work(function: Callable[[Path], Any], path: Path, connection: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process
    torch.set_num_threads(1)  # the others are not there in a fork, and would be waited for
    for stream in (1, 2):  # where C libraries would report a crash
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    seconds = CPU_SECONDS + (path.stat().st_size if path.exists() else 0) // BYTES_PER_SECOND
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    memory = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    for limit, value in (RLIMIT_CORE, 0), (RLIMIT_CPU, seconds), (RLIMIT_AS, memory):
        hard = getrlimit(limit)[1]
        setrlimit(limit, (value if hard == RLIM_INFINITY else min(value, hard), hard))
    try:
        connection.send(function(path))
    except Exception as error:
        connection.send(error)
