"""A function over many files, in several processes, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from tqdm import tqdm

from fastmri_clgnet.errors import InputError

Job = TypeVar("Job")
Result = TypeVar("Result")


def default_num_workers() -> int:
    """Processes where none were asked for: up to 4, since each holds a volume in memory."""
    return min(4, os.cpu_count() or 1)


def map_files(
    function: Callable[[Job], Result], jobs: Sequence[Job], num_workers: int, label: str
) -> list[Result]:
    """Call a function on every job, one a file.

    Args:
        function: Of a module, so that other processes find it.
        jobs: What to call it on.
        num_workers: Processes; with one, or one job, it is called here.
        label: What stands in front of the progress bar.

    Returns:
        The results, in the order of the jobs.

    Raises:
        InputError: The first one that the function raises; nothing new is started then.
    """
    num_workers = min(num_workers, len(jobs))
    with tqdm(desc=label, total=len(jobs), unit="file") as progress:
        if num_workers > 1:
            return _map_in_processes(function, jobs, num_workers, progress)
        results = []
        for job in jobs:
            results.append(function(job))
            progress.update()
        return results


def _map_in_processes(
    function: Callable[[Job], Result], jobs: Sequence[Job], num_workers: int, progress: tqdm
) -> list[Result]:
    # forking a process that runs threads is unsafe; a fork server imports everything once
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([function.__module__])
    with ProcessPoolExecutor(num_workers, context, initializer=_start_worker) as pool:
        futures: list[Future[Result]] = [pool.submit(function, job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                progress.update()
        except BrokenProcessPool as error:
            raise InputError(
                "a process was ended from outside, perhaps for want of memory; try fewer processes"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _start_worker() -> None:
    """Leave Ctrl-C to the main process, end when it ends, and use one core."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def end_with(sentinel: int) -> None:
            wait([sentinel])
            os._exit(1)

        threading.Thread(target=end_with, args=(parent.sentinel,), daemon=True).start()
