"""The training command's flags, from the constructors, and where its data comes from."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import pytorch_lightning as pl
import yaml
from fastmri.data.mri_data import fetch_dir
from fastmri.pl_modules import FastMriDataModule
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, restricted_number_type

from fastmri_clgnet.data.demo import default_demo_dir
from fastmri_clgnet.data.fastmri_file import atomic_path
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.losses import CLGNetLoss, ContrastiveLoss, VGG19Features
from fastmri_clgnet.training.models import MODELS
from fastmri_clgnet.training.on_nan import NanAction, OnNan
from fastmri_clgnet.training.stopping import SaveAndStop

DEFAULT_MODEL = "clgnet"
Seed: Any = restricted_number_type("Seed", int, [(">=", 0), ("<", 2**32)])  # NumPy's range
MASK_TYPES = ("random", "equispaced", "equispaced_fraction", "magic", "magic_fraction")
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
}

# Trainer arguments that take objects, or that the command sets itself
_OWN_TRAINER = {
    "accelerator", "strategy", "profiler", "deterministic", "logger", "callbacks", "plugins",
    "default_root_dir", "use_distributed_sampler", "barebones", "model_registry",
    "enable_checkpointing", "reload_dataloaders_every_n_epochs",
    "limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches",
}  # fmt: skip
_OWN_DATA = {
    "data_path", "challenge", "test_split", "test_path", "train_transform", "val_transform",
    "test_transform", "train_filter", "val_filter", "test_filter", "distributed_sampler",
}  # fmt: skip


def chosen_model(argv: list[str] | None) -> str:
    """Which model the command line or its --config asks for; its flags depend on it.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        A choice of --model; the default one where none is asked for.

    Raises:
        InputError: If --config is no file of plain values.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--config")
    args, _ = parser.parse_known_args(argv)
    model = args.model
    if args.config is not None and Path(args.config).is_file():
        settings = _read_yaml(Path(args.config), "a YAML file of flags")
        model = settings.get("model") if model is None else model
    return model if model in tuple(MODELS) else DEFAULT_MODEL


def build_parser(model: str = DEFAULT_MODEL) -> ArgumentParser:
    """Make the parser; defaults are those of the constructors, of real data and the paper.

    Args:
        model: Whose flags to take.

    Returns:
        The parser.
    """
    parser = ArgumentParser(
        prog="python -m fastmri_clgnet.train_clgnet",
        description=(
            "Train CLGNet on fastMRI data, test it and save submission files. Without --data_path "
            "and without a fastmri_dirs.yaml in this folder it trains a small network on simulated "
            "demo data. The same command continues from its last checkpoint."
        ),
    )
    parser.add_argument("--config", action="config", help="YAML file of these flags.")

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
        "(in fastMRI's variational network), fastMRI's U-Net, or a comparison method on "
        "single-coil k-space; zero_filled is tested without training. The flags of its constructor "
        "are shown by --model MODEL --help.",
    )
    run.add_argument(
        "--seed",
        type=Seed,
        default=42,
        help="Seed of weights, data order, masks and negatives.",
    )
    run.add_argument(
        "--default_root_dir",
        type=Path | None,
        default=None,
        help="Folder of checkpoints, logs and reconstructions. Default: MODEL/CHALLENGE[_demo] "
        "under log_path of fastmri_dirs.yaml, or here.",
    )
    run.add_argument(
        "--ckpt_path",
        type=str | None,
        default=None,
        help="Checkpoint to continue from or to test: a file, 'last', 'best' or 'none' (start "
        "over). Default: the last one when training, the best one when testing, under "
        "default_root_dir.",
    )
    run.add_argument(
        "--checkpoint_minutes",
        type=NonNegativeFloat,
        default=_default(SaveAndStop, "minutes"),
        help="Minutes after which last.ckpt is written again within an epoch; it also is at the "
        "end of an epoch, before a validation, and on Ctrl-C or SIGTERM.",
    )
    run.add_argument(
        "--debug", action="store_true", help="Show the traceback of an error in the input."
    )
    add_nan_argument(parser)
    add_data_arguments(parser)

    choice = MODELS[model]
    parser.add_class_arguments(choice.module, None, skip={"loss", "challenge", *choice.fixed})
    if model == DEFAULT_MODEL:
        add_loss_arguments(parser)

    add_trainer_arguments(parser)
    parser.set_defaults(batch_size=10, max_epochs=50)
    return parser


