"""Time and memory of CLGNet, of its plain evaluation, of the U-Net, and of the data pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Literal, get_args

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import expect_writable
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.precision import Precision
from fastmri_clgnet.tables import Table, write_tables

Part = Literal["forward", "step", "contrastive_step", "data"]


def speed(
    *,
    size: Sequence[int] = (320,),
    batch: Sequence[int] = (1,),
    device: str = "cpu",
    precision: Sequence[Precision] = ("32-true",),
    compile: bool = False,
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
    device, the number and time of its kernels: a step that takes longer than its kernels is bound
    by launching them.

    Args:
        size: Height and width, pixels; several are measured one after the other, as are batch and
            precision, each with each.
        batch: Batch size.
        device: cpu, cuda, cuda:1, ...
        precision: Precision, with Lightning's names.
        compile: Whether to measure CLGNet with compiled blocks in place of its plain evaluation,
            and how long the first pass of each network takes.
        rounds: Measurements of each network.
        parts: What to measure.
        data_path: fastMRI's root folder; by default that of the demo data.
        challenge: Kind of data.
        workers: Numbers of loading processes to measure.
        output_path: Folder that speed.md and speed.json are written to.

    Returns:
        One table per part, and per size, batch and precision if there are several.
    """
    settings = dict(locals())
    from fastmri_clgnet.benchmarks.speed_rows import network_tables, pipeline_table

    if min(workers, default=0) < 0:
        raise InputError(f"workers {words(workers)}: expected 0 or more")
    expect_writable(output_path / "speed.json")
    # first, since files may be unusable
    data = pipeline_table(data_path, challenge, workers, rounds) if "data" in parts else None
    tables: dict[str, Table] = {}
    settings_of_networks = list(product(size, batch, precision))
    for each in settings_of_networks:
        name = "" if len(settings_of_networks) == 1 else "_".join(["", *map(str, each)])
        made = network_tables(parts, *each, device=device, compile=compile, rounds=rounds)
        tables |= {f"{part}{name}": table for part, table in made.items()}
    if data is not None:
        tables["data"] = data
    write_tables(output_path / "speed", tables, settings)
    return tables
