"""The command `python -m banding.train_banding`: fine-tune a checkpoint to remove its bands."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from banding.banding_module import BandingModule
from banding.fine_tuning import fine_tune
from fastmri_clgnet import cli
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.flags import Flags, call, flags_of, summary, with_defaults
from fastmri_clgnet.inference.loading import read_model
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL, build_module
from fastmri_clgnet.spelling import as_config, with_config
from fastmri_clgnet.training import defaults
from fastmri_clgnet.training.command import OWN, parse, trainer_flags, trainer_of
from fastmri_clgnet.training.objective import objective_for, paper_objective
from fastmri_clgnet.training.train import train

_NOT_HERE = {"init_weights", "schedule", "ema", "compile"}  # of `train`'s arguments
# A small adversary that learns in a minute on the demo data; flags override these
DEMO: dict[str, Any] = {
    **defaults.DEMO,
    "batch_size": 4,
    "max_epochs": 20,
    "warmup_epochs": 3,
    "lr": 3e-5,
    "adversary_lr": 2e-3,
    "adversary_chans": 8,
    "adversary_window": 0.15,
    "penalty_weight": 10.0,
}


def run(values: Mapping[str, Any], checkpoint: Path) -> int:
    """Fine-tune a checkpoint of train_clgnet to remove its bands.

    The goal is that an adversary cannot tell from the reconstructions which samples were
    transposed: then the bands of Cartesian undersampling are gone. plain.ckpt is the validation
    whose banding score was nearest to 0 with an SSIM at most 0.005 below that before. --max_steps
    counts training batches, including the warm-up. Without --data_path it uses the simulated demo
    data. The same command continues from its last checkpoint.

    Args:
        values: Values of all flags.
        checkpoint: What to fine-tune: a checkpoint of train_clgnet, a file of export, or the name
            of weights of the package; it determines the model and its size.

    Returns:
        The exit status.
    """
    pl.seed_everything(values["seed"], workers=True)
    source = read_model(checkpoint)
    reconstructor = build_module(source).train()
    config = dict(values)
    if values["default_root_dir"] is None:
        name, is_demo = f"banding/{source.model}", values["data_path"] is None
        config["default_root_dir"] = defaults.default_root(name, values["challenge"], is_demo)
    objective = None
    if values["loss"] == "own" and source.model == DEFAULT_MODEL:
        variant, is_demo = reconstructor.hparams["variant"], values["data_path"] is None
        objective = partial(call, objective_for, values, variant=variant, is_demo=is_demo)
    try:
        module = call(BandingModule, values, reconstructor=reconstructor)
    except ValueError as error:
        raise InputError(str(error)) from error
    given = {"module": module, "data": call(Data, values), "trainer": trainer_of(values)}
    given |= {"flags": as_config(config), "objective": objective}
    result = call(fine_tune, config, **given)
    cli.show(str(result) or None)
    return int(result.status)


def groups() -> dict[str, Flags]:
    """Return the flags, by title."""
    return {
        "": flags_of(run, {"values"}) | flags_of(train, {*OWN, *_NOT_HERE}),
        "banding": flags_of(BandingModule, {"reconstructor"}),
        "data": with_defaults(flags_of(Data), {"batch_size": 1}),
        "own": flags_of(paper_objective),
        "trainer": with_defaults(trainer_flags(), {"max_epochs": 10}),
    }


def parse_arguments(argv: Sequence[str]) -> dict[str, Any]:
    """Parse the command line; return the values of the flags, with the data found."""
    prog = "python -m banding.train_banding"
    return parse(with_config(argv), prog, summary(run), groups(), DEMO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status, as `train_clgnet` does."""
    given = list(sys.argv[1:] if argv is None else argv)

    def command() -> int:
        values = parse_arguments(given)
        return run(values, values["checkpoint"])

    return exit_status(command, "--debug" in given)


if __name__ == "__main__":
    sys.exit(main())
