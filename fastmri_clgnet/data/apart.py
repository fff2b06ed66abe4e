"""Reads files in a process apart: what crashes the HDF5 library there is one error here.

HDF5 is written in C, and damaged metadata can make it crash, allocate without limit or never end.
Whoever opens files that came from elsewhere lets such a process do it first.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from fastmri_clgnet.errors import InputError

if sys.platform != "win32":
    import resource

Job = TypeVar("Job")
Result = TypeVar("Result")

CPU_SECONDS = 30  # between two calls of `still_going`; waiting for a slow disk does not count
MEMORY_BYTES = 6 * 2**30  # beside what the main process has
_NAME = "reading apart"


class Apart(Generic[Job, Result]):
    """A function of a file that another process calls, which may crash.

    The process is a fork, which on Linux costs milliseconds, and is made by the first call. It may
    have `MEMORY_BYTES` and `CPU_SECONDS`. On other systems forks are unsafe, and the function is
    called in this process.

    Args:
        function: Reads a file; what it returns or raises is sent here.
    """

    def __init__(self, function: Callable[[Job], Result]) -> None:
        """Start nothing yet."""
        self.function = function
        self._running: tuple[BaseProcess, Connection] | None = None
        self._folder: Path | None = None

    def __call__(self, job: Job, path: Path) -> Result:
        """Call the function.

        Args:
            job: Its argument.
            path: The file that it reads, for the error.

        Returns:
            Its result.

        Raises:
            InputError: If the file ended the process. An earlier file may have damaged it: only
                what ends a fresh one, too, is called damaged.
        """
        if sys.platform != "linux":
            return self.function(job)
        if self._folder != Path.cwd():  # where that process would look for relative paths
            self.close()
            self._folder = Path.cwd()
        fresh = self._running is None
        process, connection = self._running = self._running or _start(self.function)
        try:
            connection.send(job)
            result = connection.recv()
        except (EOFError, OSError):
            process.join()
            code = -(process.exitcode or 0)
            self.close()
            if not fresh:
                return self(job, path)
            raise InputError(
                f"{path}: damaged HDF5 file ({_reason(code)}); copy or download it again"
            ) from None
        if isinstance(result, BaseException):
            raise result
        returned: Result = result
        return returned

    def close(self) -> None:
        """End the process."""
        if self._running is not None:
            process, connection = self._running
            self._running = None
            connection.close()
            process.kill()
            process.join()
            process.close()


def map_apart(function: Callable[[Path], Result], paths: Sequence[Path]) -> Iterator[Result]:
    """Call a function on files one by one, in a process apart.

    Args:
        function: Reads a file.
        paths: The files.

    Yields:
        The results, in the order of the files.

    Raises:
        InputError: Of the function; or if a file ended the process.
    """
    apart = Apart(function)
    try:
        for path in paths:
            yield apart(path, path)
    finally:
        apart.close()


def still_going() -> None:
    """Say that the work in a process apart proceeds: its `CPU_SECONDS` begin again."""
    if multiprocessing.current_process().name == _NAME:
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
        _lower(resource.RLIMIT_CPU, seconds)


def _reason(code: int) -> str:
    """Why a process ended, by its signal."""
    if code == signal.SIGXCPU:
        return f"reading it did not come to an end in {CPU_SECONDS} s of computing"
    if code == signal.SIGKILL:
        return "the process that read it was ended from outside, perhaps for want of memory"
    return "it crashes the HDF5 library"


def _start(function: Callable[[Any], object]) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(function, here, there), daemon=True, name=_NAME)
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, none of which this process needs
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    there.close()
    return process, here


def _work(function: Callable[[Any], object], parent: Connection, connection: Connection) -> None:
    """What the other process does, until the main one ends or closes the connection."""
    parent.close()
    _limit()
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        still_going()
        try:
            result = function(job)
        except Exception as error:
            connection.send(error)
        else:
            connection.send(result)


def _limit() -> None:
    """Leave Ctrl-C to the main process, die in silence, limit the memory, use one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.disable()
    torch.set_num_threads(1)  # the others are not there in a fork, and would be waited for
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # where C libraries would write of a crash
        os.dup2(nowhere, stream)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY_BYTES)


def _lower(limit: int, value: int) -> None:
    """Set a soft limit, as far as the hard one, which stays, allows it."""
    _, hard = resource.getrlimit(limit)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(limit, (value, hard))
