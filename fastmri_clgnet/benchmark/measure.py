"""Time and memory of networks, side by side."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from fastmri_clgnet.benchmark.inputs import example_inputs

MakeNetwork = Callable[[], nn.Module]


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forward_times(
    networks: Mapping[str, MakeNetwork], size: int, device: torch.device, rounds: int
) -> dict[str, float]:
    """Median time of a forward pass, in alternating order within one process.

    Args:
        networks: Makers of networks that `example_inputs` knows, by name.
        size: Height and width in pixels.
        device: Where to run.
        rounds: Measurements of each, after one that warms up.

    Returns:
        Seconds by name.
    """
    models = {name: make().eval().to(device) for name, make in networks.items()}
    inputs = {name: example_inputs(model, (size, size), device) for name, model in models.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    with torch.no_grad():
        for _ in tqdm(range(rounds + 1), "Measuring time", unit="round"):
            for name, model in models.items():
                _synchronise(device)
                start = time.perf_counter()
                model(*inputs[name])
                _synchronise(device)
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def _status_kb(key: str) -> int:
    """A figure of this process's memory, from Linux."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {key}")


def _peak_of_process(make: MakeNetwork, size: int) -> float:
    """Peak resident memory of this process during a forward pass above that before, in bytes."""
    model, cpu = make().eval(), torch.device("cpu")
    inputs = example_inputs(model, (size, size), cpu)
    with torch.no_grad():
        model(*example_inputs(model, (64, 64), cpu))  # libraries allocate on first use
        before = _status_kb("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
        model(*inputs)
    return 1024 * (_status_kb("VmHWM") - before)


def forward_peak_mb(make: MakeNetwork, size: int, device: torch.device) -> float:
    """Peak memory of a forward pass beside parameters and input.

    On the CPU it is the peak resident memory of a process of its own, above that before; on Linux
    only, NaN elsewhere.

    Args:
        make: Makes the network; for the CPU it must be picklable.
        size: Height and width in pixels.
        device: Where to run.

    Returns:
        10^6 bytes.
    """
    if device.type == "cuda":
        model = make().eval().to(device)
        inputs = example_inputs(model, (size, size), device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        with torch.no_grad():
            model(*inputs)
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if not Path("/proc/self/clear_refs").exists():
        return math.nan
    # glibc reads it as the process starts: what is freed goes back at once
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_peak_of_process, (make, size)) / 1e6
    finally:
        del os.environ["MALLOC_MMAP_THRESHOLD_"]
