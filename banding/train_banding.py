"""The command `python -m banding.train_banding`: fine-tune a checkpoint to be rid of its bands."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from banding.callbacks import SSIM_TOLERANCE
from banding.fine_tuning import fine_tune
from fastmri_clgnet import cli
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL
from fastmri_clgnet.train_clgnet import (
    DEMO_PRESET,
    SHELL,
    add_trainer_flags,
    config_of,
    constructors,
    default_root,
    objective_of,
    parse,
    trainer_of,
)
from fastmri_clgnet.training.objective import paper_objective
from fastmri_clgnet.training.train import train

MODULE = "banding.banding_module:BandingModule"
# A small adversary that learns in a minute on the demo data; a flag still wins
DEMO_BANDING: dict[str, Any] = {
    "batch_size": 4,
    "max_epochs": 20,
    "warmup_epochs": 3,
    "lr": 3e-5,
    "adversary_lr": 2e-3,
    "adversary_chans": 8,
    "adversary_window": 0.15,
    "penalty_weight": 10.0,
}


def build_parser(showing: bool = False) -> cli.Parser:
    """Make the parser; one that only shows help needs no slow import."""
    parser = cli.make_parser(
        "python -m banding.train_banding",
        "Fine-tune a checkpoint of train_clgnet until an adversary cannot tell from its "
        "reconstructions which way the samples were transposed: the bands that Cartesian "
        "undersampling leaves go. plain.ckpt keeps the validation whose banding score was "
        f"nearest to 0 with an SSIM at most {SSIM_TOLERANCE} below that before. --max_steps "
        "counts training batches, the warm-up's included. Without --data_path it uses the "
        "simulated demo data. The same command continues from its last checkpoint.",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        help="What to fine-tune: a checkpoint of train_clgnet, a file of export, or the name of "
        "weights of the package; it says which model it is, and its size.",
    )
    (module,) = constructors([MODULE], showing)
    betas = inspect.signature(module).parameters["adam_betas"].default
    parser.add_argument(
        "--adam_betas", type=tuple[float, float], default=betas, help="Of both networks' Adam."
    )
    for source, skip in (
        (train, {*SHELL, "init_weights"}),
        (module, {"reconstructor", "adam_betas"}),
        (Data, set()),
        (paper_objective, set()),
    ):
        parser.switches |= cli.add_flags(parser, source, skip=skip)
    add_trainer_flags(parser, showing)
    parser.set_defaults(batch_size=1, max_epochs=10)
    return parser


def run(argv: Sequence[str]) -> int:
    """Parse the flags, fine-tune and print; returns the exit status."""
    cli.chosen(argv, "checkpoint")  # refuses a --config that would make objects
    showing = not {"-h", "--help"}.isdisjoint(argv)
    args, parser = parse(argv, partial(build_parser, showing), {**DEMO_PRESET, **DEMO_BANDING})
    import pytorch_lightning as pl

    from banding.banding_module import BandingModule
    from fastmri_clgnet.inference.loading import read_model
    from fastmri_clgnet.pl_modules.registry import build_module

    pl.seed_everything(args.seed, workers=True)
    source = read_model(args.checkpoint)
    reconstructor = build_module(source).train()
    demo = args.data_path is None
    if args.default_root_dir is None:
        args.default_root_dir = default_root(f"banding/{source.model}", args.challenge, demo)
    objective = None
    if args.loss == "own" and source.model == DEFAULT_MODEL:
        args.variant = reconstructor.hparams["variant"]
        objective = objective_of(args)
    names = inspect.signature(BandingModule).parameters.keys() - {"reconstructor"}
    try:
        module = BandingModule(reconstructor, **{name: args[name] for name in names})
    except ValueError as error:
        raise InputError(str(error)) from error
    result = fine_tune(
        module,
        cli.call(Data, args),
        args.checkpoint,
        trainer=trainer_of(args),
        flags=config_of(args, parser),
        objective=objective,
        **{name: args[name] for name in inspect.signature(train).parameters if name in args},
    )
    cli.show(str(result) or None)
    return result.status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status, as `train_clgnet`."""
    given = list(sys.argv[1:] if argv is None else argv)
    return exit_status(lambda: run(given), "--debug" in given)


if __name__ == "__main__":
    sys.exit(main())
