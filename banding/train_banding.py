"""The command `python -m banding.train_banding`: fine-tune a checkpoint to be rid of its bands."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmri_clgnet import cli
from fastmri_clgnet.data.mri_data import Data
from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.files import write_json
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL, MODELS
from fastmri_clgnet.train_clgnet import (
    DEMO_PRESET,
    SHELL,
    add_trainer_flags,
    config_of,
    constructors,
    default_root,
    make_loss,
    parse,
    trainer_of,
)
from fastmri_clgnet.training.objective import paper_objective
from fastmri_clgnet.training.run import NanAction, Run, train

if TYPE_CHECKING:
    from banding.banding_module import BandingModule

MODULE = "banding.banding_module:BandingModule"
PLAIN = "plain.ckpt"  # the checkpoint that is kept, and that train_clgnet reads
SSIM_TOLERANCE = 0.005  # how much SSIM may fall for the bands' sake in what is kept
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


def fine_tune(
    module: BandingModule,
    data: Data,
    checkpoint: Path | str,
    *,
    trainer: Mapping[str, Any] | None = None,
    default_root_dir: Path | str | None = None,
    ckpt_path: Path | str | None = None,
    seed: int = 42,
    on_nan: NanAction = "stop",
    checkpoint_minutes: float = 30.0,
    logger: bool = True,
    flags: Mapping[str, Any] | None = None,
) -> Run:
    """Measure, fine-tune, and measure again with the best validation, which plain.ckpt keeps.

    Args:
        module: `BandingModule(load(checkpoint))`, with settings of the fine-tuning.
        data: Data to train and validate on.
        checkpoint: What is fine-tuned: a file that `load` reads, or the name of shipped weights.
            What it says of its model goes into plain.ckpt.
        trainer: As for `train`; max_steps counts training batches, the warm-up's included.
        default_root_dir: As for `train`; by default banding/MODEL/CHALLENGE[_demo] here.
        ckpt_path: As for `train`.
        seed: As for `train`.
        on_nan: As for `train`.
        checkpoint_minutes: As for `train`.
        logger: As for `train`.
        flags: As for `train`.

    Returns:
        The run; its metrics are those "before" and "after", its best checkpoint is plain.ckpt.

    Example:
        >>> from banding import BandingModule
        >>> from fastmri_clgnet import example_slice, load
        >>> from fastmri_clgnet.data import write_fastmri_file
        >>> scan = example_slice()
        >>> # of low resolution, to be quick
        >>> scan = scan._replace(kspace=scan.kspace[..., 96:160, 96:160], recon_size=(64, 64))
        >>> for split in ("train", "val"):
        ...     Path(f"DATA/multicoil_{split}").mkdir(parents=True)
        ...     write_fastmri_file(f"DATA/multicoil_{split}/a.h5", scan.kspace, scan.images())
        >>> data = Data("DATA", "multicoil", batch_size=1, num_workers=0)
        >>> module = BandingModule(load("brain-4x"), adversary_chans=8)
        >>> settings = {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False}
        >>> run = fine_tune(
        ...     module, data, "brain-4x", trainer=settings, default_root_dir="run", logger=False
        ... )  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
        banding score ...
        before ...
        epoch 1 ...
        epoch 2 ...
        kept: epoch ...
        >>> run.best.name
        'plain.ckpt'

    Raises:
        InputError: If something cannot be used, or no validation could be kept.
    """
    from banding.callbacks import COLUMNS, KeepBest, PrintRow, StopAfter, print_heading, print_row
    from banding.orientation import RandomTranspose
    from banding.picture import save_bands
    from fastmri_clgnet.loading import as_checkpoint, find_weights, read_model
    from fastmri_clgnet.training.checkpoint import checkpoint_dir
    from fastmri_clgnet.training.session import Session

    settings = {"max_epochs": 10, **(trainer or {})}
    if settings.get("limit_val_batches") == 0:
        raise InputError("limit_val_batches 0: the validation says which epoch is kept")
    source = read_model(find_weights(checkpoint))
    model = source.model
    if data.challenge != "singlecoil" and not MODELS[model].multicoil:
        raise InputError(f"{checkpoint}: {model} takes single-coil data only")
    n_batches = settings.pop("max_steps", None) or -1
    default = default_root(f"banding/{model}", data.challenge, data.is_demo)
    root = default if default_root_dir is None else Path(default_root_dir)
    module.train()
    session = Session(module, data, settings, root, seed)
    samples, _ = session.prepare(refuse_nan=on_nan == "stop")
    samples.train_transform = RandomTranspose(samples.train_transform)
    original = copy.deepcopy(module)
    metrics = {"before": session.validate(original, samples, COLUMNS)}
    speaks = session.evaluator.is_global_zero
    if speaks:
        print_heading()
        print_row("before", metrics["before"])
    written = checkpoint_dir(root) / PLAIN
    keeper = KeepBest(written, as_checkpoint(source), metrics["before"]["val_metrics/ssim"])
    run = session.train(
        None if ckpt_path is None else str(ckpt_path),
        on_nan=on_nan,
        checkpoint_minutes=checkpoint_minutes,
        logger=logger,
        callbacks=[keeper, PrintRow(), *([StopAfter(n_batches)] if n_batches > 0 else [])],
        keep_best=False,
        flags=flags,
    )
    if run.status:
        return run
    if keeper.epoch == 0:
        raise InputError(
            f"{written}: not written, since no validation gave a finite SSIM and score; see "
            "--check_val_every_n_epoch, --max_epochs and --lr"
        )
    module.reconstructor.load_state_dict(read_model(written).state)
    metrics["after"] = session.validate(module, samples, COLUMNS)
    metrics["after"]["adversary_accuracy"] = keeper.accuracy
    if not speaks:
        return Run(root, written, metrics)
    print_row(f"kept: epoch {keeper.epoch}", metrics["after"])
    write_json(root / "metrics.json", metrics)
    pictures = {"before": original.reconstructor, "after": module.reconstructor}
    save_bands(root / "bands.png", pictures, samples)
    summary = (
        f"\nfine-tuned model:  {written}  (train_clgnet --mode test --ckpt_path reads it)\n"
        f"picture:           {root / 'bands.png'}\n"
        f"configuration:     {root / 'config.yaml'}"
    )
    return Run(root, written, metrics, summary=summary)


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
    from fastmri_clgnet.loading import build, find_weights, read_model

    pl.seed_everything(args.seed, workers=True)
    source = read_model(find_weights(args.checkpoint))
    reconstructor = build(source).train()
    demo = args.data_path is None
    if args.default_root_dir is None:
        args.default_root_dir = default_root(f"banding/{source.model}", args.challenge, demo)
    if args.loss == "own" and source.model == DEFAULT_MODEL:
        args.variant = reconstructor.hparams["variant"]
        reconstructor.loss = make_loss(args)
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
