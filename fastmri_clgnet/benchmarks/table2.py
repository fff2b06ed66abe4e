"""The paper's Table 2: parameters, operations, time and memory of all methods."""

from __future__ import annotations

from pathlib import Path

from fastmri_clgnet.files import expect_writable
from fastmri_clgnet.tables import LABELS, Table, write_tables

NOTE = (
    "Dual-OctConv: no natural reading of the method's configuration gives the paper's 471.07 GMac; "
    "the number of parameters agrees."
)


def table2(
    *,
    size: int = 512,
    device: str = "cpu",
    rounds: int = 5,
    output_path: Path = Path("clgnet/benchmark"),
) -> dict[str, Table]:
    """Measure parameters, operations, time and memory of all methods: the paper's Table 2.

    Each of CLGNet, the U-Net and the comparison methods runs a forward pass, in alternating order.
    The table also has the paper's figures.

    Args:
        size: Height and width, pixels.
        device: cpu, cuda, cuda:1, ...
        rounds: Measurements of each network.
        output_path: Folder that table2.md and table2.json are written to.

    Returns:
        The table, as "table2".
    """
    settings = dict(locals())
    expect_writable(output_path / "table2.json")
    from fastmri_clgnet.benchmarks.costs import describe_measurement, table2_rows

    rows = table2_rows(size, device, rounds)
    tables = {"table2": Table(f"{describe_measurement(size, device)}. {NOTE}", rows, LABELS)}
    write_tables(output_path / "table2", tables, settings)
    return tables
