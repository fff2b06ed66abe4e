"""Reads files in another process: HDF5 is written in C, and damaged files may crash it."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from resource import RLIMIT_AS, getpagesize, getrlimit, setrlimit
from typing import Any

import torch

from fastmri_clgnet.errors import InputError

CPU_SECONDS, BYTES_PER_SECOND = 30, 4 * 2**20  # for each file; one second more for so many bytes
MEMORY_BYTES = 6 * 2**30  # beside what the main process has
ENDS = {-signal.SIGPROF: "takes too long to read", -signal.SIGKILL: "is too large for the memory"}


def map_in_fork(function: Callable[[Path], Any], paths: Sequence[Path]) -> Iterator[Any]:
    """Yield function(path) of each path, called in a fork; a crash there is an `InputError`."""
    here, there = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process
        torch.set_num_threads(1)  # the others are not there in a fork, and would be waited for
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
                reason = ENDS.get(fork.exitcode or 0, "crashes the HDF5 library")
                result = InputError(
                    f"{path}: damaged HDF5 file (it {reason}); copy or download it again"
                )
            if isinstance(result, Exception):
                raise result
            yield result
    finally:  # after Ctrl-C, too
        fork.kill()
        fork.join()
