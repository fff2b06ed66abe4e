"""The paper's Table 2: parameters, operations, time and memory of CLGNet and its rivals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastmri_clgnet.benchmarks.costs import PaperCost, cost_rows, describe_measurement
from fastmri_clgnet.tables import LABELS, Table, write_tables

if TYPE_CHECKING:
    from fastmri.models import Unet

    from fastmri_clgnet.benchmarks.measure import MakeNetwork

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
    from fastmri.models import Unet

    return Unet(1, 1, chans=32, num_pool_layers=4)


def table2(
    *,
    size: int = 512,
    device: str = "cpu",
    rounds: int = 5,
    output_path: Path = Path("clgnet/benchmark"),
) -> dict[str, Table]:
    """Parameters, operations, time and memory of all methods: the paper's Table 2.

    CLGNet, the U-Net and the comparison methods, one forward pass each in alternating order,
    beside the paper's columns.

    Args:
        size: Height and width, pixels.
        device: cpu, cuda, cuda:1, ...
        rounds: Measurements of each network.
        output_path: Folder that table2.md and table2.json are written to.

    Returns:
        The table, as "table2".
    """
    settings = dict(locals())
    import torch

    from fastmri_clgnet.models import CLGNet
    from fastmri_clgnet.models.comparison import COMPARISON_METHODS

    makers: dict[str, MakeNetwork] = {"unet": unet, **COMPARISON_METHODS, "clgnet": CLGNet}
    where = torch.device(device)
    rows = cost_rows({name: makers[name] for name in PAPER}, PAPER, size, where, rounds)
    for row in rows.values():
        row["ratio to U-Net"] = row["time (s)"] / rows["unet"]["time (s)"]
    tables = {"table2": Table(f"{describe_measurement(size, where)}. {NOTE}", rows, LABELS)}
    write_tables(output_path / "table2", tables, settings)
    return tables
