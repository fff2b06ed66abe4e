"""PSNR of networks of several sizes against the time of their training and of an image."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.tables import ZERO_FILLED, Row, Table, write_tables

SIZES = {
    "CLGNet 16-1-2": "--alpha 0 --chans 16 --num_groups 1 --num_blocks 2",
    "CLGNet 16-2-3": "--alpha 0 --chans 16 --num_groups 2 --num_blocks 3",
    "CLGNet 32-2-3": "--alpha 0 --chans 32 --num_groups 2 --num_blocks 3",
    "CLGNet 32-4-3": "--alpha 0",
    "U-Net 8": "--model unet --chans 8",
    "U-Net 16": "--model unet --chans 16",
    "U-Net 32": "--model unet --chans 32",
}  # CLGNet's width, groups and blocks; the U-Net's width


def sizes(
    data_path: Path,
    *,
    networks: Mapping[str, str] | None = None,
    minutes: Sequence[float] = (5, 20),
    seeds: Sequence[int] = (),
    rounds: int = 9,
    output_path: Path = Path("clgnet/benchmark"),
    training_flags: Sequence[str] = (),
) -> dict[str, Table]:
    """Train networks of several sizes for equal time: which size for which budget?

    A training takes the steps that fit into the time by the processor time of a step, which is
    measured at first, reading and masking included, and is set to one core with OMP_NUM_THREADS=1.
    So other work on the machine takes no steps from a training, and a schedule over all steps, such
    as onecycle, ends. An image's time is that of a forward pass on one slice. Flags that are not
    listed here go to train_clgnet. Another call uses the times measured before, skips finished
    trainings and continues interrupted ones.

    Args:
        data_path: fastMRI's root folder.
        networks: Flags of train_clgnet by the network's name, such as: small '--chans 16
            --num_groups 1'; by default four sizes of CLGNet and three of the U-Net.
        minutes: Budgets of processor time, in minutes.
        seeds: Train each network once per seed, for the means and the range of the PSNR; by default
            once, with train_clgnet's seed.
        rounds: Measurements of an image's time; the median counts.
        output_path: Folder of the trainings, and of sizes.md and sizes.json.
        training_flags: Flags of train_clgnet, for all networks.

    Returns:
        One table per budget, such as "5 minutes".

    Raises:
        InputError: If a folder holds a training with other flags, or a budget holds no step.
    """
    settings = dict(locals())
    from fastmri_clgnet.benchmarks import training, training_costs

    common = ["--data_path", str(data_path), *training_flags]
    chosen = SIZES if networks is None else networks
    flags = {name: [*shlex.split(own), *common] for name, own in chosen.items()}
    costs = training_costs.measured_costs(flags, output_path / "sizes" / "costs.json", rounds)
    tables: dict[str, Table] = {}
    for budget in minutes:
        steps = {name: int(60 * budget / costs[name]["step (s)"]) for name in chosen}
        if min(steps.values()) < 1:  # also where a step's time was lost in the noise
            raise InputError(f"minutes {budget:g}: no step fits into that, by the measured times")
        runs = {name: [*flags[name], *training.budget_flags(n, None)] for name, n in steps.items()}
        rows = training.train_all(runs, output_path / "sizes" / f"{budget:g}_minutes", seeds)
        title = (
            f"Validation volumes after {budget:g} minutes of training, {training.name_seeds(seeds)}"
        )
        columns: Row = dict.fromkeys(next(iter(costs.values())), None)  # first in the table
        merged = {name: {**columns, **costs.get(name, {}), **row} for name, row in rows.items()}
        tables[f"{budget:g} minutes"] = Table(title, merged, {ZERO_FILLED: "zero-filled"})
        write_tables(output_path / "sizes", tables, settings)
    return tables
