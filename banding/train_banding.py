"""The command `python -m banding.train_banding`: fine-tune a checkpoint to be rid of its bands."""

from __future__ import annotations

import copy
import inspect
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from fastmri.pl_modules import FastMriDataModule
from jsonargparse import ArgumentParser, Namespace
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from banding.banding_module import BandingModule
from banding.callbacks import (
    COLUMNS,
    SSIM_TOLERANCE,
    KeepBest,
    PrintRow,
    StopAfter,
    print_heading,
    print_row,
)
from banding.orientation import RandomTranspose
from banding.picture import save_bands
from banding.plain_checkpoint import PLAIN, PlainModel, load_plain
from fastmri_clgnet.data.demo import default_demo_dir
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.train_clgnet import TENSORBOARD, fit, guarded, usable_checkpoint
from fastmri_clgnet.training.arguments import (
    DEFAULT_MODEL,
    DEMO_PRESET,
    Seed,
    add_data_arguments,
    add_loss_arguments,
    add_nan_argument,
    add_trainer_arguments,
    chosen_model,
    default_root,
    find_data,
    save_config,
)
from fastmri_clgnet.training.checkpoint import (
    LAST,
    checkpoint_dir,
    last_checkpoint,
)
from fastmri_clgnet.training.components import make_loss, make_trainer
from fastmri_clgnet.training.data import check_data, make_data_module, use_demo
from fastmri_clgnet.training.distributed import say, wait_for_all
from fastmri_clgnet.training.masks import make_masks
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.training.on_nan import OnNan
from fastmri_clgnet.training.results import save_metrics
from fastmri_clgnet.training.sole_run import sole_run
from fastmri_clgnet.training.step_seeds import SeedSteps
from fastmri_clgnet.training.stopping import SaveAndStop

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


def build_parser() -> ArgumentParser:
    """Make the parser; defaults are those of the constructors."""
    parser = ArgumentParser(
        prog="python -m banding.train_banding",
        description=(
            "Fine-tune a checkpoint of train_clgnet until an adversary cannot tell from its "
            "reconstructions which way the samples were transposed: the bands that Cartesian "
            "undersampling leaves go. plain.ckpt keeps the validation whose banding score was "
            f"nearest to 0 with an SSIM at most {SSIM_TOLERANCE} below that before. --max_steps "
            "counts training batches, the warm-up's included. Without --data_path it uses the "
            "simulated demo data. The same command continues from its last checkpoint."
        ),
    )
    parser.add_argument("--config", action="config", help="YAML file of these flags.")
    run = parser.add_argument_group("run")
    run.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        help="Checkpoint of train_clgnet to fine-tune; it says which model it is, and its size.",
    )
    run.add_argument("--seed", type=Seed, default=42, help="Seed of the adversary, data and masks.")
    run.add_argument(
        "--default_root_dir",
        type=Path | None,
        default=None,
        help="Folder of checkpoints and logs. Default: banding/MODEL/CHALLENGE[_demo] under "
        "log_path of fastmri_dirs.yaml, or here.",
    )
    run.add_argument(
        "--ckpt_path",
        type=str | None,
        default=None,
        help="Checkpoint of an interrupted fine-tuning to continue from: a file, 'last' or 'none' "
        "(start over). Default: the last one under default_root_dir, if any.",
    )
    run.add_argument(
        "--debug", action="store_true", help="Show the traceback of an error in the input."
    )
    add_nan_argument(parser)
    parser.add_class_arguments(BandingModule, None, skip={"reconstructor"})
    add_data_arguments(parser)
    add_loss_arguments(parser)
    add_trainer_arguments(parser)
    parser.set_defaults(batch_size=1, max_epochs=10)
    return parser


