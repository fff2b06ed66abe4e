"""The command `python -m fastmri_clgnet.train_clgnet`: train, test, save submissions."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
from fastmri.data.subsample import MaskFunc, create_mask_for_mask_type
from fastmri.data.transforms import UnetDataTransform
from fastmri.pl_modules import FastMriDataModule
from jsonargparse import Namespace
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from fastmri_clgnet.data import (
    CheckedDataModule,
    CheckedTransform,
    check_split,
    make_demo_dataset,
)
from fastmri_clgnet.data.fastmri_file import atomic_path
from fastmri_clgnet.data.file_checks import check_one_size
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.pl_modules import CLGNetModule, ImageModule, ZeroFilledModule
from fastmri_clgnet.training.arguments import build_parser, find_data, parse_arguments
from fastmri_clgnet.training.checkpoint import (
    BEST,
    LAST,
    SaveOnInterrupt,
    check_checkpoint,
    checkpoint_callback,
    checkpoint_dir,
    find_checkpoint,
    weights_only,
)
from fastmri_clgnet.training.results import format_table, save_metrics, save_validation_picture

TENSORBOARD = "tensorboard"  # folder of its logs under default_root_dir
_QUIET = (
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*is smaller than the logging interval.*",
    ".*sync_dist=True.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
)


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        The exit status: 0, 1 after an error in the input, 130 after Ctrl-C, 143 after SIGTERM.
    """
    # Lightning's remarks that a user of this command can do nothing about
    for message in _QUIET:
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
        lambda record: "Tip:" not in record.getMessage()
    )
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    try:
        args = parse_arguments(argv)
        return run(args)
    except (InputError, MisconfigurationException) as error:
        if debug:
            raise
        # an error in a loader's worker comes with the worker's traceback in front
        message = str(error).rsplit("InputError: ", 1)[-1].strip()
        print(f"error: {message}", file=sys.stderr)
        return 1


def run(args: Namespace) -> int:
    """Check everything, then train or test.

    Args:
        args: Of `parse_arguments`.

    Returns:
        The exit status.
    """
    pl.seed_everything(args.seed, workers=True)
    root: Path = args.default_root_dir
    module = make_module(args)
    mask_funcs = [make_mask(args) for _ in range(2)]
    checkpoint = find_checkpoint(args.ckpt_path, args.mode, root)
    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    source = find_data(args)
    if source.path is None:
        print(
            f"\n*** DEMO: {source.origin}. Simulated heads, not patients; a small network. ***\n"
            f"*** For real data give --data_path. Demo data set in {args.demo_dir} ***\n",
            flush=True,
        )
        args.data_path = make_demo_dataset(args.challenge, args.demo_dir)
    test = check_data(args)
    root.mkdir(parents=True, exist_ok=True)
    evaluator = make_trainer(args)
    data = make_data_module(args, mask_funcs, distributed=evaluator.world_size > 1)

    if args.mode == "test":
        evaluator.test(module, data, ckpt_path=checkpoint, **weights_only(evaluator.test))
        return 0

    status = train(args, module, data, checkpoint)
    if status:
        return status
    summarise(args, evaluator, module, data, test)
    return 0


def make_module(args: Namespace) -> CLGNetModule:
    """Make the module from its flags."""
    names = CLGNetModule.__init__.__annotations__.keys() - {"loss", "return"}
    try:
        return CLGNetModule(**{name: args[name] for name in names})
    except ValueError as error:
        raise InputError(str(error)) from error


def make_mask(args: Namespace) -> MaskFunc:
    """Make the host's mask function, seeded, from the mask flags."""
    if len(args.center_fractions) != len(args.accelerations):
        raise InputError(
            f"--accelerations {_words(args.accelerations)} has {len(args.accelerations)} values, "
            f"--center_fractions {_words(args.center_fractions)} has {len(args.center_fractions)}: "
            "give one centre fraction for each acceleration, such as 0.08 for 4 and 0.04 for 8"
        )
    for fraction, acceleration in zip(args.center_fractions, args.accelerations, strict=True):
        if acceleration < 1 or not 0 < fraction < 1 or fraction * acceleration > 1:
            raise InputError(
                f"acceleration {acceleration} with centre fraction {fraction}: the centre alone "
                "would be more than all columns to sample; expected 0 < fraction <= 1 / "
                "acceleration"
            )
    mask_func = create_mask_for_mask_type(args.mask_type, args.center_fractions, args.accelerations)
    mask_func.rng.seed(args.seed)
    return mask_func


def _words(values: list) -> str:
    return " ".join(map(str, values))


def check_data(args: Namespace) -> bool:
    """Check the files that the run will read, before it starts.

    Args:
        args: With data_path set.

    Returns:
        Whether there is a test split (training can do without).
    """
    masked = args.test_split != "val"
    test_folder = args.test_path or args.data_path / f"{args.challenge}_{args.test_split}"
    if args.mode == "test":
        check_one_size(check_split(test_folder, args.challenge, masked), args.batch_size)
        return True
    for split in ("train", "val"):
        folder = args.data_path / f"{args.challenge}_{split}"
        check_one_size(check_split(folder, args.challenge, masked=False), args.batch_size)
    if args.test_path is None and not test_folder.is_dir():
        return False
    check_one_size(check_split(test_folder, args.challenge, masked), args.batch_size)
    return True


