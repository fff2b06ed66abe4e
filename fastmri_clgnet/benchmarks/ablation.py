"""The paper's ablations (Tables 3 and 4): counts, time, memory, and training each variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import expect_writable
from fastmri_clgnet.tables import Table, write_tables

NAMES: dict[str, str] = {
    "clgnet": "CLGNet",
    "wo_wavelet": "w/o wavelet",
    "wo_sfl": "w/o SFL, CLGNet_non",
    "wo_cl": "w/o L_CL",
    "wo_negative": "w/o negative",
    "sa": "CLGNet_SA",
    "tran": "CLGNet_Tran",
}


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

    The table also has the paper's figures. With --data_path each variant is also trained. Flags
    that are not listed here go to train_clgnet, including --config. Another call skips finished
    trainings and continues interrupted ones.

    Args:
        data_path: fastMRI's root folder, to also train each variant.
        steps: Training steps of each variant.
        variants: Variants to train.
        seeds: Train each variant once per seed, for the means and the range of the PSNR; by
            default once, with train_clgnet's seed.
        size: Height and width, pixels.
        device: Device for time and memory: cpu, cuda, cuda:1, ...
        rounds: Measurements of each network.
        output_path: Folder of the trainings, and of ablation.md and ablation.json.
        training_flags: Flags of train_clgnet, for all variants.

    Returns:
        The tables "networks" and, with data_path, "training".

    Raises:
        InputError: If a folder holds a training with other flags, or flags have no effect.
    """
    settings = dict(locals())
    if training_flags and data_path is None:
        raise InputError(f"{words(training_flags)}: flags of train_clgnet need data_path")
    unknown = set(variants) - set(NAMES)
    if unknown:
        raise InputError(f"variants {words(unknown)}: expected some of {words(NAMES)}")
    expect_writable(output_path / "ablation.json")
    from fastmri_clgnet.benchmarks import costs, training

    rows = costs.ablation_rows(size, device, rounds)
    tables = {"networks": Table(costs.describe_measurement(size, device), rows, NAMES)}
    if data_path is not None:
        ends = training.budget_flags(steps, None)
        flags = ["--data_path", str(data_path), *ends, *training_flags]
        runs: dict[str, list[str]] = {each: ["--variant", each, *flags] for each in variants}
        title = f"Validation volumes after {steps} steps, {training.name_seeds(seeds)}"
        names = {"zero_filled": "zero-filled", **NAMES}
        tables["training"] = Table(title, training.train_all(runs, output_path, seeds), names)
    write_tables(output_path / "ablation", tables, settings)
    return tables
