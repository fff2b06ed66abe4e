"""The paper's ablations (Tables 3 and 4): counts, time, memory, and a training of each."""

from __future__ import annotations

import functools
from argparse import Namespace

import torch

from fastmri_clgnet.benchmark.actions import MakeNetwork
from fastmri_clgnet.benchmark.costs import PaperCost, cost_rows, describe_measurement
from fastmri_clgnet.benchmark.tables import Row, publish
from fastmri_clgnet.benchmark.training import budget_flags, train_all
from fastmri_clgnet.models import VARIANTS, Variant, make_variant
from fastmri_clgnet.tables import Table

NAMES: dict[str, str] = {
    "clgnet": "CLGNet",
    "wo_wavelet": "w/o wavelet",
    "wo_sfl": "w/o SFL, CLGNet_non",
    "wo_cl": "w/o L_CL",
    "wo_negative": "w/o negative",
    "sa": "CLGNet_SA",
    "tran": "CLGNet_Tran",
}
PAPER: dict[str, PaperCost] = {
    "clgnet": PaperCost(0.96, 68.91),
    "wo_wavelet": PaperCost(),
    "wo_sfl": PaperCost(0.81, 65.1),
    "sa": PaperCost(0.88),
    "tran": PaperCost(0.95, 82.56),
}
# trained with another loss, the same network as CLGNet
_LOSS_ONLY: tuple[Variant, ...] = ("wo_cl", "wo_negative")


def network_rows(size: int, device: torch.device, rounds: int) -> dict[str, Row]:
    """Count and measure every network of the ablation; arguments and result as of `cost_rows`."""
    makers: dict[str, MakeNetwork] = {
        variant: functools.partial(make_variant, variant)
        for variant in VARIANTS
        if variant not in _LOSS_ONLY
    }
    rows = cost_rows(makers, PAPER, size, device, rounds)
    for variant in _LOSS_ONLY:  # the same network
        rows[variant] = {
            column: None if column.startswith("paper") else value
            for column, value in rows["clgnet"].items()
        }
    return rows


def run(args: Namespace, training_flags: list[str]) -> int:
    """Run the command.

    Args:
        args: Of `fastmri_clgnet.benchmark.__main__`.
        training_flags: Flags of train_clgnet, for all variants.

    Returns:
        0, or 1 if a training failed.
    """
    device = torch.device(args.device)
    costs = network_rows(args.size, device, args.rounds)
    tables = {"networks": Table(describe_measurement(args.size, device), costs, NAMES)}
    failed = False
    if args.data_path is not None:
        flags = ["--data_path", str(args.data_path), *budget_flags(args.steps, None)]
        runs = {str(v): ["--variant", v, *flags, *training_flags] for v in VARIANTS}
        rows = train_all(runs, args.output_path)
        failed = any("failed" in row for row in rows.values())
        title = f"Validation volumes after {args.steps} steps, one seed"
        tables["training"] = Table(title, rows, {"zero_filled": "zero-filled", **NAMES})
    settings = {"training_flags": training_flags, **vars(args)}
    publish(args.output_path, "ablation", tables, settings)
    return int(failed)
