"""Networks: CLGNet, its parts and its ablations."""

from fastmri_clgnet.models.clgnet import CLGNet
from fastmri_clgnet.models.spatial_fourier import (
    SpatialFourierLayer,
    SpatialFourierResidualBlock,
    SpatialFourierResidualGroup,
)
from fastmri_clgnet.models.variants import VARIANTS, Variant, make_variant
from fastmri_clgnet.models.wavelet import (
    DiscreteWaveletTransform2d,
    InverseDiscreteWaveletTransform2d,
)

__all__ = [
    "VARIANTS",
    "CLGNet",
    "DiscreteWaveletTransform2d",
    "InverseDiscreteWaveletTransform2d",
    "SpatialFourierLayer",
    "SpatialFourierResidualBlock",
    "SpatialFourierResidualGroup",
    "Variant",
    "make_variant",
]
