"""Reads files in a process apart: what crashes the HDF5 library there is one error here.

HDF5 is written in C, and damaged metadata can make it crash, allocate without limit or never end.
Whoever opens files that came from elsewhere lets `map_apart` do it first.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from fastmri_clgnet.errors import InputError

Result = TypeVar("Result")

CPU_SECONDS = 30  # between two calls of `still_going`; waiting for a slow disk does not count
MEMORY_BYTES = 6 * 2**30  # beside what this process has
_REASONS = {
    signal.SIGXCPU: f"reading it did not come to an end in {CPU_SECONDS} s of computing",
    signal.SIGKILL: "the process that read it was ended from outside, perhaps for want of memory",
}


def map_apart(function: Callable[[Path], Result], paths: Sequence[Path]) -> Iterator[Result]:
    """Call a function on every file in another process, which may crash.

    The process is a fork, which on Linux costs milliseconds and may have `MEMORY_BYTES` and
    `CPU_SECONDS`. On other systems forks are unsafe, and the function is called in this process.

    Args:
        function: Reads a file; what it returns or raises is sent here.
        paths: The files.

    Yields:
        The results, in the order of the files, one by one.

    Raises:
        InputError: If a file ended a process that had read no other before.
    """
    if sys.platform != "linux":
        yield from map(function, paths)
        return
    context = multiprocessing.get_context("fork")
    done = 0
    while done < len(paths):
        first = done
        receiver, sender = context.Pipe(duplex=False)
        arguments = (function, paths[first:], receiver, sender)
        process = context.Process(target=_work, args=arguments, daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 warns of threads, none of which this process needs
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        sender.close()
        try:
            while done < len(paths):
                value = receiver.recv()
                if isinstance(value, BaseException):
                    raise value
                done += 1
                yield value
        except EOFError:
            process.join()
            if done == first:
                code = -(process.exitcode or 0)
                reason = _REASONS.get(signal.Signals(code), "it crashes the HDF5 library")
                raise InputError(
                    f"{paths[done]}: damaged HDF5 file ({reason}); copy or download it again"
                ) from None
            # perhaps an earlier file has damaged that process: this one gets a fresh one
        finally:
            receiver.close()
            process.kill()
            process.join()
            process.close()


def still_going() -> None:
    """Say that the work in a process apart proceeds: its `CPU_SECONDS` begin again."""
    if multiprocessing.current_process().name == _NAME:
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


_NAME = "reading apart"


def _work(
    function: Callable[[Path], object],
    paths: Sequence[Path],
    receiver: Connection,
    sender: Connection,
) -> None:
    """What the other process does: it ends when this one does."""
    receiver.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for crash in (signal.SIGXCPU, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE):
        signal.signal(crash, signal.SIG_DFL)
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # where C libraries would write of a crash
        os.dup2(nowhere, stream)
    multiprocessing.current_process().name = _NAME
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    for path in paths:
        still_going()
        try:
            result = function(path)
        except Exception as error:
            sender.send(error)
            return
        sender.send(result)
