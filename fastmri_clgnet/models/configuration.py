"""Size and parts of a CLGNet: where each default stands, once."""

from __future__ import annotations

from dataclasses import dataclass

from fastmri_clgnet.models.spectral_unit import Spectrum


@dataclass(frozen=True)
class Configuration:
    """What makes a CLGNet, of whatever inputs and outputs; the defaults are the paper's size.

    Args:
        chans: Width of both branches.
        num_groups: Residual groups in each branch.
        num_blocks: Residual blocks in each group.
        wavelet: PyWavelets name of the wavelet branch's transform, orthogonal or biorthogonal.
        spectrum: What follows the convolution in the spectrum; see `SpatialFourierLayer`.
        residual: Whether the input is added to the output.
    """

    chans: int = 32
    num_groups: int = 4
    num_blocks: int = 3
    wavelet: str = "haar"
    spectrum: Spectrum = "norm_relu"
    residual: bool = False


PAPER = Configuration()
CASCADE = Configuration(chans=16, num_groups=2, num_blocks=2)  # in each cascade of `CLGVarNet`
