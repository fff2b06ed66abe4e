"""Makes a run's module, loss and trainer from its flags."""

from __future__ import annotations

import inspect

import pytorch_lightning as pl
from fastmri.data.subsample import MaskFunc
from fastmri.pl_modules import MriModule
from jsonargparse import Namespace
from pytorch_lightning.callbacks import Callback, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.losses import (
    LAYER_WEIGHTS,
    CLGNetLoss,
    ContrastiveLoss,
    VGG19Features,
)
from fastmri_clgnet.losses.vgg19_features import IMAGENET
from fastmri_clgnet.training.distributed import say
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
    if not choice.multicoil and args.challenge == "multicoil":
        others = ", ".join(name for name, each in MODELS.items() if each.multicoil)
        raise InputError(
            f"--model {args.model} takes single-coil data alone; {others} take multicoil data"
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
        say("Loss: L1 alone (alpha 0)")
        return CLGNetLoss(alpha=0)
    try:
        features = VGG19Features(args.vgg_layers, args.vgg_weights)
        weights = [LAYER_WEIGHTS[layer] for layer in args.vgg_layers]
        contrastive = ContrastiveLoss(features, weights, num_negatives, seed=args.seed)
        loss = CLGNetLoss(alpha, contrastive)
    except InputError:
        if not demo or args.vgg_weights != IMAGENET:
            raise
        say(
            "Loss: L1 alone, since VGG19's weights could not be downloaded; for the whole "
            "objective give --vgg_weights FILE (torchvision's vgg19, see the README)"
        )
        return CLGNetLoss(alpha=0)
    except ValueError as error:
        raise InputError(str(error)) from error
    say(
        f"Loss: L1 + {alpha:g} x contrastive (VGG19, convolutions {words(args.vgg_layers)}; "
        f"{num_negatives} negatives)"
    )
    return loss


def make_evaluator(args: Namespace, mask_funcs: list[MaskFunc]) -> pl.Trainer:
    """Make a trainer that neither logs nor saves, and let each process draw its own masks.

    Args:
        args: All flags.
        mask_funcs: For training, and for validation and test, which draws by file name.

    Returns:
        The trainer.
    """
    evaluator = make_trainer(args)
    mask_funcs[0].rng.seed(args.seed + evaluator.global_rank)
    return evaluator


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
    if str(args.precision) in ("16-true", "bf16-true"):
        raise InputError(
            f"--precision {args.precision}: MR images of 1e-5 and Fourier transforms need float32; "
            "use 16-mixed or bf16-mixed"
        )
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
