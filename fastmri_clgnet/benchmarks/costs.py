"""Rows of what networks cost: parameters, operations, time, memory, beside the paper's figures."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

    from fastmri_clgnet.benchmarks.measure import MakeNetwork

TABLE_SIZE = 512  # pixels across the images that the paper's operations are of


class PaperCost(NamedTuple):
    """What the paper gives for a network: millions of parameters, 10^9 operations at 512 x 512."""

    parameters: float | None = None
    gmacs: float | None = None


def cost_rows(
    networks: Mapping[str, MakeNetwork],
    paper: Mapping[str, PaperCost],
    size: int,
    device: torch.device,
    rounds: int,
) -> dict[str, dict[str, Any]]:
    """Count and measure every network, beside the paper's figures by the same names."""
    from fastmri_clgnet.benchmarks.macs import count_macs
    from fastmri_clgnet.benchmarks.measure import forward_pass, median_times, peak_mb

    makers = {
        name: functools.partial(forward_pass, make, size, 1, device)
        for name, make in networks.items()
    }
    times = median_times({name: make() for name, make in makers.items()}, device, rounds)
    rows = {}
    for name, make in networks.items():
        model = make()
        rows[name] = {
            "parameters (M)": sum(p.numel() for p in model.parameters()) / 1e6,
            "paper: parameters (M)": paper[name].parameters,
            "GMac": count_macs(model, (TABLE_SIZE, TABLE_SIZE)) / 1e9,
            "paper: GMac": paper[name].gmacs,
            "time (s)": times[name],
            "peak (MB)": peak_mb(makers[name], device),
        }
    return rows


def describe_measurement(size: int, device: torch.device) -> str:
    """Say what the rows were measured on."""
    import torch

    return (
        f"Forward pass, one image of {size} x {size}, {device}, float32, "
        f"{torch.get_num_threads()} threads; GMac at {TABLE_SIZE} x {TABLE_SIZE}"
    )