def add_nan_argument(parser: ArgumentParser) -> None:
    """Add the flag that says what to do about NaN."""
    parser.add_argument_group("faults").add_argument(
        "--on_nan",
        choices=get_args(NanAction),
        default=_default(OnNan, "action"),
        help="What NaN or Inf in a training sample, the loss or a gradient does. stop: end with an "
        "error that names step, file and slice. skip: take no step on that batch, and count it.",
    )


def add_data_arguments(parser: ArgumentParser) -> None:
    """Add the flags that say which data to read, and how it is undersampled."""
    data = parser.add_argument_group("data (fastMRI's names)")
    data.add_argument(
        "--challenge",
        type=Literal["singlecoil", "multicoil"],
        default="singlecoil",
        help="Which kind of data.",
    )
    data.add_argument(
        "--data_path",
        type=Path | None,
        default=None,
        help="fastMRI's root folder, with singlecoil_train, singlecoil_val and so on. Default: "
        "knee_path, else brain_path, of ./fastmri_dirs.yaml, else the demo data set.",
    )
    data.add_argument(
        "--demo_dir",
        type=Path | None,
        default=None,
        help=f"Use the demo data set, made in this folder. Default folder: {default_demo_dir()}",
    )
    data.add_argument(
        "--test_path",
        type=Path | None,
        default=None,
        help="Folder of test files; overrides data_path and test_split.",
    )
    data.add_argument(
        "--test_split",
        type=Literal["val", "test", "challenge"],
        default="test",
        help="Which split to test on; val is undersampled by the mask flags, seeded by file name.",
    )
    data.add_argument(
        "--mask_type", choices=MASK_TYPES, default="random", help="Type of k-space mask."
    )
    data.add_argument(
        "--center_fractions",
        nargs="+",
        type=float,
        default=[0.08],
        help="Fraction of columns in the fully sampled centre, one for each acceleration.",
    )
    data.add_argument(
        "--accelerations",
        nargs="+",
        type=int,
        default=[4],
        help="Acceleration factors; one is drawn for each slice.",
    )
    data.add_argument(
        "--val_mask_type",
        choices=(*MASK_TYPES, None),
        default=None,
        help="Type of mask of validation and --test_split val. Default: mask_type.",
    )
    data.add_argument(
        "--val_center_fractions",
        nargs="+",
        type=float,
        default=None,
        help="Centre fractions of validation and --test_split val. Default: center_fractions.",
    )
    data.add_argument(
        "--val_accelerations",
        nargs="+",
        type=int,
        default=None,
        help="Accelerations of validation and --test_split val; one is drawn for each volume by "
        "its file name. Default: accelerations.",
    )
    parser.add_class_arguments(FastMriDataModule, None, skip=_OWN_DATA)
    # The host's default is a pickle in the working folder, which is unpickled and goes stale
    parser.set_defaults(use_dataset_cache_file=False)


def add_trainer_arguments(parser: ArgumentParser) -> None:
    """Add the flags of Lightning's trainer."""
    trainer = parser.add_argument_group("trainer (Lightning's names)")
    trainer.add_argument("--accelerator", type=str, default="auto", help="cpu, gpu, mps, auto, ...")
    trainer.add_argument("--strategy", type=str, default="auto", help="auto, ddp, fsdp, ...")
    trainer.add_argument(
        "--profiler", type=Literal["simple", "advanced"] | None, default=None, help="Time the run."
    )
    trainer.add_argument(
        "--deterministic",
        nargs="?",
        const=True,
        type=bool | Literal["warn"] | None,
        default=None,
        help="Use deterministic algorithms only.",
    )
    trainer.add_argument(
        "--logger", type=bool, default=True, help="Log to TensorBoard; else images go to PNG files."
    )
    for split in ("train", "val", "test"):
        trainer.add_argument(
            f"--limit_{split}_batches",
            # Lightning's annotation would read 1 as 1.0, which is all batches
            type=int | float | None,
            default=None,
            help="How many batches to use (a whole number) or which part of them (such as 0.5).",
        )
    parser.add_class_arguments(pl.Trainer, None, skip=_OWN_TRAINER)


