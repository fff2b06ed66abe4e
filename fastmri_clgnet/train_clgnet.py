"""The command `python -m fastmri_clgnet.train_clgnet`: a shell around `training.train`.

It trains CLGNet with `paper_objective()`, where `CLGNetModule()` in Python has L1 only by default.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from fastmri.pl_modules import MriModule
from jsonargparse import Namespace

from fastmri_clgnet import cli
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL, MODELS
from fastmri_clgnet.signatures import constructor, sketch
from fastmri_clgnet.training.objective import objective_for, paper_objective
from fastmri_clgnet.training.train import test, train
from fastmri_clgnet.training.trainer import MAX_EPOCHS

if TYPE_CHECKING:
    from fastmri_clgnet.losses import CLGNetLoss

DIRS_FILE = Path("fastmri_dirs.yaml")
# what fastMRI's own scripts write into a fastmri_dirs.yaml that nobody has edited yet
_TEMPLATE_DIRS = {Path("/path/to/knee"), Path("/path/to/brain")}

# The demo trains a small network; a flag or --config still wins. It is a demo, not a benchmark.
DEMO_PRESET: dict[str, Any] = {
    "batch_size": 2,
    "num_workers": 0,
    "max_epochs": 24,
    "num_log_images": 4,
    "log_every_n_steps": 8,
    "num_sanity_val_steps": 0,
}
_DEMO_NETWORK = {"chans": 16, "num_groups": 1, "num_blocks": 2, "lr": 2e-3, "lr_step_size": 18}
DEMO_MODELS: dict[str, dict[str, Any]] = {
    # VGG19's first layers at this size cost no more than the network; all images are negatives
    DEFAULT_MODEL: {**_DEMO_NETWORK, "vgg_layers": [1, 3, 5], "num_negatives": 2},
    "clgnet_dc": _DEMO_NETWORK,
    "clgvarnet": {**_DEMO_NETWORK, "chans": 8, "num_cascades": 4},
    "varnet": {
        "num_cascades": 3,
        "chans": 8,
        "pools": 2,
        "sens_chans": 4,
        "sens_pools": 2,
        "lr": 2e-3,
        "lr_step_size": 18,
    },
}

TRAINER = "pytorch_lightning.trainer.trainer:Trainer"
# Lightning's annotation of the limits would read 1 as 1.0, which is all batches
_LIMIT = "How many batches to use (a whole number) or which part of them (such as 0.5)."
TRAINER_FLAGS: dict[str, dict[str, Any]] = {
    "accelerator": {"type": str, "default": "auto", "help": "cpu, gpu, mps, auto, ..."},
    "strategy": {"type": str, "default": "auto", "help": "auto, ddp, fsdp, ..."},
    "profiler": {"type": Literal["simple", "advanced"] | None, "help": "Time the run."},
    "deterministic": {
        "type": bool | Literal["warn"] | None,
        "nargs": "?",
        "const": True,
        "help": "Use deterministic algorithms only.",
    },
    **{
        f"limit_{split}_batches": {"type": int | float | None, "help": _LIMIT}
        for split in ("train", "val", "test")
    },
}
# arguments that take objects, or that `train` sets itself
_OWN_TRAINER = {
    *TRAINER_FLAGS, "logger", "callbacks", "plugins", "default_root_dir",
    "use_distributed_sampler", "barebones", "model_registry", "enable_checkpointing",
    "reload_dataloaders_every_n_epochs", "limit_predict_batches",
}  # fmt: skip
# of `train`, no flags
SHELL = {"module", "data", "trainer", "callbacks", "keep_best", "flags", "objective"}


def build_parser(model: str = DEFAULT_MODEL, showing: bool = False) -> cli.Parser:
    """Make the parser of a model; one that only shows help needs no slow import."""
    parser = cli.make_parser(
        "python -m fastmri_clgnet.train_clgnet",
        "Train CLGNet on fastMRI data, test it and save submission files. Without --data_path "
        "and without a fastmri_dirs.yaml in this folder it trains a small network on simulated "
        "demo data. The same command continues from its last checkpoint.",
    )
    run = parser.add_argument_group("run")
    run.add_argument(
        "--mode",
        type=Literal["train", "test"],
        default="train",
        help="train: train, then test with the best checkpoint. test: write reconstructions.",
    )
    run.add_argument(
        "--model",
        choices=tuple(MODELS),
        default=DEFAULT_MODEL,
        help="What to train: CLGNet, clgnet_dc (one hard data consistency behind it), clgvarnet "
        "(in fastMRI's variational network), fastMRI's U-Net or E2E-VarNet, or a comparison "
        "method on single-coil k-space; zero_filled is tested without training. The flags of its "
        "constructor are shown by --model MODEL --help.",
    )
    parser.switches |= cli.add_flags(run, train, skip=SHELL)
    data = parser.add_argument_group("data (fastMRI's names)")
    parser.switches |= cli.add_flags(data, Data)
    choice = MODELS[model]
    network = parser.add_argument_group(f"network ({choice.label})")
    skip = {"loss", "challenge", *choice.fixed}
    for source in [each for each in choice.module.__mro__ if issubclass(each, MriModule)]:
        if "__init__" not in vars(source):
            continue
        parser.switches |= cli.add_flags(network, source, skip=skip)
        skip |= set(inspect.signature(source).parameters)
    if model == DEFAULT_MODEL:
        loss = parser.add_argument_group(
            "loss (eq. 9 and 10 of the paper)",
            "What CLGNet is trained with: L1 + alpha x contrastive loss. In Python it is "
            "CLGNetModule(loss=paper_objective()); CLGNetModule() trains with L1 only, as with "
            "--alpha 0.",
        )
        cli.add_flags(loss, paper_objective)
    add_trainer_flags(parser, showing)
    parser.choices["model"] = {each: partial(build_parser, each, showing=True) for each in MODELS}
    return parser


def add_trainer_flags(parser: cli.Parser, showing: bool = False) -> None:
    """Add the flags of Lightning's trainer."""
    trainer = parser.add_argument_group("trainer (Lightning's names)")
    for name, options in TRAINER_FLAGS.items():
        trainer.add_argument(f"--{name}", **{"default": None, **options})
    for source in constructors((TRAINER,), showing):
        parser.switches |= cli.add_flags(trainer, source, skip=_OWN_TRAINER)
    parser.set_defaults(max_epochs=MAX_EPOCHS)