def make_data_module(
    args: Namespace, mask_funcs: list[MaskFunc], distributed: bool
) -> FastMriDataModule:
    """Make the host's data module: random masks for training, masks by file name otherwise."""
    train_mask, fixed_mask = mask_funcs
    names = (
        "data_path", "challenge", "test_split", "test_path", "combine_train_val", "sample_rate",
        "val_sample_rate", "test_sample_rate", "volume_sample_rate", "val_volume_sample_rate",
        "test_volume_sample_rate", "use_dataset_cache_file", "batch_size", "num_workers",
    )  # fmt: skip

    def transform(mask_func: MaskFunc | None, use_seed: bool = True) -> CheckedTransform:
        return CheckedTransform(UnetDataTransform(args.challenge, mask_func, use_seed))

    try:
        return CheckedDataModule(
            train_transform=transform(train_mask, use_seed=False),
            val_transform=transform(fixed_mask),
            test_transform=transform(fixed_mask if args.test_split == "val" else None),
            distributed_sampler=distributed,
            **{name: args[name] for name in names},
        )
    except ValueError as error:
        raise InputError(str(error)) from error


class ProgressBar(TQDMProgressBar):
    """Lightning's bar without the version number of the logs, of which a run has one."""

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return what stands behind the bar."""
        items = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        return items


def make_trainer(
    args: Namespace,
    callbacks: list[Callback] | None = None,
    logger: TensorBoardLogger | None = None,
) -> pl.Trainer:
    """Make Lightning's trainer from its flags; without callbacks it only evaluates."""
    own = {"callbacks", "logger", "use_distributed_sampler", "enable_checkpointing", "return",
           "enable_model_summary"}  # fmt: skip
    names = pl.Trainer.__init__.__annotations__.keys() - own
    bars = [] if args.enable_progress_bar is False else [ProgressBar()]
    return pl.Trainer(
        callbacks=[*(callbacks or []), *bars],
        logger=logger if logger is not None else False,
        enable_checkpointing=callbacks is not None,
        enable_model_summary=args.enable_model_summary if callbacks is not None else False,
        # fastMRI's data module makes the samplers that keep volumes on one device
        use_distributed_sampler=False,
        **{name: args[name] for name in names if name in args},
    )


def train(
    args: Namespace, module: CLGNetModule, data: FastMriDataModule, checkpoint: Path | None
) -> int:
    """Train to max_epochs.

    Args:
        args: All flags.
        module: The module.
        data: The data.
        checkpoint: What to continue from.

    Returns:
        The exit status.
    """
    root: Path = args.default_root_dir
    logger = TensorBoardLogger(root, name=None, version=TENSORBOARD) if args.logger else None
    last = checkpoint_dir(root) / f"{LAST}.ckpt"
    saver = SaveOnInterrupt(last)
    callbacks: list[Callback] = [checkpoint_callback(root), saver]
    if logger is not None:
        callbacks.append(LearningRateMonitor("epoch"))
    trainer = make_trainer(args, callbacks, logger)
    if trainer.is_global_zero:
        with atomic_path(root / "config.yaml") as temporary:
            saved = args.clone()
            saved.data_path = None if args.demo_dir is not None else args.data_path
            temporary.write_text(build_parser().dump(saved), encoding="utf-8")
        if checkpoint is not None:
            print(f"Continuing from {checkpoint} (--ckpt_path none starts over)", flush=True)
    status = 0
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, **weights_only(trainer.fit))
    except SIGTERMException:
        status = 143
    except (SystemExit, KeyboardInterrupt):
        if not saver.interrupted:
            raise
    if saver.interrupted:
        print(f"\nStopped. The same command continues from {last}", flush=True)
        return status or 130
    return 0


def summarise(
    args: Namespace,
    evaluator: pl.Trainer,
    module: CLGNetModule,
    data: FastMriDataModule,
    test: bool,
) -> None:
    """Validate and test with the best checkpoint; print the table and where everything is.

    Args:
        args: All flags.
        evaluator: A trainer that neither logs nor saves checkpoints.
        module: The trained module.
        data: The data.
        test: Whether there is a test split.
    """
    root: Path = args.default_root_dir
    best = checkpoint_dir(root) / f"{BEST}.ckpt"
    modules: dict[str, ImageModule] = {"zero-filled": ZeroFilledModule(0), "CLGNet": module}
    module.num_log_images = 0  # they were logged during the training
    metrics = {}
    for name, each in modules.items():
        path = best if each is module and best.is_file() else None
        (logged,) = evaluator.validate(
            each, data, ckpt_path=path, verbose=False, **weights_only(evaluator.validate)
        )
        metrics[name] = {
            key: float(logged[f"val_metrics/{key}"]) for key in ("nmse", "psnr", "ssim")
        }
    if test:
        evaluator.test(module, data, verbose=False)
    if not evaluator.is_global_zero:
        return
    picture = root / "comparison.png"
    save_metrics(root / "metrics.json", metrics)
    save_validation_picture(picture, modules, data)
    print(f"\nValidation volumes, mask {args.mask_type}, {_words(args.accelerations)}x:\n")
    print(format_table(metrics))
    places = {
        "checkpoint": best,
        "reconstructions": root / "reconstructions" if test else "(no test split)",
        "picture": picture,
        "TensorBoard logs": root / TENSORBOARD if args.logger else "(off)",
        "configuration": root / "config.yaml",
    }
    print()
    for name, place in places.items():
        print(f"{name + ':':18}{place}")


if __name__ == "__main__":
    sys.exit(main())
