"""Apply a function to many files, in several processes, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from fastmri_clgnet.errors import InputError

Job = TypeVar("Job")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Return how many cores this process may use, counted as torch's DataLoader does."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


DEFAULT_WORKERS = min(4, usable_cores())  # fastMRI uses 4


def map_files(
    function: Callable[[Job], Result], jobs: Sequence[Job], num_workers: int, label: str
) -> list[Result]:
    """Call a function on every job, one per file; return the results in the same order."""
    program = getattr(sys.modules["__main__"], "__file__", None)
    if program is not None and not Path(program).is_file():
        num_workers = 1  # other processes cannot import a program from stdin
    num_workers = min(num_workers, len(jobs))
    progress = partial(tqdm, desc=label, total=len(jobs), unit="file")
    if num_workers < 2:
        return list(progress(map(function, jobs)))
    # forking a process with threads is unsafe; a fork server imports everything only once
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    context.set_forkserver_preload(["fastmri.data", function.__module__])
    with ProcessPoolExecutor(num_workers, context, initializer=_start_worker) as pool:
        try:
            return list(progress(pool.map(function, jobs)))
        except BrokenProcessPool as error:
            raise InputError(
                "a process was ended from outside, possibly out of memory: use fewer processes; or "
                "it could not start: a script of your own needs if __name__ == '__main__':"
            ) from error


def _start_worker() -> None:
    """Ignore Ctrl-C, which the main process handles; end with that process; use one core."""
    import torch

    def end_with_parent() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=end_with_parent, daemon=True).start()