def parse_arguments(argv: list[str] | None = None) -> tuple[Namespace, PlainModel]:
    """Parse the command line and read the checkpoint, which says what is fine-tuned.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        All flags, with data_path (None for the demo data set) and default_root_dir resolved, and
        the model.

    Raises:
        InputError: If the checkpoint cannot be used, or flags contradict each other.
    """
    chosen_model(argv)  # --model is not among the flags, but a --config is read the same way
    parser = build_parser()
    args = parser.parse_args(argv)
    args.data_path = find_data(args)
    demo = args.data_path is None
    if demo:
        parser.set_defaults({**DEMO_PRESET, **DEMO_BANDING})
        args = parser.parse_args(argv)
        args.demo_dir = default_demo_dir() if args.demo_dir is None else args.demo_dir
    plain = load_plain(args.checkpoint)
    if args.default_root_dir is None:
        args.default_root_dir = default_root(f"banding/{plain.name}", args.challenge, demo)
    args.mode, args.model = "train", plain.name  # for what it shares with train_clgnet
    return args, plain


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        The exit status, as of `train_clgnet`.
    """
    return guarded(argv, lambda: run(*parse_arguments(argv)))


def run(args: Namespace, plain: PlainModel) -> int:
    """Check everything, measure, fine-tune, measure again.

    Args:
        args: Of `parse_arguments`.
        plain: Of `parse_arguments`.

    Returns:
        The exit status.
    """
    pl.seed_everything(args.seed, workers=True)
    root: Path = args.default_root_dir
    demo = args.data_path is None
    if args.limit_val_batches == 0:
        raise InputError("--limit_val_batches 0: the validation says which epoch is kept")
    module = _make_module(args, plain, demo)
    mask_funcs = make_masks(args)
    usable_checkpoint(args, module)
    if demo:
        use_demo(args)
    evaluator = make_trainer(args)
    check_data(args, evaluator.world_size)
    data = make_data_module(
        args, mask_funcs, evaluator.world_size > 1, MODELS[plain.name].on_kspace
    )
    data.train_transform = RandomTranspose(data.train_transform)
    with sole_run(root, evaluator.is_global_zero):
        return _fine_tune(args, evaluator, module, data, plain)


def _fine_tune(
    args: Namespace,
    evaluator: pl.Trainer,
    module: BandingModule,
    data: FastMriDataModule,
    plain: PlainModel,
) -> int:
    """Measure, fine-tune, measure again in the run's folder; gives the exit status."""
    root: Path = args.default_root_dir
    checkpoint = usable_checkpoint(args, module)  # which the run before may just have written
    original = copy.deepcopy(module)
    metrics = {"before": _validate(evaluator, original, data)}
    if evaluator.is_global_zero:
        print_heading()
        print_row("before", metrics["before"])
    written = checkpoint_dir(root) / f"{PLAIN}.ckpt"
    keeper = KeepBest(written, plain.contents, metrics["before"]["val_metrics/ssim"])
    status = _train(args, module, data, keeper, checkpoint)
    if status:
        return status
    wait_for_all()
    if keeper.epoch == 0:
        raise InputError(
            f"{written}: not written, since no validation gave a finite SSIM and score; see "
            "--check_val_every_n_epoch, --max_epochs and --lr"
        )
    module.reconstructor.load_state_dict(load_plain(written).module.state_dict())
    metrics["after"] = _validate(evaluator, module, data) | {"adversary_accuracy": keeper.accuracy}
    if evaluator.is_global_zero:
        print_row(f"kept: epoch {keeper.epoch}", metrics["after"])
        save_metrics(root / "metrics.json", metrics)
        pictures = {"before": original.reconstructor, "after": module.reconstructor}
        save_bands(root / "bands.png", pictures, data)
        print(f"\nfine-tuned model:  {written}  (train_clgnet --mode test --ckpt_path reads it)")
        print(f"picture:           {root / 'bands.png'}")
        print(f"configuration:     {root / 'config.yaml'}")
    return 0


def _make_module(args: Namespace, plain: PlainModel, demo: bool) -> BandingModule:
    """Make the module from its flags, around the model."""
    if args.challenge != "singlecoil" and not MODELS[plain.name].multicoil:
        raise InputError(f"{args.checkpoint}: {plain.name} takes single-coil data alone")
    if args.loss == "own" and plain.name == DEFAULT_MODEL:
        args.variant = plain.module.hparams["variant"]
        plain.module.loss = make_loss(args, demo)
    names = inspect.signature(BandingModule).parameters.keys() - {"reconstructor"}
    try:
        return BandingModule(plain.module, **{name: args[name] for name in names})
    except ValueError as error:
        raise InputError(str(error)) from error


def _validate(
    evaluator: pl.Trainer, module: BandingModule, data: FastMriDataModule
) -> dict[str, float]:
    """Measure the module on the validation volumes, as they were acquired."""
    module.num_log_images = 0
    (logged,) = evaluator.validate(module, data, verbose=False)
    return {name: float(logged[name]) for name in COLUMNS if name in logged}


def _train(
    args: Namespace,
    module: BandingModule,
    data: FastMriDataModule,
    keeper: KeepBest,
    checkpoint: Path | None,
) -> int:
    """Fine-tune to max_epochs or max_steps; gives the exit status."""
    root: Path = args.default_root_dir
    saver = SaveAndStop(checkpoint_dir(root) / f"{LAST}.ckpt")
    callbacks: list[Callback] = [keeper, PrintRow(), last_checkpoint(root), SeedSteps(args.seed)]
    callbacks += [OnNan(args.on_nan), saver]
    limits = args.clone()
    if args.max_steps > 0:
        callbacks.append(StopAfter(args.max_steps))
        limits.max_steps = -1
    logger = TensorBoardLogger(root, name=None, version=TENSORBOARD) if args.logger else None
    trainer = make_trainer(limits, callbacks, logger)
    if trainer.is_global_zero:
        save_config(build_parser(), args)
    if checkpoint is not None:
        say(f"Continuing from {checkpoint} (--ckpt_path none starts over)")
    return fit(trainer, module, data, checkpoint, saver, args.ckpt_path)


if __name__ == "__main__":
    sys.exit(main())
