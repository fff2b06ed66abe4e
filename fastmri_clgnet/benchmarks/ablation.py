"""The paper's ablations (Tables 3 and 4): counts, time, memory, and a training of each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmri_clgnet.benchmarks.costs import PaperCost, cost_rows, describe_measurement
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.tables import Table, write_tables

if TYPE_CHECKING:
    import torch

    from fastmri_clgnet.benchmarks.measure import MakeNetwork
    from fastmri_clgnet.models import Variant

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


def ablation(
    data_path: Path | None = None,
    *,
    steps: int = 400,
    variants: Sequence[str] = tuple(NAMES),
    seeds: Sequence[int] = (),
    size: int = 256,
    device: str = "cpu",
    rounds: int = 5,
    output_path: Path = Path("clgnet/benchmark"),
    training_flags: Sequence[str] = (),
) -> dict[str, Table]:
    """Parameters, operations, time and memory of the ablations in the paper's Tables 3 and 4.

    They stand beside the paper's columns. With --data_path each variant is trained, too. Flags that
    are not listed here go to train_clgnet, --config among them. A second call skips what was
    trained and continues what was interrupted.

    Args:
        data_path: fastMRI's root folder, to train each variant, too.
        steps: Training steps of each variant.
        variants: What to train.
        seeds: Train each variant once per seed, for the means and the range of the PSNR; by
            default once, with train_clgnet's seed.
        size: Height and width, pixels.
        device: cpu, cuda, cuda:1, ...: where time and memory are measured.
        rounds: Measurements of each network.
        output_path: Folder of the trainings, and of ablation.md and ablation.json.
        training_flags: Flags of train_clgnet, for all variants.

    Returns:
        The tables "networks" and, where they were trained, "training".

    Raises:
        InputError: If a folder holds a training with other flags, or flags are of no use.
    """
    settings = dict(locals())
    import torch

    if training_flags and data_path is None:
        raise InputError(f"{words(training_flags)}: flags of a training, which needs --data_path")
    unknown = set(variants) - set(NAMES)
    if unknown:
        raise InputError(f"variants {words(unknown)}: expected some of {words(NAMES)}")
    where = torch.device(device)
    costs = network_rows(size, where, rounds)
    tables = {"networks": Table(describe_measurement(size, where), costs, NAMES)}
    if data_path is not None:
        from fastmri_clgnet.benchmarks.training import budget_flags, name_seeds, train_all

        flags = ["--data_path", str(data_path), *budget_flags(steps, None), *training_flags]
        runs: dict[str, list[str]] = {each: ["--variant", each, *flags] for each in variants}
        title = f"Validation volumes after {steps} steps, {name_seeds(seeds)}"
        names = {"zero_filled": "zero-filled", **NAMES}
        tables["training"] = Table(title, train_all(runs, output_path, seeds), names)
    write_tables(output_path / "ablation", tables, settings)
    return tables


def network_rows(size: int, device: torch.device, rounds: int) -> dict[str, dict[str, Any]]:
    """Count and measure every network of the ablation; arguments and result as of `cost_rows`."""
    from fastmri_clgnet.models import VARIANTS, make_variant

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
