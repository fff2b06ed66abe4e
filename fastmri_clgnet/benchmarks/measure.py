"""Time and memory of networks' forward passes and training steps, side by side."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models import vgg19
from tqdm import tqdm

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.losses import LAYER_WEIGHTS, CLGNetLoss, ContrastiveLoss, VGG19Features
from fastmri_clgnet.losses.contrastive import NUM_NEGATIVES
from fastmri_clgnet.models.comparison import KspaceNetwork
from fastmri_clgnet.models.least_size import expect_size
from fastmri_clgnet.precision import Precision, autocast

# operators that only make a view or allocate memory
NO_WORK = {
    *("view", "view_as_real", "view_as_complex", "_unsafe_view", "_reshape_alias", "alias"),
    *("as_strided", "slice", "select", "split", "split_with_sizes", "unbind", "real", "imag"),
    *("transpose", "t", "permute", "expand", "squeeze", "unsqueeze", "detach", "lift_fresh"),
    *("empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided"),
    "_local_scalar_dense",
}

MakeNetwork = Callable[[], nn.Module]
Action = Callable[[], object]
MakeAction = Callable[..., Action]


def example_inputs(
    model: nn.Module, size: tuple[int, int], device: torch.device, batch: int = 1
) -> tuple[torch.Tensor, ...]:
    """Make random k-space (batch, height, width, 2) and mask for a `KspaceNetwork`, else images."""
    parameter = next(model.parameters(), None)
    dtype = torch.float32 if parameter is None else parameter.dtype
    if not isinstance(model, KspaceNetwork):
        return (torch.randn(batch, 1, *size, dtype=dtype, device=device),)
    mask = torch.zeros(1, 1, size[1], 1, dtype=dtype, device=device)
    mask[:, :, ::4] = 1
    return mask * torch.randn(batch, *size, 2, dtype=dtype, device=device), mask


def forward_pass(
    make: MakeNetwork, size: int, batch: int, device: torch.device, precision: Precision = "32-true"
) -> Action:
    """Make a network and return its forward pass without gradients, on size x size pixels."""
    model = make().eval().to(device)
    expect_size(model, "size", (size, size))
    inputs = example_inputs(model, (size, size), device, batch)

    def action() -> None:
        with torch.no_grad(), autocast(device, precision):
            model(*inputs)

    return action


def training_step(
    make: MakeNetwork,
    size: int,
    batch: int,
    device: torch.device,
    precision: Precision = "32-true",
    contrastive: bool = False,
    update: bool = True,
) -> Action:
    """Make a network on images and return its training step: forward, loss, backward, Adam.

    Without update, Adam is omitted.
    """
    model = make().train().to(device)
    expect_size(model, "size", (size, size))
    (image,) = example_inputs(model, (size, size), device, batch)
    target = torch.randn_like(image)
    loss = (_contrastive_loss(batch) if contrastive else CLGNetLoss(alpha=0)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def action() -> None:
        optimizer.zero_grad()
        with autocast(device, precision):
            value = loss(model(image), target, image)["loss"]
        value.backward()
        if update:
            optimizer.step()

    return action


def _contrastive_loss(batch: int) -> CLGNetLoss:
    """Return the paper's objective, with random weights of VGG19."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vgg19.pt"
        torch.save(vgg19(weights=None).features.state_dict(), path)
        features = VGG19Features(weights=path)
    weights = list(LAYER_WEIGHTS.values())
    return CLGNetLoss(contrastive=ContrastiveLoss(features, weights, min(NUM_NEGATIVES, batch)))


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(
    action: Action, device: torch.device, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds that an action takes, until the device has done it."""
    _synchronise(device)
    start = clock()
    action()
    _synchronise(device)
    return clock() - start


def median_times(
    actions: Mapping[str, Action],
    device: torch.device,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Measure the median seconds of each action, in alternating order after a warm-up round."""
    if rounds < 1:
        raise InputError(f"rounds {rounds}: expected 1 or more")
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in tqdm(range(rounds + 1), "Measuring time", unit="round"):
        for name, action in actions.items():
            times[name].append(seconds_of(action, device, clock))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


class _OperatorCounter(TorchDispatchMode):
    """Counts the operators that reach a backend and do work there."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> object:
        self.count += func.overloadpacket.__name__ not in NO_WORK
        return func(*args, **(kwargs or {}))


def count_operators(action: Action) -> int:
    """Count the operators an action dispatches, about what a GPU must launch; omit views.

    Example:
        >>> count_operators(lambda: torch.zeros(3).view(3, 1) + 1)  # zeros, add
        2
    """
    with _OperatorCounter() as counter:
        action()
    return counter.count


def count_kernels(action: Action) -> dict[str, float]:
    """Count the kernels of an action on a CUDA device, and their seconds (torch's profiler).

    If an action takes much longer than its kernels, launching them takes the time.
    """
    action()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        action()
        torch.cuda.synchronize()
    events = [event for event in profiler.key_averages() if event.self_device_time_total > 0]
    return {
        "kernels": sum(event.count for event in events),
        "kernels' time (s)": sum(event.self_device_time_total for event in events) / 1e6,
    }


def _status_kb(key: str) -> int:
    """Read a figure of this process's memory, in kB, from Linux."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {key}")


def _peak_of_process(make_action: MakeAction) -> float:
    """Measure how far resident memory rises during an action in this process, in bytes."""
    action = make_action()
    action()  # libraries allocate on first use
    before = _status_kb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # reset the peak
    action()
    return 1024 * (_status_kb("VmHWM") - before)


def peak_mb(make_action: MakeAction, device: torch.device) -> float:
    """Measure the peak memory of an action above that held between actions, in 10^6 bytes."""
    if device.type == "cuda":
        action = make_action()
        action()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        action()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if not Path("/proc/self/clear_refs").exists():
        return math.nan
    # glibc reads them when a process starts: freed memory is then returned at once
    names = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    users = {name: os.environ.pop(name, None) for name in names}
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_peak_of_process, (make_action,)) / 1e6
    finally:
        del os.environ["MALLOC_MMAP_THRESHOLD_"]
        os.environ.update({name: value for name, value in users.items() if value is not None})
