"""Processor time of a training step and of an image, measured on a data set and this machine."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fastmri_clgnet.benchmarks.measure import Action, median_times
from fastmri_clgnet.benchmarks.training import budget_flags
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import write_json
from fastmri_clgnet.flags import call
from fastmri_clgnet.pl_modules.registry import takes_kspace
from fastmri_clgnet.training.command import main as train
from fastmri_clgnet.training.command import make_module, parse_arguments

STEPS = (5, 25)  # of a short and a longer training; their difference is that of 20 steps
_SHORT = ["--num_workers", "0", "--limit_val_batches", "1", "--schedule", "step", "--ema", "null"]


def measured_costs(
    flags: Mapping[str, Sequence[str]], path: Path, rounds: int
) -> dict[str, dict[str, float]]:
    """Return each network's parameters, seconds of a step and of an image, by its flags.

    They are read from `path` where they have been measured before, and else written there.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    wanted = {name: [*own] for name, own in flags.items()}
    if known.get("flags") == wanted:
        measured: dict[str, dict[str, float]] = known["costs"]
        return measured
    if known:
        raise InputError(f"{path}: times of other flags; repeat them, or give another output_path")
    values = {name: parse_arguments(own) for name, own in wanted.items()}
    actions = {name: _image(each) for name, each in values.items()}
    images = median_times(actions, torch.device("cpu"), rounds, time.process_time)
    costs = {
        name: {
            "parameters": sum(p.numel() for p in make_module(each).parameters()),
            "image (s)": images[name],
            "step (s)": seconds_of_step(wanted[name]),
        }
        for name, each in values.items()
    }
    write_json(path, {"flags": wanted, "costs": costs})
    return costs


def _image(values: Mapping[str, Any]) -> Action:
    """Return the forward pass of the network of these flags on the data's first slice."""
    own = dict(values) | {"batch_size": 1, "num_workers": 0}
    module = make_module(own).eval()
    data = call(Data, own).module(takes_kspace(module), own["seed"])
    batch = next(iter(data.val_dataloader()))

    def action() -> None:
        with torch.no_grad():
            module.reconstruct(batch)

    return action


def seconds_of_step(flags: Sequence[str]) -> float:
    """Measure the processor time of a training step, reading and masking included.

    It is the difference between two short trainings, divided by that of their steps.
    """
    times: list[float] = []
    for steps in (1, *STEPS):  # the first one warms up
        with tempfile.TemporaryDirectory() as folder:
            ends = [*budget_flags(steps, None), "--default_root_dir", folder]
            start = time.process_time()
            if status := train([*flags, *_SHORT, *ends]):
                raise InputError(f"a training of {steps} steps ended with status {status}")
            times.append(time.process_time() - start)
    return (times[2] - times[1]) / (STEPS[1] - STEPS[0])