def constructors(homes: Sequence[str], showing: bool) -> list[Callable[..., Any]]:
    """Classes, MODULE:CLASS; for showing help, functions with their constructors' signatures."""
    if showing:
        try:
            return [sketch(home) for home in homes]
        except (OSError, StopIteration, AssertionError):  # another version of a library
            pass
    return [constructor(home) for home in homes]


def parse(argv: Sequence[str], build: Callable[[], cli.Parser], preset: dict[str, Any]) -> Any:
    """Parse flags and find the data; a preset replaces the defaults where it is the demo data.

    Returns the flags, with data_path (None for the demo data) and val_ flags resolved; the parser.
    """
    parser = build()
    args = parser.parse_args(argv)
    args.data_path = find_data(args.data_path, args.demo_dir)
    if args.data_path is None:
        parser.set_defaults(preset)
        args = parser.parse_args(argv)
    names = [field.name for field in fields(Mask)]
    if (args.val_accelerations is None) != (args.val_center_fractions is None):
        raise InputError("--val_center_fractions and --val_accelerations: give both or neither")
    resolved = args.clone()
    if any(args[f"val_{name}"] is not None for name in names):
        for name in names:
            value = args[f"val_{name}"]
            resolved[f"val_{name}"] = args[name] if value is None else value
    return resolved, parser


def find_data(data_path: Path | None, demo_dir: Path | None) -> Path | None:
    """The folder that holds {challenge}_train and so on, or None for the demo data set.

    It is --data_path, or none for --demo_dir, else what fastmri_dirs.yaml names.
    """
    if data_path is not None and demo_dir is not None:
        raise InputError("--data_path and --demo_dir contradict each other; give one of them")
    if data_path is not None or demo_dir is not None:
        return data_path
    dirs = _read_dirs()
    named = {key: Path(dirs[key]) for key in ("knee_path", "brain_path") if key in dirs}
    named = {key: folder for key, folder in named.items() if folder not in _TEMPLATE_DIRS}
    for folder in named.values():
        if folder.is_dir():
            return folder
    if named:
        places = ", ".join(f"{key}: {folder}" for key, folder in named.items())
        raise InputError(f"{DIRS_FILE}: no such folder ({places}); correct it, or give --data_path")
    return None


