"""The paper's Table 2: parameters, operations, time and memory of CLGNet and its rivals."""

from __future__ import annotations

from argparse import Namespace

import torch
from fastmri.models import Unet

from fastmri_clgnet.benchmark.actions import MakeNetwork
from fastmri_clgnet.benchmark.costs import PaperCost, cost_rows, describe_measurement
from fastmri_clgnet.benchmark.tables import Row, publish
from fastmri_clgnet.models import CLGNet
from fastmri_clgnet.models.comparison import COMPARISON_METHODS
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.tables import Table

PAPER = {
    "unet": PaperCost(7.76, 54.82),
    "dccnn": PaperCost(0.57, 148.65),
    "ista": PaperCost(0.38, 148.57),
    "cddn": PaperCost(0.12, 32.05),
    "pd": PaperCost(0.41, 107.72),
    "dudor": PaperCost(0.65, 851.53),
    "octconv": PaperCost(0.57, 471.07),
    "clgnet": PaperCost(0.96, 68.91),
}
NOTE = (
    "Dual-OctConv: the paper's 471.07 GMac are not reproduced by any natural reading of the "
    "method's configuration, whose parameters agree."
)


def unet() -> Unet:
    """Make the host's U-Net as in the paper's tables."""
    return Unet(1, 1, chans=32, num_pool_layers=4)


def _networks() -> dict[str, MakeNetwork]:
    own: dict[str, MakeNetwork] = {
        "unet": unet,
        **COMPARISON_METHODS,
        "clgnet": CLGNet,
    }
    return {name: own[name] for name in PAPER}


def table_rows(size: int, device: torch.device, rounds: int) -> dict[str, Row]:
    """Count and measure every method; arguments and result as of `cost_rows`."""
    rows = cost_rows(_networks(), PAPER, size, device, rounds)
    unet = rows["unet"]["time (s)"]
    for row in rows.values():
        row["ratio to U-Net"] = row["time (s)"] / unet  # type: ignore[operator]
    return rows


def run(args: Namespace) -> int:
    """Run the command; returns the exit status.

    Args:
        args: Of `fastmri_clgnet.benchmark.__main__`.
    """
    device = torch.device(args.device)
    rows = table_rows(args.size, device, args.rounds)
    title = f"{describe_measurement(args.size, device)}. {NOTE}"
    names = {name: model.label for name, model in MODELS.items()}
    publish(args.output_path, "table2", {"table2": Table(title, rows, names)}, vars(args))
    return 0
