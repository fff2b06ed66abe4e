"""Orientation-adversarial fine-tuning, which takes the bands out of Cartesian reconstructions.

References:
    Defazio, Murrell, Recht. MRI Banding Removal via Adversarial Training. NeurIPS 2020,
    arXiv:2001.08699.
"""

from typing import TYPE_CHECKING

from fastmri_clgnet.lazy import lazy

if TYPE_CHECKING:
    from banding.adversary import OrientationAdversary
    from banding.banding_module import BandingModule
    from banding.metrics import banding_score
    from banding.orientation import OrientedSample, RandomTranspose
    from banding.train_banding import fine_tune

__all__ = [
    "BandingModule",
    "OrientationAdversary",
    "OrientedSample",
    "RandomTranspose",
    "banding_score",
    "fine_tune",
]

__getattr__ = lazy(
    __name__,
    {
        "BandingModule": "banding_module",
        "OrientationAdversary": "adversary",
        "OrientedSample": "orientation",
        "RandomTranspose": "orientation",
        "banding_score": "metrics",
        "fine_tune": "train_banding",
    },
)
