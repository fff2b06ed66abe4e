"""The command `python -m fastmri_clgnet.train_clgnet`: train, test, save submissions."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
from fastmri.pl_modules import FastMriDataModule, MriModule
from jsonargparse import Namespace
from pytorch_lightning.callbacks import Callback, LearningRateMonitor
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.pl_modules import ZeroFilledModule
from fastmri_clgnet.training.arguments import (
    DEFAULT_MODEL,
    build_parser,
    parse_arguments,
    save_config,
)
from fastmri_clgnet.training.checkpoint import (
    BEST,
    LAST,
    NameModel,
    check_checkpoint,
    checkpoint_callbacks,
    checkpoint_dir,
    find_checkpoint,
    forget_requeued,
    weights_only,
)
from fastmri_clgnet.training.components import (
    make_loss,
    make_module,
    make_trainer,
)
from fastmri_clgnet.training.data import check_data, make_data_module, use_demo
from fastmri_clgnet.training.distributed import say, wait_for_all
from fastmri_clgnet.training.full_disk import clear_log_errors
from fastmri_clgnet.training.masks import make_masks, val_mask
from fastmri_clgnet.training.models import MODELS, ZERO_FILLED
from fastmri_clgnet.training.on_nan import OnNan
from fastmri_clgnet.training.results import format_table, save_metrics, save_validation_picture
from fastmri_clgnet.training.sole_run import sole_run
from fastmri_clgnet.training.step_seeds import SeedSteps
from fastmri_clgnet.training.stopping import SaveAndStop

Methods = dict[str, tuple[MriModule, FastMriDataModule]]  # by what the table calls them
TENSORBOARD = "tensorboard"  # folder of its logs under default_root_dir
_QUIET = (
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*is smaller than the logging interval.*",
    ".*sync_dist=True.*",
    ".*is not supported by the model summary.*",
    # the batches follow from where the training is
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    ".*Detected KeyboardInterrupt.*",  # which this command explains itself
    ".*callbacks used to create the checkpoint need to be provided.*",
)


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        The exit status: 0, 1 after an error in the input, 130 after Ctrl-C, 143 after SIGTERM.
    """
    return guarded(argv, lambda: run(parse_arguments(argv)))


def guarded(argv: list[str] | None, command: Callable[[], int]) -> int:
    """Run a training command; bad input becomes one line on stderr, not a traceback.

    Args:
        argv: Its arguments, by default the process's; --debug among them shows the traceback.
        command: Parses the arguments, runs, returns the exit status.

    Returns:
        The exit status, as of `main`.
    """
    # Lightning's remarks that a user of this command can do nothing about
    for message in _QUIET:
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
        lambda record: "Tip:" not in record.getMessage()
    )

    def of_lightning_too() -> int:
        try:
            with clear_log_errors():
                return command()
        except MisconfigurationException as error:
            raise InputError(str(error)) from error
        except SIGTERMException:  # outside of the training
            say("\nStopped. The same command does this again.")
            return 143

    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    return exit_status(of_lightning_too, debug)


def run(args: Namespace) -> int:
    """Check everything, then train or test.

    Args:
        args: Of `parse_arguments`.

    Returns:
        The exit status.
    """
    pl.seed_everything(args.seed, workers=True)
    root: Path = args.default_root_dir
    demo = args.data_path is None
    training = args.mode == "train" and args.model != ZERO_FILLED
    module = make_module(args)
    mask_funcs = make_masks(args)
    if training and args.limit_val_batches == 0:
        raise InputError("--limit_val_batches 0: the best checkpoint is chosen by the validation")
    usable_checkpoint(args, module)
    if demo:
        use_demo(args)
    evaluator = make_trainer(args)
    test = check_data(args, evaluator.world_size)
    if training and args.model == DEFAULT_MODEL:
        module.loss = make_loss(args, demo)
    distributed, on_kspace = evaluator.world_size > 1, MODELS[args.model].on_kspace
    data = make_data_module(args, mask_funcs, distributed, on_kspace)
    images = make_data_module(args, mask_funcs, distributed, on_kspace=False)
    methods: Methods = {
        MODELS[ZERO_FILLED].label: (ZeroFilledModule(0), images),
        MODELS[args.model].label: (module, data),
    }
    with sole_run(root, evaluator.is_global_zero):
        return work(args, evaluator, methods, test)


