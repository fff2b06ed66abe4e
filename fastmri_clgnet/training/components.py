"""Makes the parts of a run from its flags, and checks the files that it will read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytorch_lightning as pl
from fastmri.data.subsample import MaskFunc, create_mask_for_mask_type
from fastmri.data.transforms import UnetDataTransform, VarNetDataTransform, VarNetSample
from fastmri.pl_modules import FastMriDataModule, MriModule
from jsonargparse import Namespace
from pytorch_lightning.callbacks import Callback, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger

from fastmri_clgnet.data import CheckedDataModule, CheckedTransform, check_split
from fastmri_clgnet.data.file_checks import check_one_size
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.losses import (
    LAYER_WEIGHTS,
    CLGNetLoss,
    ContrastiveLoss,
    VGG19Features,
)
from fastmri_clgnet.losses.vgg19_features import IMAGENET
from fastmri_clgnet.training.models import MODELS


def make_module(args: Namespace) -> MriModule:
    """Make the module of --model from its flags; CLGNet's with its default loss.

    Args:
        args: All flags.

    Returns:
        The module.

    Raises:
        InputError: If a flag does not fit, or the model does not take the challenge's data.
    """
    choice = MODELS[args.model]
    if choice.on_kspace and args.challenge != "singlecoil":
        images = ", ".join(name for name, each in MODELS.items() if not each.on_kspace)
        raise InputError(
            f"--model {args.model} takes single-coil data alone; {images} take multicoil data"
        )
    names = {*inspect.signature(choice.module).parameters, "num_log_images"}
    arguments = {name: args[name] for name in names if name in args and name not in choice.fixed}
    try:
        return choice.module(**arguments, **choice.fixed)
    except ValueError as error:
        raise InputError(str(error)) from error


def make_loss(args: Namespace, demo: bool) -> CLGNetLoss:
    """Make the paper's objective from the loss flags, and say in one line what it is.

    Args:
        args: With variant, alpha, num_negatives, vgg_weights and vgg_layers.
        demo: Whether the demo data is trained on, which may do without the weights.

    Returns:
        The loss.

    Raises:
        InputError: If VGG19's weights cannot be had, unless it is the demo and none were named.
    """
    alpha = 0.0 if args.variant == "wo_cl" else args.alpha
    num_negatives = 0 if args.variant == "wo_negative" else args.num_negatives
    unknown = set(args.vgg_layers) - LAYER_WEIGHTS.keys()
    if unknown or not args.vgg_layers:
        raise InputError(f"--vgg_layers: expected some of {words(LAYER_WEIGHTS)}")
    if alpha == 0:
        print("Loss: L1 alone (alpha 0)", flush=True)
        return CLGNetLoss(alpha=0)
    try:
        features = VGG19Features(args.vgg_layers, args.vgg_weights)
        weights = [LAYER_WEIGHTS[layer] for layer in args.vgg_layers]
        contrastive = ContrastiveLoss(features, weights, num_negatives, seed=args.seed)
        loss = CLGNetLoss(alpha, contrastive)
    except InputError:
        if not demo or args.vgg_weights != IMAGENET:
            raise
        print(
            "Loss: L1 alone, since VGG19's weights could not be downloaded; for the whole "
            "objective give --vgg_weights FILE (torchvision's vgg19, see the README)",
            flush=True,
        )
        return CLGNetLoss(alpha=0)
    except ValueError as error:
        raise InputError(str(error)) from error
    print(
        f"Loss: L1 + {alpha:g} x contrastive (VGG19, convolutions {words(args.vgg_layers)}; "
        f"{num_negatives} negatives)",
        flush=True,
    )
    return loss


def make_mask(args: Namespace) -> MaskFunc:
    """Make the host's mask function, seeded, from the mask flags."""
    if len(args.center_fractions) != len(args.accelerations):
        raise InputError(
            f"--accelerations {words(args.accelerations)} has {len(args.accelerations)} values, "
            f"--center_fractions {words(args.center_fractions)} has {len(args.center_fractions)}: "
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


def words(values: Iterable[object]) -> str:
    """Values with spaces between, as on a command line."""
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


class _OneCoil:
    """Gives `VarNetDataTransform` single-coil data as one coil.

    The host's transform zeroes the mask of a test volume without a coil axis if it has padding.
    """

    def __init__(self, transform: VarNetDataTransform) -> None:
        self.transform = transform
        self.mask_func = transform.mask_func

    def __call__(self, kspace: np.ndarray, *sample: Any) -> VarNetSample:
        return self.transform(kspace[None], *sample)


def make_data_module(
    args: Namespace, mask_funcs: list[MaskFunc], distributed: bool, on_kspace: bool
) -> FastMriDataModule:
    """Make the host's data module: random masks for training, masks by file name otherwise.

    Args:
        args: All flags.
        mask_funcs: For training, and for validation and test.
        distributed: Whether several processes share the data.
        on_kspace: Whether to deliver k-space and mask, or magnitude images.

    Returns:
        The data module.

    Raises:
        InputError: If flags contradict each other.
    """
    train_mask, fixed_mask = mask_funcs
    names = (
        "data_path", "challenge", "test_split", "test_path", "combine_train_val", "sample_rate",
        "val_sample_rate", "test_sample_rate", "volume_sample_rate", "val_volume_sample_rate",
        "test_volume_sample_rate", "use_dataset_cache_file", "batch_size", "num_workers",
    )  # fmt: skip

    def transform(mask_func: MaskFunc | None, use_seed: bool = True) -> CheckedTransform:
        if on_kspace:
            return CheckedTransform(_OneCoil(VarNetDataTransform(mask_func, use_seed)))
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
    try:
        return pl.Trainer(
            callbacks=[*(callbacks or []), *bars],
            logger=logger if logger is not None else False,
            enable_checkpointing=callbacks is not None,
            enable_model_summary=args.enable_model_summary if callbacks is not None else False,
            # fastMRI's data module makes the samplers that keep volumes on one device
            use_distributed_sampler=False,
            **{name: args[name] for name in names if name in args},
        )
    except ValueError as error:
        raise InputError(f"{error} (a flag of the trainer)") from error
