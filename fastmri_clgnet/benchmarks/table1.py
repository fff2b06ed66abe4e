"""The paper's Table 1: every method trained under one budget, and its reconstructions measured."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.pl_modules.registry import MODELS, ZERO_FILLED, takes_kspace
from fastmri_clgnet.tables import Table, write_tables

if TYPE_CHECKING:
    from fastmri.pl_modules import FastMriDataModule, MriModule

METHODS = tuple(name for name in MODELS if name != ZERO_FILLED)


def table1(
    data_path: Path,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    accelerations: Sequence[int] = (4, 8),
    methods: Sequence[str] = METHODS,
    seeds: Sequence[int] = (),
    method_flags: Mapping[str, str] | None = None,
    output_path: Path = Path("clgnet/benchmark"),
    training_flags: Sequence[str] = (),
) -> dict[str, Table]:
    """NMSE, PSNR and SSIM of all methods, trained under one budget: the paper's Table 1.

    Trains CLGNet, the U-Net and the comparison methods, at each acceleration by itself and all
    under one budget, and measures the validation volumes as fastMRI aggregates them,
    beside zero-filling; with a picture of one slice by all methods. A method that fails does not
    stop the others. Flags that are not listed here go to train_clgnet, --config among them. A
    second call skips what was trained and continues what was interrupted.

    Args:
        data_path: fastMRI's root folder.
        steps: Training steps of each, in batches of --batch_size. Give this or minutes.
        minutes: Wall time of each training, in minutes.
        accelerations: Acceleration factors, each with the centre fraction 0.32 / factor.
        methods: What to train.
        seeds: Train each method once per seed, for the means and the range of the PSNR; by default
            once, with train_clgnet's seed.
        method_flags: Flags of train_clgnet for one method only, such as: clgnet '--chans 16'; a
            single flag needs a space in front, such as: clgvarnet ' --hard_dc=true'.
        output_path: Folder of the trainings, pictures, and of table1.md and table1.json.
        training_flags: Flags of train_clgnet, for all methods.

    Returns:
        A table for each acceleration, such as "4x".

    Raises:
        InputError: If the arguments do not fit, or a folder holds a training with other flags.
    """
    settings = dict(locals())
    from fastmri_clgnet.benchmarks.training import budget_flags, name_seeds, train_all

    own = {name: shlex.split(flags) for name, flags in (method_flags or {}).items()}
    for argument, given in (("method_flags", own), ("methods", methods)):
        unknown = set(given) - set(METHODS)
        if unknown:
            raise InputError(f"{argument} {words(unknown)}: expected one of {words(METHODS)}")
    labels = {name: model.label for name, model in MODELS.items()}
    ends = budget_flags(steps, minutes)
    budget = f"{minutes:g} minutes" if minutes is not None else f"{steps} steps"
    seeded = name_seeds(seeds)
    tables: dict[str, Table] = {}
    for acceleration in accelerations:
        folder = output_path / f"table1_{acceleration}x"
        common = ["--data_path", str(data_path), "--accelerations", str(acceleration)]
        # as in fastMRI, 0.08 at 4x, 0.04 at 8x: the same part of what is sampled
        common += ["--center_fractions", f"{0.32 / acceleration:g}", *training_flags, *ends]
        runs = {name: ["--model", name, *common, *own.get(name, [])] for name in methods}
        rows = train_all(runs, folder, seeds)
        title = f"{acceleration}x: validation volumes after {budget} of training each, {seeded}"
        tables[f"{acceleration}x"] = Table(title, rows, labels)
        # after each acceleration, so that hours are not lost with the next one
        write_tables(output_path / "table1", tables, settings)
        trained = {name: flags for name, flags in runs.items() if "failed" not in rows[name]}
        try:
            save_picture(output_path / f"table1_{acceleration}x.png", trained, folder, seeds)
        except InputError as error:
            print(f"error: no picture: {error}", file=sys.stderr)
    return tables


def save_picture(
    path: Path, trained: Mapping[str, Sequence[str]], folder: Path, seeds: Sequence[int] = ()
) -> None:
    """Save the middle slice of the first validation volume by every method, of its first seed."""
    from fastmri_clgnet.benchmarks.training import training_folders
    from fastmri_clgnet.data.dataset import Data
    from fastmri_clgnet.flags import call
    from fastmri_clgnet.inference.loading import load
    from fastmri_clgnet.pl_modules import ZeroFilledModule
    from fastmri_clgnet.training.checkpoints import BEST, checkpoint_dir
    from fastmri_clgnet.training.command import parse_arguments
    from fastmri_clgnet.training.results import save_validation_picture

    shown: dict[str, tuple[MriModule, FastMriDataModule]] = {}
    for name, flags in trained.items():
        values = parse_arguments([*flags])
        data, seed = call(Data, values), values["seed"]
        if not shown:
            images = data.module(on_kspace=False, seed=seed)
            shown[MODELS[ZERO_FILLED].label] = (ZeroFilledModule(0), images)
        root = next(iter(training_folders(folder / name, seeds).values()))
        module = load(checkpoint_dir(root) / f"{BEST}.ckpt")
        shown[MODELS[name].label] = (module, data.module(takes_kspace(module), seed))
    if shown:
        save_validation_picture(path, shown)
        print(f"Picture: {path}", flush=True)