def add_loss_arguments(parser: ArgumentParser) -> None:
    """Add the flags of CLGNet's objective."""
    loss = parser.add_argument_group("loss (eq. 9 and 10 of the paper)")
    loss.add_argument(
        "--alpha",
        type=float,
        default=_default(CLGNetLoss, "alpha"),
        help="Weight of the contrastive loss; 0: mean absolute error alone.",
    )
    loss.add_argument(
        "--num_negatives",
        type=int,
        default=_default(ContrastiveLoss, "num_negatives"),
        help="Undersampled images of the batch that each reconstruction is pushed from.",
    )
    loss.add_argument(
        "--vgg_weights",
        type=str,
        default=_default(VGG19Features, "weights"),
        help="Weights of VGG19: 'imagenet' (torchvision's, downloaded on first use) or a file of "
        "torchvision's vgg19 or of its features.",
    )
    loss.add_argument(
        "--vgg_layers",
        nargs="+",
        type=int,
        default=list(_default(VGG19Features, "layers")),
        help="Convolutions of VGG19, counted from 1, whose activations are compared.",
    )


def _default(callable_: Callable[..., object], name: str) -> Any:
    """The default of a constructor's argument, which stands there alone."""
    return inspect.signature(callable_).parameters[name].default


def parse_arguments(argv: list[str] | None = None) -> Namespace:
    """Parse the command line; the demo's preset replaces the defaults where the demo is chosen.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        Everything resolved: data_path is the folder to read (None for the demo data set, which is
        not made yet, in demo_dir) and default_root_dir is set.

    Raises:
        InputError: If fastmri_dirs.yaml cannot be used.
    """
    model = chosen_model(argv)
    parser = build_parser(model)
    args = parser.parse_args(argv)
    args.data_path = find_data(args)
    demo = args.data_path is None
    if demo:
        parser.set_defaults({**DEMO_PRESET, **DEMO_MODELS.get(model, {})})
        args = parser.parse_args(argv)
        args.demo_dir = default_demo_dir() if args.demo_dir is None else args.demo_dir
    if args.default_root_dir is None:
        args.default_root_dir = default_root(model, args.challenge, demo)
    return args


def save_config(parser: ArgumentParser, args: Namespace) -> None:
    """Write config.yaml into the run's folder, which --config reads; whole or not at all.

    Args:
        parser: The command's.
        args: All flags, resolved; what is no flag of the parser is left out.
    """
    flags = parser.get_defaults()
    saved = Namespace({name: value for name, value in args.items() if name in flags})
    saved.data_path = None if args.demo_dir is not None else args.data_path
    with atomic_path(args.default_root_dir / "config.yaml") as temporary:
        temporary.write_text(parser.dump(saved), encoding="utf-8")


def default_root(name: str, challenge: str, demo: bool) -> Path:
    """The folder of a run: NAME/CHALLENGE[_demo] under log_path of fastmri_dirs.yaml, or here."""
    logs: Path = fetch_dir("log_path", DIRS_FILE) if "log_path" in _read_dirs() else Path()
    return logs / name / (challenge + ("_demo" if demo else ""))


def find_data(args: Namespace) -> Path | None:
    """Decide where the data comes from: --data_path, --demo_dir, fastmri_dirs.yaml, else the demo.

    Args:
        args: With data_path and demo_dir.

    Returns:
        The folder that holds {challenge}_train and so on; None is the demo data set. Nothing is
        made or written.

    Raises:
        InputError: If flags contradict each other or fastmri_dirs.yaml names no existing folder.
    """
    if args.data_path is not None and args.demo_dir is not None:
        raise InputError("--data_path and --demo_dir contradict each other; give one of them")
    if args.data_path is not None or args.demo_dir is not None:
        path: Path | None = args.data_path
        return path
    named = {}
    for key in ("knee_path", "brain_path"):
        if key in _read_dirs():
            folder = fetch_dir(key, DIRS_FILE)
            if folder not in _TEMPLATE_DIRS:
                named[key] = folder
    for folder in named.values():
        if folder.is_dir():
            return folder
    if named:
        places = ", ".join(f"{key}: {folder}" for key, folder in named.items())
        raise InputError(f"{DIRS_FILE}: no such folder ({places}); correct it, or give --data_path")
    return None


def _read_dirs() -> dict[str, Any]:
    """The contents of fastmri_dirs.yaml, empty if there is none (fastMRI would create one)."""
    if not DIRS_FILE.is_file():
        return {}
    return _read_yaml(DIRS_FILE, "a YAML file of knee_path, brain_path and log_path")


def _read_yaml(path: Path, expected: str) -> dict[str, Any]:
    """Read names with plain values; tags that would make Python objects are refused."""
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not {expected} ({reason})") from error
    if not isinstance(contents, dict):
        raise InputError(f"{path}: expected {expected}, got {type(contents).__name__}")
    return contents
