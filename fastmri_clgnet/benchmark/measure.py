"""Time and memory of actions, side by side."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from tqdm import tqdm

Action = Callable[[], object]
MakeAction = Callable[[], Action]


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_times(
    actions: Mapping[str, Action], device: torch.device, rounds: int
) -> dict[str, float]:
    """Median time of each action, in alternating order within one process.

    Args:
        actions: What to measure, by name.
        device: Where they run.
        rounds: Measurements of each, after one that warms up.

    Returns:
        Seconds by name.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in tqdm(range(rounds + 1), "Measuring time", unit="round"):
        for name, action in actions.items():
            _synchronise(device)
            start = time.perf_counter()
            action()
            _synchronise(device)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def _status_kb(key: str) -> int:
    """A figure of this process's memory, from Linux."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {key}")


def _peak_of_process(make_action: MakeAction) -> float:
    """Peak resident memory of this process during an action above that before, in bytes."""
    action = make_action()
    action()  # libraries allocate on first use
    before = _status_kb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    action()
    return 1024 * (_status_kb("VmHWM") - before)


def peak_mb(make_action: MakeAction, device: torch.device) -> float:
    """Peak memory of an action above what is held between two of them.

    On the CPU it is the peak resident memory of a process of its own, above that before; on Linux
    only, NaN elsewhere.

    Args:
        make_action: Makes the action; for the CPU it must be picklable.
        device: Where it runs.

    Returns:
        10^6 bytes.
    """
    if device.type == "cuda":
        action = make_action()
        action()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        action()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if not Path("/proc/self/clear_refs").exists():
        return math.nan
    # glibc reads them as the process starts: what is freed goes back at once
    names = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    users = {name: os.environ.pop(name, None) for name in names}
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_peak_of_process, (make_action,)) / 1e6
    finally:
        del os.environ["MALLOC_MMAP_THRESHOLD_"]
        os.environ.update({name: value for name, value in users.items() if value is not None})
