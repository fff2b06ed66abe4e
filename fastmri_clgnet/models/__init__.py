"""Networks: CLGNet and its parts."""

from fastmri_clgnet.models.clgnet import CLGNet
from fastmri_clgnet.models.spatial_fourier import (
    SpatialFourierLayer,
    SpatialFourierResidualBlock,
    SpatialFourierResidualGroup,
)
from fastmri_clgnet.models.wavelet import (
    DiscreteWaveletTransform2d,
    InverseDiscreteWaveletTransform2d,
)

__all__ = [
    "CLGNet",
    "DiscreteWaveletTransform2d",
    "InverseDiscreteWaveletTransform2d",
    "SpatialFourierLayer",
    "SpatialFourierResidualBlock",
    "SpatialFourierResidualGroup",
]