def default_root(name: str, challenge: str, demo: bool) -> Path:
    """The folder of a run: NAME/CHALLENGE[_demo] under log_path of fastmri_dirs.yaml, or here."""
    logs = Path(_read_dirs().get("log_path", "."))
    return logs / name / (challenge + ("_demo" if demo else ""))


def _read_dirs() -> dict[str, Any]:
    """The contents of fastmri_dirs.yaml, empty if there is none (fastMRI would create one)."""
    if not DIRS_FILE.is_file():
        return {}
    return cli.read_yaml(DIRS_FILE, "a YAML file of knee_path, brain_path and log_path")


def parse_arguments(argv: Sequence[str] | None = None) -> tuple[Namespace, cli.Parser]:
    """Parse the command line; returns what `parse` does, with default_root_dir resolved."""
    given = list(sys.argv[1:] if argv is None else argv)
    model = cli.chosen(given, "model")
    model = model if model in MODELS else DEFAULT_MODEL
    showing = not {"-h", "--help"}.isdisjoint(given)
    preset = {**DEMO_PRESET, **DEMO_MODELS.get(model, {})}
    args, parser = parse(given, partial(build_parser, model, showing), preset)
    if args.default_root_dir is None:
        args.default_root_dir = default_root(model, args.challenge, args.data_path is None)
    return args, parser


def make_module(args: Namespace) -> MriModule:
    """Make the module of --model."""
    choice = MODELS[args.model]
    names = {*inspect.signature(choice.module).parameters, "num_log_images"} - choice.fixed.keys()
    arguments = {name: args[name] for name in names if name in args}
    try:
        return choice.module(**arguments, **choice.fixed)
    except ValueError as error:
        raise InputError(str(error)) from error


def objective_of(args: Namespace) -> Callable[[], CLGNetLoss]:
    """What makes the objective of a training, once its files have been checked."""
    return partial(
        objective_for,
        args.variant,
        args.alpha,
        args.num_negatives,
        args.vgg_weights,
        tuple(args.vgg_layers),
        is_demo=args.data_path is None,
    )


def config_of(args: Namespace, parser: cli.Parser) -> dict[str, Any]:
    """What config.yaml says, which --config reads."""
    known = parser.get_defaults()
    saved = Namespace({name: value for name, value in args.items() if name in known})
    config: dict[str, Any] = yaml.safe_load(parser.dump(saved))
    return config


def trainer_of(args: Namespace) -> dict[str, Any]:
    """The trainer's arguments among the flags."""
    names = {*inspect.signature(constructor(TRAINER)).parameters} - _OWN_TRAINER
    return {name: args[name] for name in (*names, *TRAINER_FLAGS) if name in args}


def run(args: Namespace, parser: cli.Parser) -> int:
    """Train or test; returns the exit status."""
    import pytorch_lightning as pl

    pl.seed_everything(args.seed, workers=True)
    data, module = cli.call(Data, args), make_module(args)
    shared: dict[str, Any] = {
        name: args[name] for name in ("default_root_dir", "ckpt_path", "seed")
    }
    shared["trainer"] = trainer_of(args)
    if args.mode == "test":
        test(module, data, **shared)
        return 0
    more = {name: args[name] for name in ("init_weights", "on_nan", "checkpoint_minutes", "logger")}
    if args.model == DEFAULT_MODEL:
        more["objective"] = objective_of(args)
    result = train(module, data, **shared, **more, flags=config_of(args, parser))
    cli.show(result if str(result) else None)
    return result.status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives 0, 1 for an error in the input, 130 for Ctrl-C, 143 for SIGTERM."""
    given = list(sys.argv[1:] if argv is None else argv)
    return exit_status(lambda: run(*parse_arguments(given)), "--debug" in given)


if __name__ == "__main__":
    sys.exit(main())
