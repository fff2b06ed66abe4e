"""The paper's Table 2: parameters, operations, time and memory of CLGNet and its rivals."""

from __future__ import annotations

import functools
from argparse import Namespace
from typing import NamedTuple

import torch
from fastmri.models import Unet
from torch import nn

from fastmri_clgnet.benchmark.macs import count_macs
from fastmri_clgnet.benchmark.measure import MakeNetwork, forward_peak_mb, forward_times
from fastmri_clgnet.benchmark.tables import Row, format_markdown, save_json
from fastmri_clgnet.models import CLGNet
from fastmri_clgnet.models.comparison import COMPARISON_METHODS
from fastmri_clgnet.training.models import MODELS

TABLE_SIZE = 512  # pixels across the images that the paper's operations are of


class PaperRow(NamedTuple):
    """A row of the paper's Table 2.

    Args:
        parameters: Millions.
        gmacs: Operations at 512 x 512, in 10^9.
    """

    parameters: float
    gmacs: float


PAPER = {
    "unet": PaperRow(7.76, 54.82),
    "dccnn": PaperRow(0.57, 148.65),
    "ista": PaperRow(0.38, 148.57),
    "cddn": PaperRow(0.12, 32.05),
    "pd": PaperRow(0.41, 107.72),
    "dudor": PaperRow(0.65, 851.53),
    "octconv": PaperRow(0.57, 471.07),
    "clgnet": PaperRow(0.96, 68.91),
}
NOTE = (
    "Dual-OctConv: the paper's 471.07 GMac are not reproduced by any natural reading of the "
    "method's configuration, whose parameters agree."
)


def _networks() -> dict[str, MakeNetwork]:
    own: dict[str, MakeNetwork] = {
        "unet": functools.partial(Unet, 1, 1, chans=32, num_pool_layers=4),
        **COMPARISON_METHODS,
        "clgnet": CLGNet,
    }
    return {name: own[name] for name in PAPER}


def table_rows(size: int, device: torch.device, rounds: int) -> dict[str, Row]:
    """Count and measure every method.

    Args:
        size: Height and width of the images that time and memory are measured on.
        device: Where they are measured.
        rounds: Measurements of each.

    Returns:
        Columns by method.
    """
    networks = _networks()
    times = forward_times(networks, size, device, rounds)
    rows: dict[str, Row] = {}
    for name, make in networks.items():
        model: nn.Module = make()
        rows[name] = {
            "parameters (M)": sum(p.numel() for p in model.parameters()) / 1e6,
            "paper: parameters (M)": PAPER[name].parameters,
            "GMac": count_macs(model, (TABLE_SIZE, TABLE_SIZE)) / 1e9,
            "paper: GMac": PAPER[name].gmacs,
            "time (s)": times[name],
            "ratio to U-Net": times[name] / times["unet"],
            "peak (MB)": forward_peak_mb(make, size, device),
        }
    return rows


def run(args: Namespace) -> int:
    """Run the command; returns the exit status.

    Args:
        args: Of `fastmri_clgnet.benchmark.__main__`.
    """
    device = torch.device(args.device)
    rows = table_rows(args.size, device, args.rounds)
    print(
        f"\nForward pass, one image of {args.size} x {args.size}, {device}, float32, "
        f"{torch.get_num_threads()} threads; GMac at {TABLE_SIZE} x {TABLE_SIZE}\n"
    )
    print(format_markdown(rows, {name: model.label for name, model in MODELS.items()}))
    print(f"\n{NOTE}")
    settings = {key: value for key, value in vars(args).items() if key != "command"}
    save_json(args.output_path / "table2.json", {"settings": settings, "rows": rows, "note": NOTE})
    return 0
