"""Several processes share the volumes of a reconstruction."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized

import torch

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.reconstruction.job import Job, Reconstructor

# of each process of the pool
_slices: Synchronized  # slices that all of them have reconstructed
_reconstructor: Reconstructor
_POLL_SECONDS = 0.2


def share_volumes(
    job: Job,
    names: Sequence[str],
    device: torch.device,
    num_processes: int,
    progress: Callable[[int], object],
) -> None:
    """Reconstruct volumes in several processes, each of which has the model.

    Args:
        job: What to do.
        names: File names in job.data_path.
        device: Where; "cuda" without a number puts the processes on all GPUs in turn.
        num_processes: How many; 1 works in this process.
        progress: Is told numbers of slices as they are done.

    Raises:
        InputError: If a process found one, or died; the others then end after their volume.
    """
    num_processes = min(num_processes, len(names))
    if num_processes <= 1:
        if names:
            Reconstructor(job, device).run(names, progress)
        return
    context = multiprocessing.get_context("spawn")
    counter, started = context.Value("q", 0), context.Value("q", 0)
    threads = max(1, torch.get_num_threads() // num_processes)
    arguments = (counter, started, threads, job, device)
    with ProcessPoolExecutor(num_processes, context, _start, arguments) as pool:
        pending = {pool.submit(_work, name) for name in names}
        shown = 0
        try:
            while pending:
                done, pending = wait(pending, _POLL_SECONDS)
                now = int(counter.value)
                if now > shown:
                    progress(now - shown)
                shown = now
                for future in done:
                    future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "a process died (out of memory?); what is complete is written and the same "
                "command goes on; try fewer --num_processes"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start(
    counter: Synchronized, started: Synchronized, threads: int, job: Job, device: torch.device
) -> None:
    """Prepare a process of the pool: its share of the cores, its device, its model."""
    global _slices, _reconstructor
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    torch.set_num_threads(threads)
    with started.get_lock():
        rank = int(started.value)
        started.value += 1
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", rank % torch.cuda.device_count())
    _slices, _reconstructor = counter, Reconstructor(job, device)


def _work(name: str) -> None:
    """Reconstruct one volume."""

    def progress(n_slices: int) -> None:
        with _slices.get_lock():
            _slices.value += n_slices

    _reconstructor.run([name], progress)
