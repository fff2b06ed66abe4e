"""Networks: CLGNet, its parts, its ablations, and CLGNet with data consistency."""

from fastmri_clgnet.models.clgnet import CLGNet
from fastmri_clgnet.models.clgnet_dc import CLGNetDC
from fastmri_clgnet.models.clgvarnet import CLGVarNet, NormCLGNet
from fastmri_clgnet.models.spatial_fourier import (
    SpatialFourierLayer,
    SpatialFourierResidualBlock,
    SpatialFourierResidualGroup,
)
from fastmri_clgnet.models.spectral_unit import SPECTRA, Spectrum
from fastmri_clgnet.models.variants import VARIANTS, Variant, make_variant
from fastmri_clgnet.models.wavelet import (
    DiscreteWaveletTransform2d,
    InverseDiscreteWaveletTransform2d,
)

__all__ = [
    "SPECTRA",
    "VARIANTS",
    "CLGNet",
    "CLGNetDC",
    "CLGVarNet",
    "DiscreteWaveletTransform2d",
    "InverseDiscreteWaveletTransform2d",
    "NormCLGNet",
    "SpatialFourierLayer",
    "SpatialFourierResidualBlock",
    "SpatialFourierResidualGroup",
    "Spectrum",
    "Variant",
    "make_variant",
]
