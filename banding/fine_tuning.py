"""`fine_tune`: measure, fine-tune against an adversary, measure the best epoch again."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from fastmri.pl_modules import MriModule
from torch import nn

from banding.banding_module import BandingModule
from banding.callbacks import (
    COLUMNS,
    Keep,
    KeepBest,
    PrintRow,
    StopAfter,
    print_heading,
    print_row,
)
from banding.orientation import RandomTranspose
from banding.picture import ShowBands, save_bands
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import write_json
from fastmri_clgnet.formats.safe_loading import load_tensors
from fastmri_clgnet.losses import ReconstructionLoss
from fastmri_clgnet.run_folder import CONFIG, METRICS, PLAIN, checkpoint_dir
from fastmri_clgnet.training.checkpoints import checkpoint_callbacks
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.folder import (
    config_of,
    default_folder,
    refuse_to_replace,
    sole_run,
)
from fastmri_clgnet.training.on_nan import NanAction, OnNan
from fastmri_clgnet.training.results import validate
from fastmri_clgnet.training.samples import check_files, make_samples
from fastmri_clgnet.training.stopping import SaveAndStop, fit
from fastmri_clgnet.training.train import Run
from fastmri_clgnet.training.trainer import make_trainer, quiet, set_seed

MAX_EPOCHS = 10  # where nothing is said
RUNS = "banding_runs"  # the folder of runs; "banding" is the package in a checkout


def fine_tune(
    module: BandingModule,
    data: Data,
    *,
    trainer: Mapping[str, Any] | None = None,
    default_root_dir: Path | str | None = None,
    ckpt_path: Path | str | None = None,
    seed: int = 42,
    on_nan: NanAction = "stop",
    checkpoint_minutes: float = 30.0,
    logger: bool = True,
    keep: Keep = "score",
    keep_readout: bool = False,
    flags: Mapping[str, Any] | None = None,
    objective: Callable[[], ReconstructionLoss] | None = None,
) -> Run:
    """Measure, fine-tune, and measure again at the best validation, saved as plain.ckpt.

    Args:
        module: `BandingModule(load(checkpoint))`, with the settings of the fine-tuning. The
            checkpoint's description of the model goes into plain.ckpt.
        data: Data to train and validate on.
        trainer: As for `train`; max_steps counts training batches, including the warm-up.
        default_root_dir: Folder of checkpoints, logs and reconstructions. Default:
            banding_runs/MODEL/CHALLENGE[_demo] here.
        ckpt_path: As for `train`.
        seed: As for `train`.
        on_nan: As for `train`.
        checkpoint_minutes: As for `train`.
        logger: As for `train`.
        keep: The validation after the warm-up whose model is saved as plain.ckpt: score is the one
            with the banding score nearest to 0 among those with SSIM at most 0.005 below that
            before; last is the last one.
        keep_readout: Whether transposed samples keep the readout oversampling, as in fastMRI's
            banding_removal; by default all samples have the same field of view along the sampled
            axis.
        flags: As for `train`.
        objective: As for `train`, for the fine-tuned model.

    Returns:
        The run: metrics "before" and "after", and plain.ckpt as best checkpoint. Its status is 1 if
        no weight has changed, which its summary says.

    Example:
        >>> from banding import BandingModule
        >>> from fastmri_clgnet import example_slice, load
        >>> from fastmri_clgnet.data import Data, write_fastmri_file
        >>> scan = example_slice()
        >>> # low resolution, to be quick
        >>> scan = scan._replace(kspace=scan.kspace[..., 96:160, 96:160], recon_size=(64, 64))
        >>> for split in ("train", "val"):
        ...     Path(f"DATA/multicoil_{split}").mkdir(parents=True)
        ...     write_fastmri_file(f"DATA/multicoil_{split}/a.h5", scan.kspace, scan.images())
        >>> data = Data("DATA", "multicoil", batch_size=1, num_workers=0)
        >>> module = BandingModule(load("brain-4x"), adversary_chans=8)
        >>> settings = {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False}
        >>> run = fine_tune(
        ...     module, data, trainer=settings, default_root_dir="run", logger=False
        ... )  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
        The weights were trained on other data: ...
        banding score ...
        before ...
        epoch 1 ...
        epoch 2 ...
        kept: epoch ...
        >>> run.best.name
        'plain.ckpt'

    Raises:
        InputError: If an input cannot be used, or no validation is good enough to keep.
    """
    settings = {"max_epochs": MAX_EPOCHS, **(trainer or {})}
    if settings.get("limit_val_batches") == 0:
        raise InputError("limit_val_batches 0: validation is needed to find the best epoch")
    _expect_epochs(settings, module.hparams["warmup_epochs"])
    n_batches = settings.pop("max_steps", None) or -1
    root = Path(default_root_dir or Path(RUNS, default_folder(module.reconstructor, data)))
    refuse_to_replace(root, settings)
    written = checkpoint_dir(root) / f"{PLAIN}.ckpt"
    module.train()
    with quiet():
        set_seed(seed)
        evaluator = make_trainer(root, settings)
        if evaluator.world_size > 1 and settings.get("strategy", "auto") in ("auto", "ddp"):
            # each step uses the parameters of one network
            settings["strategy"] = "ddp_find_unused_parameters_true"
        files = check_files(
            module.reconstructor, data, evaluator.world_size, refuse_nan=on_nan == "stop"
        )
        if objective is not None:
            module.reconstructor.loss = objective()
        samples = make_samples(module, data, seed, evaluator)
        samples.train_transform = RandomTranspose(
            samples.train_transform, keep_readout=keep_readout
        )
        _say_other_data(module.reconstructor, files.trained_on)
        original = copy.deepcopy(module)
        before = validate(evaluator, original, samples, COLUMNS)
        _say_unmeasured(original, before)
        if evaluator.is_global_zero:
            print_heading()
            print_row("before", before)
        keeper = KeepBest(written, before["val_metrics/ssim"], keep)
        with sole_run(root, evaluator.is_global_zero):
            saver = SaveAndStop(root, seed, checkpoint_minutes)
            pictures = ShowBands(
                root / "bands", original.reconstructor, samples, module.num_log_images
            )
            used = [
                keeper,
                PrintRow(),
                pictures,
                *([StopAfter(n_batches)] if n_batches > 0 else []),
            ]
            used += [*checkpoint_callbacks(root, keep_best=False), OnNan(on_nan), saver]
            given = {
                **settings, "seed": seed, "on_nan": on_nan, "logger": logger,
                "checkpoint_minutes": checkpoint_minutes,
            }  # fmt: skip
            config = config_of(module, data, root, given) if flags is None else flags
            fitter = make_trainer(root, settings, used, logger)
            status = fit(fitter, saver, module, samples, config, ckpt_path)
        if status:
            return Run(root, status=status)
        if keeper.epoch == 0:
            raise InputError(
                f"{written}: not written, since no validation after the warm-up had a finite "
                "SSIM; see check_val_every_n_epoch, max_epochs, max_steps and lr"
            )
        kept = load_tensors(written, "the best checkpoint")
        module.reconstructor.load_state_dict(kept["state_dict"])
        unchanged = _same_weights(original.reconstructor, module.reconstructor)
        after = validate(evaluator, module, samples, COLUMNS)
        if module.adversary is not None:
            after["adversary_accuracy"] = keeper.accuracy
    metrics = {"before": before, "after": after}
    if not evaluator.is_global_zero:
        return Run(root, written, metrics, status=int(unchanged))
    print_row(f"kept: epoch {keeper.epoch}", after)
    write_json(root / METRICS, metrics)
    modules = {"before": original.reconstructor, "after": module.reconstructor}
    save_bands(root / "bands.png", modules, samples)
    summary = (
        f"\nfine-tuned model:  {written}  (reconstruct --checkpoint reads it)\n"
        f"picture:           {root / 'bands.png'}, after each epoch {root / 'bands'}\n"
        f"configuration:     {root / CONFIG}"
    )
    if abs(after["banding_score"]) >= abs(before["banding_score"]):
        summary += "\nThe banding score is no nearer to 0 than before."
    if unchanged:
        summary += (
            "\nNothing was fine-tuned: all weights equal those of the checkpoint. See lr, "
            "max_epochs and max_steps"
        )
    return Run(root, written, metrics, status=int(unchanged), summary=summary)


def _expect_epochs(settings: Mapping[str, Any], warmup_epochs: int) -> None:
    """Refuse settings by which no model is fine-tuned, or none is validated after the warm-up."""
    max_epochs, every = settings["max_epochs"], settings.get("check_val_every_n_epoch") or 1
    name = f"max_epochs {max_epochs}"
    if settings.get("fast_dev_run"):  # Lightning then takes one epoch, and validates it
        max_epochs, every, name = 1, 1, "fast_dev_run"
    if max_epochs is None or max_epochs < 0:
        return
    if max_epochs <= warmup_epochs:
        raise InputError(
            f"{name} with warmup_epochs {warmup_epochs}: nothing would be fine-tuned, since only "
            "the adversary learns in the warm-up; give more epochs or a shorter warm-up"
        )
    if max_epochs // every * every <= warmup_epochs:
        raise InputError(
            f"{name} with check_val_every_n_epoch {every} and warmup_epochs {warmup_epochs}: no "
            "validation after the warm-up would choose the model; validate more often"
        )


def _say_unmeasured(module: BandingModule, metrics: Mapping[str, float]) -> None:
    """Print the volumes that the score leaves out."""
    if not module.unmeasured:
        return
    text = "banding score and energy are means over the others"
    if math.isnan(metrics["banding_score"]):
        text = "their bands cannot be measured, and only SSIM determines the best epoch"
    say(
        f"{len(module.unmeasured)} validation volumes without a window of low signal: "
        f"{words(module.unmeasured)}; {text}"
    )


def _say_other_data(reconstructor: MriModule, data: Mapping[str, Any]) -> None:
    """Print how data and masks differ from those of the weights' training, if known."""
    # the only record in fastMRI's weights
    trained = {"challenge": reconstructor.hparams.get("challenge", data["challenge"])}
    trained |= getattr(reconstructor, "trained_on", {})
    differences = [
        f"{name} {trained[name]}, here {value}"
        for name, value in data.items()
        if trained.get(name, value) != value
    ]
    if differences:
        say(f"The weights were trained on other data: {'; '.join(differences)}")


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Return whether all parameters are equal, on any devices."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(first.cpu(), second.cpu()) for first, second in pairs)
