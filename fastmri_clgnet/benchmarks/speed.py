"""Time and memory of CLGNet, of its plain evaluation, of the U-Net, and of the data pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.precision import Precision
from fastmri_clgnet.tables import Table, write_tables

Part = Literal["forward", "step", "contrastive_step", "data"]


def speed(
    *,
    size: int = 320,
    batch: int = 1,
    device: str = "cpu",
    precision: Precision = "32-true",
    rounds: int = 5,
    parts: Sequence[Part] = get_args(Part),
    data_path: Path | None = None,
    challenge: Challenge = "singlecoil",
    workers: Sequence[int] = (0, 1, 2),
    output_path: Path = Path("clgnet/benchmark"),
) -> dict[str, Table]:
    """Measure time and memory of CLGNet, of its plain evaluation and of the U-Net.

    It measures forward passes and training steps, without and with the contrastive loss, of the
    U-Net, of CLGNet as the paper writes it and of CLGNet as implemented, in alternating order in
    one process. It also measures the data pipeline by itself, from HDF5 file to sample. The tables
    also give the operators that the pass dispatches (without the optimizer's) and, on a CUDA
    device, the time of its kernels: a step that takes longer than its kernels is bound by launching
    them.

    Args:
        size: Height and width, pixels.
        batch: Batch size.
        device: cpu, cuda, cuda:1, ...
        precision: Precision, with Lightning's names.
        rounds: Measurements of each network.
        parts: What to measure.
        data_path: fastMRI's root folder; by default that of the demo data.
        challenge: Kind of data.
        workers: Numbers of loading processes to measure.
        output_path: Folder that speed.md and speed.json are written to.

    Returns:
        One table per part.
    """
    settings = dict(locals())
    from fastmri_clgnet.benchmarks.speed_rows import network_tables, pipeline_table

    tables = network_tables(parts, size, batch, device, precision, rounds)
    if "data" in parts:
        tables["data"] = pipeline_table(data_path, challenge, workers, rounds)
    write_tables(output_path / "speed", tables, settings)
    return tables
