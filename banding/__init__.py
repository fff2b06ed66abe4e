"""Orientation-adversarial fine-tuning, which removes bands from Cartesian reconstructions.

References:
    Defazio, Murrell, Recht. MRI Banding Removal via Adversarial Training. NeurIPS 2020,
    arXiv:2001.08699.
"""

from banding.adversary import OrientationAdversary
from banding.banding_module import BandingModule
from banding.fine_tuning import fine_tune
from banding.metrics import banding_score
from banding.orientation import OrientedSample, RandomTranspose

__all__ = [
    "BandingModule",
    "OrientationAdversary",
    "OrientedSample",
    "RandomTranspose",
    "banding_score",
    "fine_tune",
]
