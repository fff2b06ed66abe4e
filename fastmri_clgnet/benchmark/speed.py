"""Time and memory of CLGNet beside its plain evaluation and the U-Net; and of the data pipeline."""

from __future__ import annotations

import functools
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from fastmri.data import SliceDataset
from fastmri.data.subsample import RandomMaskFunc
from fastmri.data.transforms import UnetDataTransform
from torch.utils.data import DataLoader

from fastmri_clgnet.benchmark.actions import MakeNetwork, forward_pass, training_step
from fastmri_clgnet.benchmark.measure import Action, MakeAction, median_times, peak_mb
from fastmri_clgnet.benchmark.plain import plain_clgnet
from fastmri_clgnet.benchmark.table2 import unet
from fastmri_clgnet.benchmark.tables import Row, publish
from fastmri_clgnet.data import make_demo_dataset
from fastmri_clgnet.data.data_module import CheckedTransform
from fastmri_clgnet.models import CLGNet
from fastmri_clgnet.tables import Table

NAMES = {"unet": "U-Net", "plain": "CLGNet, plain evaluation", "clgnet": "CLGNet"}
NETWORKS: dict[str, MakeNetwork] = {"unet": unet, "plain": plain_clgnet, "clgnet": CLGNet}


def speed_rows(
    actions: Mapping[str, MakeAction], names: Mapping[str, str], args: Namespace
) -> dict[str, Row]:
    """Measure time and memory.

    Args:
        actions: Makers of actions; ratios are to the first one.
        names: What they are called.
        args: Of the command.

    Returns:
        Columns by name.
    """
    device, first = torch.device(args.device), next(iter(actions))
    times = median_times({name: make() for name, make in actions.items()}, device, args.rounds)
    return {
        name: {
            "time (s)": times[name],
            f"ratio to {names[first]}": times[name] / times[first],
            "slices/s": args.batch / times[name],
            "peak (MB)": peak_mb(make, device),
        }
        for name, make in actions.items()
    }


def pipeline_rows(folder: Path, challenge: str, workers: list[int], rounds: int) -> dict[str, Row]:
    """Measure the way from HDF5 file to training sample: reading, masking, FFT, cropping.

    Args:
        folder: Of the training split.
        challenge: "singlecoil" or "multicoil".
        workers: Numbers of worker processes.
        rounds: Passes through the folder for each number.

    Returns:
        Slices a second by number of workers.
    """
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


def _of_all(
    make_action: Callable[..., Action], common: tuple[object, ...]
) -> dict[str, MakeAction]:
    return {name: functools.partial(make_action, make, *common) for name, make in NETWORKS.items()}


def run(args: Namespace) -> int:
    """Run the command; returns the exit status.

    Args:
        args: Of `fastmri_clgnet.benchmark.__main__`.
    """
    device = torch.device(args.device)
    setting = (
        f"batch {args.batch}, {args.size} x {args.size}, {device}, {args.precision}, "
        f"{torch.get_num_threads()} threads, median of {args.rounds}"
    )
    common = (args.size, args.batch, device, args.precision)
    contrastive = functools.partial(training_step, CLGNet, *common, contrastive=True)
    parts: dict[str, tuple[str, dict[str, MakeAction], dict[str, str]]] = {
        "forward": ("Forward pass", _of_all(forward_pass, common), NAMES),
        "step": ("Training step, L1", _of_all(training_step, common), NAMES),
        "contrastive_step": (
            "CLGNet's training step with the contrastive loss (VGG19 with random weights)",
            {"l1": functools.partial(training_step, CLGNet, *common), "contrastive": contrastive},
            {"l1": "L1", "contrastive": "L1 and contrastive loss"},
        ),
    }
    tables = {
        key: Table(f"{title}: {setting}", speed_rows(actions, names, args), names)
        for key, (title, actions, names) in parts.items()
        if key in args.parts
    }
    if "data" in args.parts:
        root = args.data_path or make_demo_dataset(args.challenge)
        folder = root / f"{args.challenge}_train"
        rows = pipeline_rows(folder, args.challenge, args.workers, args.rounds)
        names = {str(n): f"{n} workers" for n in args.workers}
        tables["data"] = Table(f"From file to sample, {folder}", rows, names)
    publish(args.output_path, "speed", tables, vars(args))
    return 0
