"""Costs of networks as rows: parameters, operations, time, memory, and the paper's figures."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from fastmri.models import Unet

from fastmri_clgnet.benchmarks.macs import count_macs
from fastmri_clgnet.benchmarks.measure import MakeNetwork, forward_pass, median_times, peak_mb
from fastmri_clgnet.benchmarks.paper import ABLATION, TABLE2, TABLE_SIZE, PaperCost
from fastmri_clgnet.inference.applying import choose_device
from fastmri_clgnet.models import VARIANTS, CLGNet, Variant, make_variant
from fastmri_clgnet.models.comparison import COMPARISON_METHODS

# CLGNet trained with another loss
_LOSS_ONLY: tuple[Variant, ...] = ("wo_cl", "wo_negative")


def unet() -> Unet:
    """Make the host's U-Net of the paper's tables."""
    return Unet(1, 1, chans=32, num_pool_layers=4)


def cost_rows(
    networks: Mapping[str, MakeNetwork],
    paper: Mapping[str, PaperCost],
    size: int,
    device: str,
    rounds: int,
) -> dict[str, dict[str, Any]]:
    """Count and measure every network; add the paper's figures of the same name."""
    where = choose_device(device, "32-true")
    makers = {
        name: functools.partial(forward_pass, make, size, 1, where)
        for name, make in networks.items()
    }
    times = median_times({name: make() for name, make in makers.items()}, where, rounds)
    rows = {}
    for name, make in networks.items():
        model = make()
        rows[name] = {
            "parameters (M)": sum(p.numel() for p in model.parameters()) / 1e6,
            "paper: parameters (M)": paper[name].parameters,
            "GMac": count_macs(model, (TABLE_SIZE, TABLE_SIZE)) / 1e9,
            "paper: GMac": paper[name].gmacs,
            "time (s)": times[name],
            "peak (MB)": peak_mb(makers[name], where),
        }
    return rows


def describe_measurement(size: int, device: str) -> str:
    """Describe how the rows were measured."""
    return (
        f"Forward pass, one image of {size} x {size}, {device}, float32, "
        f"{torch.get_num_threads()} threads; GMac at {TABLE_SIZE} x {TABLE_SIZE}"
    )


def table2_rows(size: int, device: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Count and measure every network of Table 2; see `cost_rows`."""
    makers: dict[str, MakeNetwork] = {"unet": unet, **COMPARISON_METHODS, "clgnet": CLGNet}
    rows = cost_rows({name: makers[name] for name in TABLE2}, TABLE2, size, device, rounds)
    for row in rows.values():
        row["ratio to U-Net"] = row["time (s)"] / rows["unet"]["time (s)"]
    return rows


def ablation_rows(size: int, device: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Count and measure every network of the ablation; see `cost_rows`."""
    makers: dict[str, MakeNetwork] = {
        variant: functools.partial(make_variant, variant)
        for variant in VARIANTS
        if variant not in _LOSS_ONLY
    }
    rows = cost_rows(makers, ABLATION, size, device, rounds)
    for variant in _LOSS_ONLY:
        rows[variant] = {
            column: None if column.startswith("paper") else value
            for column, value in rows["clgnet"].items()
        }
    return rows