def usable_checkpoint(args: Namespace, module: MriModule) -> Path | None:
    """Find the checkpoint to continue from or to test, and check that it fits.

    Args:
        args: All flags.
        module: What it is to be loaded into.

    Returns:
        The file, if there is one.

    Raises:
        InputError: If it cannot be used, or is missing.
    """
    if args.model == ZERO_FILLED:
        return None
    checkpoint = find_checkpoint(args.ckpt_path, args.mode, args.default_root_dir)
    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    return checkpoint


def work(args: Namespace, evaluator: pl.Trainer, methods: Methods, test: bool) -> int:
    """Train or test in the run's folder.

    Args:
        args: All flags.
        evaluator: A trainer that neither logs nor saves checkpoints.
        methods: The zero-filled image and the module, with their data.
        test: Whether there is a test split.

    Returns:
        The exit status.
    """
    root: Path = args.default_root_dir
    training = args.mode == "train" and args.model != ZERO_FILLED
    module, data = methods[MODELS[args.model].label]
    checkpoint = usable_checkpoint(args, module)  # which the run before may just have written
    if training and args.ckpt_path == "none" and evaluator.is_global_zero:
        forget_requeued(root)
    if args.mode == "test":
        evaluator.test(module, data, ckpt_path=checkpoint, **weights_only(evaluator.test))
        return 0

    status = train(args, module, data, checkpoint) if training else 0
    if status:
        return status
    if training and evaluator.is_global_zero:
        forget_requeued(root)
    wait_for_all()
    summarise(args, evaluator, methods, test)
    return 0


def train(
    args: Namespace, module: MriModule, data: FastMriDataModule, checkpoint: Path | None
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
    logger = None
    if args.logger:
        logger = TensorBoardLogger(root, name=None, version=TENSORBOARD, default_hp_metric=False)
    saver = SaveAndStop(checkpoint_dir(root) / f"{LAST}.ckpt", args.checkpoint_minutes)
    callbacks: list[Callback] = [
        *checkpoint_callbacks(root),
        NameModel(args.model),
        SeedSteps(args.seed),
        OnNan(args.on_nan),
        saver,
    ]
    if logger is not None:
        callbacks.append(LearningRateMonitor("epoch"))
    trainer = make_trainer(args, callbacks, logger)
    if trainer.is_global_zero:
        save_config(build_parser(args.model), args)
        if checkpoint is not None:
            print(f"Continuing from {checkpoint} (--ckpt_path none starts over)", flush=True)
    return fit(trainer, module, data, checkpoint, saver, args.ckpt_path)


def fit(
    trainer: pl.Trainer,
    module: MriModule,
    data: FastMriDataModule,
    checkpoint: Path | None,
    saver: SaveAndStop,
    ckpt_path: str | None,
) -> int:
    """Let the trainer fit; say how to go on if Ctrl-C or SIGTERM stops it.

    Args:
        trainer: The trainer.
        module: The module.
        data: The data.
        checkpoint: What to continue from.
        saver: The trainer's callback that saves a checkpoint then.
        ckpt_path: The --ckpt_path flag, which would choose another one the next time.

    Returns:
        The exit status.
    """
    status = 0
    try:
        with saver.listening():
            trainer.fit(module, data, ckpt_path=checkpoint, **weights_only(trainer.fit))
    except SIGTERMException:
        status = 143
    except (SystemExit, KeyboardInterrupt):
        if not saver.interrupted:
            raise
    if saver.interrupted or saver.asked_to_stop:
        if saver.path.is_file():
            hint = "" if ckpt_path is None else ", without --ckpt_path,"
            say(f"\nStopped. The same command{hint} continues from {saver.path}")
        else:
            say("\nStopped before the first checkpoint. The same command starts anew.")
        return status or 130
    return 0


def summarise(args: Namespace, evaluator: pl.Trainer, methods: Methods, test: bool) -> None:
    """Validate and test with the best checkpoint; print the table and where everything is.

    Args:
        args: All flags.
        evaluator: A trainer that neither logs nor saves checkpoints.
        methods: What to compare; the last one is the trained module, with its data.
        test: Whether there is a test split.
    """
    root: Path = args.default_root_dir
    best = checkpoint_dir(root) / f"{BEST}.ckpt"
    module, data = list(methods.values())[-1]
    module.num_log_images = 0  # they were logged during the training
    metrics = {}
    for name, (each, samples) in methods.items():
        path = best if each is module and best.is_file() else None
        (logged,) = evaluator.validate(
            each, samples, ckpt_path=path, verbose=False, **weights_only(evaluator.validate)
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
    save_validation_picture(picture, methods)
    print(f"\nValidation volumes, {val_mask(args)}:\n")
    print(format_table(metrics))
    places = {
        "checkpoint": best if best.is_file() else "(none)",
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
