"""The rows of `benchmark speed`: networks side by side, and the data pipeline by itself."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from fastmri.data import SliceDataset
from fastmri.data.subsample import RandomMaskFunc
from fastmri.data.transforms import UnetDataTransform
from torch.utils.data import DataLoader

from fastmri_clgnet.benchmarks.costs import unet
from fastmri_clgnet.benchmarks.measure import (
    MakeAction,
    MakeNetwork,
    count_kernels,
    count_operators,
    forward_pass,
    median_times,
    peak_mb,
    seconds_of,
    training_step,
)
from fastmri_clgnet.benchmarks.plain import plain_clgnet
from fastmri_clgnet.data import make_demo_dataset
from fastmri_clgnet.data.transforms import CheckedTransform
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.inference.applying import choose_device
from fastmri_clgnet.models import CLGNet
from fastmri_clgnet.models.compiled import compile_network
from fastmri_clgnet.precision import Precision
from fastmri_clgnet.tables import Row, Table

NAMES = {
    "unet": "U-Net",
    "plain": "CLGNet, plain evaluation",
    "clgnet": "CLGNet",
    "compiled": "CLGNet, compiled",
}


def compiled_clgnet(device: torch.device) -> CLGNet:
    """Make CLGNet with compiled blocks."""
    network = CLGNet()
    compile_network(network, device)
    return network


def network_tables(
    parts: Sequence[str],
    size: int,
    batch: int,
    precision: Precision,
    device: str,
    compile: bool,
    rounds: int,
) -> dict[str, Table]:
    """Return tables of forward passes and training steps at one setting; see `speed`."""
    where = choose_device(device, precision)
    networks: dict[str, MakeNetwork] = {"unet": unet, "plain": plain_clgnet, "clgnet": CLGNet}
    if compile:
        del networks["plain"]
        networks["compiled"] = functools.partial(compiled_clgnet, where)
    forward = functools.partial(
        forward_pass, size=size, batch=batch, device=where, precision=precision
    )
    step = functools.partial(training_step, **forward.keywords)
    actions: dict[str, tuple[str, dict[str, MakeAction], dict[str, str]]] = {
        "forward": (
            "Forward pass",
            {name: functools.partial(forward, make) for name, make in networks.items()},
            NAMES,
        ),
        "step": (
            "Training step, L1",
            {name: functools.partial(step, make) for name, make in networks.items()},
            NAMES,
        ),
        "contrastive_step": (
            "CLGNet's training step with the contrastive loss (VGG19 with random weights)",
            {
                "l1": functools.partial(step, CLGNet),
                "contrastive": functools.partial(step, CLGNet, contrastive=True),
            },
            {"l1": "L1", "contrastive": "L1 and contrastive loss"},
        ),
    }
    setting = (
        f"batch {batch}, {size} x {size}, {device}, {precision}, {torch.get_num_threads()} "
        f"threads, median of {rounds}"
    )
    return {
        part: Table(
            f"{title}: {setting}",
            speed_rows(makers, names, batch, where, rounds, steps=part != "forward"),
            names,
        )
        for part, (title, makers, names) in actions.items()
        if part in parts
    }


def pipeline_table(
    data_path: Path | None, challenge: Challenge, workers: Sequence[int], rounds: int
) -> Table:
    """Return the table of the data pipeline; arguments as for `speed`."""
    folder = (data_path or make_demo_dataset(challenge)) / f"{challenge}_train"
    rows = pipeline_rows(folder, challenge, workers, rounds)
    names = {str(n): f"{n} workers" for n in workers}
    return Table(f"From file to sample, {folder}", rows, names)


def speed_rows(
    makers: Mapping[str, MakeAction],
    names: Mapping[str, str],
    batch: int,
    device: torch.device,
    rounds: int,
    steps: bool = False,
) -> dict[str, Row]:
    """Measure time, operators without the optimizer's, and memory; ratios are to the first row.

    If a network is compiled, the first pass of each, which compiles, is measured, too. The
    operators of a compiled network are not counted.
    """
    on_gpu = device.type == "cuda"
    without_update = {"update": False} if steps else {}
    first = next(iter(makers))
    actions = {name: make() for name, make in makers.items()}
    first_times = {name: seconds_of(action, device) for name, action in actions.items()}
    times = median_times(actions, device, rounds)
    return {
        name: {
            "time (s)": times[name],
            f"ratio to {names[first]}": times[name] / times[first],
            "slices/s": batch / times[name],
            "operators": (None if name == "compiled" else count_operators(make(**without_update))),
            **(count_kernels(actions[name]) if on_gpu else {}),
            **({"first pass (s)": first_times[name]} if "compiled" in makers else {}),
            "peak (MB)": peak_mb(make, device),
        }
        for name, make in makers.items()
    }


def pipeline_rows(
    folder: Path, challenge: Challenge, workers: Sequence[int], rounds: int
) -> dict[str, Row]:
    """Measure slices per second from HDF5 file to training sample, by number of workers."""
    transform = CheckedTransform(UnetDataTransform(challenge, RandomMaskFunc([0.08], [4])))
    dataset = SliceDataset(folder, challenge, transform)

    def read(loader: DataLoader) -> None:
        for _ in loader:
            pass

    actions = {
        str(n): functools.partial(read, DataLoader(dataset, batch_size=1, num_workers=n))
        for n in workers
    }
    times = median_times(actions, torch.device("cpu"), rounds)
    return {name: {"slices/s": len(dataset) / seconds} for name, seconds in times.items()}
