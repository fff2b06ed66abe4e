"""The command that trains: the flags of `train`, its data, a model, its loss and the trainer."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import pytorch_lightning as pl
from fastmri.pl_modules import MriModule

from fastmri_clgnet import cli
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.flags import Flag, Flags, call, flags_of, summary, with_defaults
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL, MODELS
from fastmri_clgnet.spelling import as_config, chosen, with_config
from fastmri_clgnet.training import defaults
from fastmri_clgnet.training.objective import objective_for, paper_objective
from fastmri_clgnet.training.train import test, train
from fastmri_clgnet.training.trainer import MAX_EPOCHS, set_seed
from fastmri_clgnet.training.trainer import OWN as OF_THE_TRAINER

# arguments of `train`, and of Lightning's trainer, that the command sets itself
OWN = {"module", "data", "trainer", "callbacks", "keep_best", "flags", "objective"}
_NO_FLAGS = {
    "barebones", "limit_predict_batches", "model_registry", "reload_dataloaders_every_n_epochs",
}  # fmt: skip
# what one word says of those that take objects, too
_TRAINER_TYPES = {"devices": int | str, "profiler": Literal["simple", "advanced"] | None}
_JSON = ("devices", "max_time", "val_check_interval")  # a word may be a list or a mapping


def run(values: Mapping[str, Any], mode: str = "train", model: str = DEFAULT_MODEL) -> int:
    """Train CLGNet on fastMRI data, test it and save submission files.

    Without --data_path and without a fastmri_dirs.yaml in this folder it trains a small network on
    simulated demo data. The same command continues from its last checkpoint.

    Args:
        values: Of all flags.
        mode: train: train, then test with the best checkpoint. test: write reconstructions.
        model: What to train: CLGNet, clgnet_dc (one hard data consistency behind it), clgvarnet (in
            fastMRI's variational network), fastMRI's U-Net or E2E-VarNet, or a comparison method on
            single-coil k-space; zero_filled, cs_wavelet and cs_tv are tested without training.
            --model MODEL --help shows the flags of its constructor.

    Returns:
        The exit status.
    """
    set_seed(values["seed"])
    data, module = call(Data, values), make_module(values)
    given = {"module": module, "data": data, "trainer": trainer_of(values)}
    if mode == "test":
        call(test, values, **given)
        return 0
    if model == DEFAULT_MODEL:
        given["objective"] = partial(call, objective_for, values, is_demo=data.is_demo)
    result = call(train, values, **given, flags=as_config(values))
    cli.show(str(result) or None)
    return result.status


def make_module(values: Mapping[str, Any]) -> MriModule:
    """Make the module of --model."""
    choice = MODELS[values["model"]]
    try:
        return call(choice.module, values, **choice.fixed)
    except ValueError as error:
        raise InputError(str(error)) from error


def groups_of(model: str) -> dict[str, Flags]:
    """The flags for a model, by title."""
    own = flags_of(run, {"values"})
    own["mode"] = own["mode"]._replace(hint=Literal["train", "test"])
    own["model"] = own["model"]._replace(hint=Literal[tuple(MODELS)])
    network = flags_of(MODELS[model].module, {"challenge", *MODELS[model].fixed})
    groups = {"": own | flags_of(train, OWN), "data": flags_of(Data), "network": network}
    groups |= {"loss": flags_of(paper_objective)} if model == DEFAULT_MODEL else {}
    return groups | {"trainer": trainer_flags()}


def trainer_flags() -> dict[str, Flag]:
    """The flags of Lightning's trainer."""
    flags = flags_of(pl.Trainer, OF_THE_TRAINER | _NO_FLAGS)
    texts = {
        "max_epochs": f"Epochs; {MAX_EPOCHS} if neither epochs, steps nor time are given; -1 is no "
        "limit.",
        "max_steps": "Training steps, of all epochs together; -1 is no limit.",
    }
    flags |= {name: flags[name]._replace(text=text) for name, text in texts.items()}
    return flags | {name: flags[name]._replace(hint=each) for name, each in _TRAINER_TYPES.items()}


def trainer_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The trainer's arguments among the values."""
    given = {name: values[name] for name in trainer_flags()}
    for name in _JSON:
        if str(given[name]).startswith(("[", "{")):
            try:
                given[name] = json.loads(given[name])
            except ValueError as error:
                raise InputError(f"--{name} {given[name]}: not JSON ({error})") from error
    return given


def parse(
    line: Sequence[str],
    prog: str,
    description: str,
    groups: Mapping[str, Flags],
    preset: Mapping[str, Any],
    others: tuple[str, Mapping[str, Flags]] = ("", {}),
) -> dict[str, Any]:
    """Parse flags and find the data; a preset replaces the defaults where it is the demo data.

    The value of data_path is None for the demo data then, and the val_ flags are all or none.
    """
    values, _ = cli.parse(line, prog, description, groups, others=others)
    data_path = defaults.find_data(values["data_path"], values["demo_dir"])
    if data_path is None:
        demo = {title: with_defaults(flags, preset) for title, flags in groups.items()}
        values, _ = cli.parse(line, prog, description, demo)
    masks = {name: values[f"val_{name}"] for name in flags_of(Mask)}
    if (masks["accelerations"] is None) != (masks["center_fractions"] is None):
        raise InputError("--val_center_fractions and --val_accelerations: give both or neither")
    if any(value is not None for value in masks.values()):
        masks = {name: values[name] if value is None else value for name, value in masks.items()}
    masks = {f"val_{name}": value for name, value in masks.items()}
    return {**values, **masks, "data_path": data_path}


def parse_arguments(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Parse the command line; gives the values of the flags, with data and folder found."""
    line = with_config(sys.argv[1:] if argv is None else argv)
    model = chosen(line, "model")
    model = model if model in MODELS else DEFAULT_MODEL
    others = {
        name: {key: flag for flags in groups_of(name).values() for key, flag in flags.items()}
        for name in MODELS
    }
    preset = {**defaults.DEMO, **defaults.DEMO_MODELS.get(model, {})}
    prog = "python -m fastmri_clgnet.train_clgnet"
    values = parse(line, prog, summary(run), groups_of(model), preset, ("model", others))
    if values["default_root_dir"] is None:
        is_demo = values["data_path"] is None
        values["default_root_dir"] = defaults.default_root(model, values["challenge"], is_demo)
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives 0, 1 for an error in the input, 130 for Ctrl-C, 143 for SIGTERM."""
    given = list(sys.argv[1:] if argv is None else argv)

    def command() -> int:
        values = parse_arguments(given)
        return run(values, values["mode"], values["model"])

    return exit_status(command, "--debug" in given)
