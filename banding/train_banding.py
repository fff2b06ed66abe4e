"""The command `python -m banding.train_banding`: fine-tune a checkpoint to remove its bands."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from banding.banding_module import BandingModule
from banding.fine_tuning import MAX_EPOCHS, RUNS, fine_tune
from banding.recipes import RECIPES, WARNING, Recipe
from fastmri_clgnet import cli
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError, exit_status, words
from fastmri_clgnet.flags import Flags, call, flags_of, summary, with_defaults
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL, load_module, name_of
from fastmri_clgnet.spelling import as_config, chosen, with_config
from fastmri_clgnet.training import defaults
from fastmri_clgnet.training.command import OWN, parse, trainer_flags, trainer_of
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.objective import objective_for, paper_objective
from fastmri_clgnet.training.train import train
from fastmri_clgnet.training.trainer import set_seed

_EPOCHS = "Epochs, including the warm-up; -1 is no limit."
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
OBJECTIVE = flags_of(paper_objective)


def run(values: Mapping[str, Any], checkpoint: Path, recipe: Recipe = "ours") -> int:
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
        recipe: Where the flags' defaults come from: released and released_pretraining have those of
            fastMRI's banding_removal, of its fine-tuning and of the training on both orientations
            before it.

    Returns:
        The exit status.
    """
    set_seed(values["seed"])
    if recipe != "ours":
        say(WARNING)
    reconstructor = load_module(checkpoint).train()
    model, is_demo = name_of(reconstructor), values["data_path"] is None
    objective = None
    if values["loss"] == "own" and model == DEFAULT_MODEL:
        variant = reconstructor.hparams["variant"]
        objective = partial(call, objective_for, values, variant=variant, is_demo=is_demo)
    config = dict(values)
    if objective is None:
        config = {name: value for name, value in values.items() if name not in OBJECTIVE}
        if others := [name for name, flag in OBJECTIVE.items() if values[name] != flag.default]:
            raise InputError(
                f"{words(others)}: of clgnet's own loss; {checkpoint} is of {model}, the loss is "
                f"{values['loss']}"
            )
    if values["default_root_dir"] is None:
        name = model if recipe == "ours" else f"{model}_{recipe}"
        root = defaults.default_root(f"{RUNS}/{name}", values["challenge"], is_demo)
        config["default_root_dir"] = root
    try:
        module = call(BandingModule, values, reconstructor=reconstructor)
    except ValueError as error:
        raise InputError(str(error)) from error
    given = {"module": module, "data": call(Data, values), "trainer": trainer_of(values)}
    given |= {"flags": as_config(config), "objective": objective}
    result = call(fine_tune, config, **given)
    cli.show(str(result) or None)
    return int(result.status)


def groups(recipe: str = "ours") -> dict[str, Flags]:
    """Return the flags, by title, with the defaults of a recipe."""
    own, trainer = flags_of(fine_tune), trainer_flags()
    trainer["max_epochs"] = trainer["max_epochs"]._replace(default=MAX_EPOCHS, text=_EPOCHS)
    flags = {
        "": flags_of(run, {"values"})
        | flags_of(train, {*OWN, *_NOT_HERE})
        | {"default_root_dir": own["default_root_dir"]},
        "banding": flags_of(BandingModule, {"reconstructor"})
        | {name: own[name] for name in ("keep", "keep_readout")},
        "data": with_defaults(flags_of(Data), {"batch_size": 1}),
        "own": OBJECTIVE,
        "trainer": trainer,
    }
    preset = RECIPES.get(recipe, {})
    return {title: with_defaults(each, preset) for title, each in flags.items()}


def parse_arguments(argv: Sequence[str]) -> dict[str, Any]:
    """Parse the command line; return the values of the flags, with the data found."""
    prog, line = "python -m banding.train_banding", with_config(argv)
    recipe = chosen(line, "recipe") or "ours"
    preset = {**DEMO, **RECIPES.get(recipe, {})}
    return parse(line, prog, summary(run), groups(recipe), preset)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status, as `train_clgnet` does."""
    given = list(sys.argv[1:] if argv is None else argv)

    def command() -> int:
        values = parse_arguments(given)
        return run(values, values["checkpoint"], values["recipe"])

    return exit_status(command, "--debug" in given)


if __name__ == "__main__":
    sys.exit(main())
