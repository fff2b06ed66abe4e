"""Training losses: the paper's objective and its parts."""

from fastmri_clgnet.losses.contrastive import ContrastiveLoss, FeatureExtractor
from fastmri_clgnet.losses.reconstruction import CLGNetLoss, ReconstructionLoss
from fastmri_clgnet.losses.ssdu import ssdu_loss
from fastmri_clgnet.losses.vgg19_features import LAYER_WEIGHTS, VGG19Features

__all__ = [
    "LAYER_WEIGHTS",
    "CLGNetLoss",
    "ContrastiveLoss",
    "FeatureExtractor",
    "ReconstructionLoss",
    "VGG19Features",
    "ssdu_loss",
]
