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
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from banding.banding_module import BandingModule
from banding.orientation import RandomTranspose
from banding.picture import save_bands
from banding.plain_checkpoint import PLAIN, PlainModel, SavePlain, load_plain
from fastmri_clgnet.data import make_demo_dataset
from fastmri_clgnet.data.demo import default_demo_dir
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.train_clgnet import TENSORBOARD, fit, guarded
from fastmri_clgnet.training.arguments import (
    DEFAULT_MODEL,
    DEMO_PRESET,
    add_data_arguments,
    add_loss_arguments,
    add_nan_argument,
    add_trainer_arguments,
    chosen_model,
    default_root,
    find_data,
)
from fastmri_clgnet.training.checkpoint import (
    LAST,
    check_checkpoint,
    checkpoint_dir,
    find_checkpoint,
)
from fastmri_clgnet.training.components import make_loss, make_trainer
from fastmri_clgnet.training.data import check_data, make_data_module
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.masks import make_mask, train_mask, val_mask
from fastmri_clgnet.training.models import MODELS
from fastmri_clgnet.training.on_nan import OnNan
from fastmri_clgnet.training.results import save_metrics
from fastmri_clgnet.training.stopping import SaveAndStop

# A small adversary that learns in seconds on the demo data; a flag still wins
DEMO_BANDING: dict[str, Any] = {
    "batch_size": 4,
    "max_epochs": 16,
    "adversary_chans": 8,
    "adversary_lr": 1e-3,
    "lr": 3e-4,
    "warmup_epochs": 8,
}
COLUMNS = {  # of the printed table: what is logged, its heading
    "banding_score": "banding score",
    "adversary_accuracy": "adversary's accuracy",
    "val_metrics/ssim": "SSIM",
    "val_metrics/psnr": "PSNR (dB)",
    "val_metrics/nmse": "NMSE",
}


def build_parser() -> ArgumentParser:
    """Make the parser; defaults are those of the constructors."""
    parser = ArgumentParser(
        prog="python -m banding.train_banding",
        description=(
            "Fine-tune a checkpoint of train_clgnet until an adversary cannot tell from its "
            "reconstructions which way the samples were transposed: the bands that Cartesian "
            "undersampling leaves go. Without --data_path it uses the simulated demo data. The "
            "same command continues from its last checkpoint."
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
    run.add_argument("--seed", type=int, default=42, help="Seed of the adversary, data and masks.")
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
    module = _make_module(args, plain, demo)
    mask_funcs = [make_mask(mask, args.seed) for mask in (train_mask(args), val_mask(args))]
    checkpoint = find_checkpoint(args.ckpt_path, "train", root)
    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    if demo:
        say(f"\n*** DEMO: simulated heads, in {args.demo_dir} ***\n")
        args.data_path = make_demo_dataset(args.challenge, args.demo_dir)
    check_data(args)
    root.mkdir(parents=True, exist_ok=True)
    evaluator = make_trainer(args)
    data = make_data_module(
        args, mask_funcs, evaluator.world_size > 1, MODELS[plain.name].on_kspace
    )
    data.train_transform = RandomTranspose(data.train_transform)

    original = copy.deepcopy(module)
    metrics = {"before": _validate(evaluator, original, data)}
    print_row("before", metrics["before"], heading=True)
    status = _train(args, module, data, plain, checkpoint)
    if status:
        return status
    metrics["after"] = _validate(evaluator, module, data)
    if evaluator.is_global_zero:
        print_row("after", metrics["after"])
        save_metrics(root / "metrics.json", metrics)
        pictures = {"before": original.reconstructor, "after": module.reconstructor}
        save_bands(root / "bands.png", pictures, data)
        written = checkpoint_dir(root) / f"{PLAIN}.ckpt"
        print(f"\nfine-tuned model:  {written}  (train_clgnet --mode test --ckpt_path reads it)")
        print(f"picture:           {root / 'bands.png'}")
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


class _PrintRow(pl.Callback):
    """Prints banding score, adversary's accuracy and SSIM side by side after every epoch."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            print_row(f"epoch {trainer.current_epoch + 1}", metrics)


def print_row(name: str, metrics: dict[str, float], heading: bool = False) -> None:
    """Print one row of the table; what was not measured stays empty."""
    if heading:
        print(f"{'':10}" + "".join(f"  {title:>20}" for title in COLUMNS.values()))
    cells = (f"{metrics[key]:.4f}" if key in metrics else "" for key in COLUMNS)
    print(f"{name:10}" + "".join(f"  {cell:>20}" for cell in cells), flush=True)


def _train(
    args: Namespace,
    module: BandingModule,
    data: FastMriDataModule,
    plain: PlainModel,
    checkpoint: Path | None,
) -> int:
    """Fine-tune to max_epochs; gives the exit status."""
    root: Path = args.default_root_dir
    folder = checkpoint_dir(root)
    saver = SaveAndStop(folder / f"{LAST}.ckpt")
    last = ModelCheckpoint(folder, save_last=True, save_top_k=0, enable_version_counter=False)
    callbacks = [last, saver, SavePlain(folder / f"{PLAIN}.ckpt", plain.contents), _PrintRow()]
    callbacks.append(OnNan(args.on_nan))
    logger = TensorBoardLogger(root, name=None, version=TENSORBOARD) if args.logger else None
    trainer = make_trainer(args, callbacks, logger)
    if checkpoint is not None:
        print(f"Continuing from {checkpoint} (--ckpt_path none starts over)", flush=True)
    return fit(trainer, module, data, checkpoint, saver)


if __name__ == "__main__":
    sys.exit(main())
