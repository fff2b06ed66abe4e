"""The paper's training objective."""

from __future__ import annotations

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.losses import LAYER_WEIGHTS, CLGNetLoss, ContrastiveLoss, VGG19Features
from fastmri_clgnet.losses.contrastive import NUM_NEGATIVES, Negatives
from fastmri_clgnet.losses.reconstruction import ALPHA
from fastmri_clgnet.losses.vgg19_features import IMAGENET
from fastmri_clgnet.models.variants import Variant
from fastmri_clgnet.training.distributed import say


def paper_objective(
    alpha: float = ALPHA,
    num_negatives: int = NUM_NEGATIVES,
    vgg_weights: str = IMAGENET,
    vgg_layers: tuple[int, ...] = tuple(LAYER_WEIGHTS),
    negatives: Negatives = "batch",
) -> CLGNetLoss:
    """Make the objective of eq. 9 and 10 of the paper: L1 + alpha x contrastive loss.

    `CLGNetModule(loss=paper_objective())` trains CLGNet as the paper and the command train_clgnet
    do. `CLGNetModule()` needs no weights of VGG19: its loss is the mean absolute error only.

    Args:
        alpha: Weight of the contrastive loss; 0 leaves the mean absolute error only, and needs no
            weights.
        num_negatives: Undersampled images that each reconstruction is pushed from.
        vgg_weights: Weights of VGG19: 'imagenet' (torchvision's, downloaded on first use) or a file
            of torchvision's vgg19 or of its features.
        vgg_layers: Convolutions of VGG19, counted from 1, whose activations are compared.
        negatives: What these images are. batch: drawn from the batch, the slice's own among them,
            as in the paper. same_slice: the same slice under other masks, drawn for it. both:
            num_negatives of each.

    Returns:
        The loss.

    Example:
        >>> from fastmri_clgnet import CLGNetModule
        >>> loss = paper_objective(alpha=0)  # above 0 it reads VGG19's weights
        >>> CLGNetModule(chans=8, loss=loss).loss.alpha
        0

    Raises:
        InputError: If a value does not fit, or the weights cannot be had.
    """
    if not vgg_layers or set(vgg_layers) - LAYER_WEIGHTS.keys():
        raise InputError(f"vgg_layers: expected some of {words(LAYER_WEIGHTS)}")
    try:
        if alpha == 0:
            return CLGNetLoss(alpha=0)
        weights = [LAYER_WEIGHTS[layer] for layer in vgg_layers]
        features = VGG19Features(vgg_layers, vgg_weights)
        contrastive = ContrastiveLoss(features, weights, num_negatives, negatives=negatives)
        return CLGNetLoss(alpha, contrastive)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error


def objective_for(
    variant: Variant,
    alpha: float,
    num_negatives: int,
    vgg_weights: str,
    vgg_layers: tuple[int, ...],
    negatives: Negatives,
    is_demo: bool,
) -> CLGNetLoss:
    """Make the objective of a variant, and say in one line what it is.

    On the demo data it is L1 only if no weights were named and VGG19's cannot be downloaded.
    """
    alpha = 0.0 if variant == "wo_cl" else alpha
    num_negatives = 0 if variant == "wo_negative" else num_negatives
    try:
        loss = paper_objective(alpha, num_negatives, vgg_weights, vgg_layers, negatives)
    except InputError:
        if not is_demo or vgg_weights != IMAGENET:
            raise
        say(
            "Loss: L1 only, since VGG19's weights could not be downloaded; for the whole "
            "objective give --vgg_weights FILE (torchvision's vgg19-dcbb9e9d.pth)"
        )
        return paper_objective(alpha=0)
    text = "L1 only (alpha 0)"
    if alpha != 0:
        text = f"L1 + {alpha:g} x contrastive (VGG19, convolutions {words(vgg_layers)}; "
        where = {"batch": "", "same_slice": " of the same slice", "both": " of each kind"}
        text += f"{num_negatives} negatives{where[negatives]})"
    say(f"Loss: {text}")
    return loss
