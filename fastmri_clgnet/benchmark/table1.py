"""The paper's Table 1: every method trained under one budget, and its reconstructions measured."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from fastmri.pl_modules import FastMriDataModule, MriModule

from fastmri_clgnet import cli
from fastmri_clgnet.benchmark.tables import Row, publish
from fastmri_clgnet.benchmark.training import budget_flags, train_all
from fastmri_clgnet.data.mri_data import Data
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.pl_modules import ZeroFilledModule
from fastmri_clgnet.pl_modules.registry import MODELS, ZERO_FILLED
from fastmri_clgnet.safe_loading import load_tensors
from fastmri_clgnet.tables import Table
from fastmri_clgnet.train_clgnet import make_module, parse_arguments
from fastmri_clgnet.training.checkpoint import BEST, checkpoint_dir
from fastmri_clgnet.training.results import save_validation_picture

METHODS = tuple(name for name in MODELS if name != ZERO_FILLED)


def center_fraction(acceleration: int) -> float:
    """Centre fraction as in fastMRI: 0.08 at 4x, 0.04 at 8x, the same part of what is sampled."""
    return 0.32 / acceleration


def run(args: Namespace, training_flags: list[str]) -> int:
    """Run the command.

    Args:
        args: Of `fastmri_clgnet.benchmark.__main__`.
        training_flags: Flags of train_clgnet, for all methods.

    Returns:
        0, or 1 if a training failed.
    """
    own = {name: shlex.split(flags) for name, flags in args.method_flags}
    unknown = own.keys() - MODELS.keys()
    if unknown:
        raise InputError(f"--method_flags {', '.join(unknown)}: expected one of {list(METHODS)}")
    labels = {name: model.label for name, model in MODELS.items()}
    budget = f"{args.minutes:g} minutes" if args.minutes else f"{args.steps} steps"
    settings = {"training_flags": training_flags, **vars(args)}
    tables: dict[str, Table] = {}
    for acceleration in args.accelerations:
        folder = args.output_path / f"table1_{acceleration}x"
        common = ["--data_path", str(args.data_path), "--accelerations", str(acceleration)]
        common += ["--center_fractions", f"{center_fraction(acceleration):g}", *training_flags]
        common += budget_flags(args.steps, args.minutes)
        runs = {name: ["--model", name, *common, *own.get(name, [])] for name in args.methods}
        rows = train_all(runs, folder)
        title = f"{acceleration}x: validation volumes after {budget} of training each, one seed"
        tables[f"{acceleration}x"] = Table(title, rows, labels)
        # after each acceleration, so that hours are not lost with the next one
        publish(args.output_path, "table1", tables, settings)
        try:
            save_picture(args.output_path / f"table1_{acceleration}x.png", runs, rows, folder)
        except InputError as error:
            print(f"error: no picture: {error}", file=sys.stderr)
    return int(any("failed" in row for table in tables.values() for row in table.rows.values()))


def save_picture(
    path: Path, runs: Mapping[str, list[str]], rows: Mapping[str, Row], folder: Path
) -> None:
    """Save the middle slice of the first validation volume by every method that was trained.

    Args:
        path: The picture.
        runs: Flags of train_clgnet by method.
        rows: The table, which says what failed.
        folder: Of the runs.
    """
    methods: dict[str, tuple[MriModule, FastMriDataModule]] = {}
    for name, flags in runs.items():
        if "failed" in rows[name]:
            continue
        args, _ = parse_arguments([*flags, "--mode", "test"])
        described = cli.call(Data, args)
        if not methods:
            images = described.module(on_kspace=False, seed=args.seed)
            methods[MODELS[ZERO_FILLED].label] = (ZeroFilledModule(0), images)
        choice, module = MODELS[name], make_module(args)
        if name != ZERO_FILLED:
            path_of_best = checkpoint_dir(folder / name) / f"{BEST}.ckpt"
            checkpoint = load_tensors(path_of_best, "a checkpoint that train_clgnet wrote")
            module.load_state_dict(checkpoint["state_dict"])
        data = described.module(choice.on_kspace, args.seed)
        methods[choice.label] = (module, data)
    if methods:
        save_validation_picture(path, methods)
        print(f"Picture: {path}", flush=True)
