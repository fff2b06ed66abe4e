"""The spatial-Fourier layer (SFL) and the residual blocks built from it (eq. 6 to 8 of CLGNet)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.models.configuration import PAPER
from fastmri_clgnet.models.spectral_unit import Spectrum, check_spectrum, spectral_unit


class SpatialFourierLayer(nn.Module):
    """Spatial-Fourier layer: a local convolution and a convolution in the spectrum, fused.

        SFL(f)  = fuse([local(f), irfft2(unit(rfft2(f)))])          eq. 6 to 8
        unit(z) = ReLU(norm(spectral([Re z, Im z])))

    The FFTs are orthonormal, over height and width; norm is instance normalisation without
    parameters over the half spectrum, eps 1e-5. Any height and width, odd ones too.

    Deviations from the paper. Eq. 7 has nothing but the convolution between FFT and inverse FFT.
    Taken literally the layer then sees of each pixel its neighbourhood, its row and its mirror
    image, and gains next to nothing; the paper builds on fast Fourier convolutions, whose unit is
    convolution, batch normalisation, ReLU. Instance normalisation needs no parameters and no
    statistics of other images. spectrum="linear" is eq. 7 to the letter. The paper does not say
    which FFT; a real one over both axes meets its counts of parameters and operations.

    It is evaluated without concatenating: the fusing convolution's two halves go into the 3x3
    kernel and into `spectral_unit`. FFTs, normalisation and the product between them run in float32
    or float64 whatever autocast says.

    Args:
        chans: Channels of input and output.
        spectrum: What follows the spectral convolution: "norm_relu", "relu" or "linear" (nothing).
            Under "norm_relu" its bias has no effect, and the global half sees every pixel but the
            first, whose spectrum is constant.

    Attributes:
        local: nn.Conv2d, 3x3, chans to chans.
        spectral: nn.Conv2d, 1x1, 2 * chans to 2 * chans.
        fuse: nn.Conv2d, 1x1, 2 * chans to chans.

    Raises:
        ValueError: If spectrum is none of the three.

    Example:
        >>> layer = SpatialFourierLayer(32)
        >>> layer(torch.zeros(1, 32, 40, 36)).shape
        torch.Size([1, 32, 40, 36])

    References:
        Yi et al. Contrastive Learning for Local and Global Learning MRI Reconstruction.
        arXiv:2111.15200, eq. 6 to 8. Chi et al. Fast Fourier Convolution. NeurIPS 2020.
    """

    def __init__(self, chans: int, spectrum: Spectrum = PAPER.spectrum) -> None:
        """Make the three convolutions."""
        super().__init__()
        check_spectrum(spectrum)
        self.chans = chans
        self.spectrum: Spectrum = spectrum
        self.local = nn.Conv2d(chans, chans, kernel_size=3, padding=1)
        self.spectral = nn.Conv2d(2 * chans, 2 * chans, kernel_size=1)
        self.fuse = nn.Conv2d(2 * chans, chans, kernel_size=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the layer.

        Args:
            features: (batch, chans, height, width), real floating point.

        Returns:
            The same shape, channels-last; under autocast in its lower precision.
        """
        with _full_precision(features.device):
            fuse_local, fuse_global = self.fuse.weight.flatten(1).chunk(2, dim=1)
            kernel = torch.einsum("oc,cihw->oihw", fuse_local, self.local.weight)
            bias = fuse_local @ _bias(self.local) + _bias(self.fuse)
            global_part = spectral_unit(
                features.to(kernel.dtype),
                self.spectral.weight.flatten(1),
                _bias(self.spectral),
                fuse_global,
                self.spectrum,
            )
        output = F.conv2d(features, kernel, bias, padding=1)
        return output.add_(global_part.to(output.dtype))


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast; a meta device, which counts shapes only, has none."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def _bias(convolution: nn.Conv2d) -> torch.Tensor:
    """The bias of a convolution that has one."""
    if convolution.bias is None:
        raise ValueError("the spatial-Fourier layer's convolutions need their biases")
    return convolution.bias


class SpatialFourierResidualBlock(nn.Module):
    """SFRB(f) = f + SFL(ReLU(SFL(f))).

    Args:
        chans: Channels of input and output.
        spectrum: See `SpatialFourierLayer`.

    Example:
        >>> block = SpatialFourierResidualBlock(32)
        >>> block(torch.zeros(1, 32, 40, 36)).shape
        torch.Size([1, 32, 40, 36])
    """

    def __init__(self, chans: int, spectrum: Spectrum = PAPER.spectrum) -> None:
        """Make the two layers."""
        super().__init__()
        self.layers = nn.Sequential(
            SpatialFourierLayer(chans, spectrum),
            nn.ReLU(inplace=True),
            SpatialFourierLayer(chans, spectrum),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the block to (batch, chans, height, width); the shape stays."""
        output: torch.Tensor = self.layers(features)
        return output.add_(features)


class SpatialFourierResidualGroup(nn.Module):
    """The paper's SFRIR: f + Conv3x3(SFRB(...SFRB(f))), a residual block of residual blocks.

    Args:
        chans: Channels of input and output.
        num_blocks: Number of `SpatialFourierResidualBlock`.
        spectrum: See `SpatialFourierLayer`.

    Example:
        >>> group = SpatialFourierResidualGroup(32, num_blocks=2)
        >>> group(torch.zeros(1, 32, 40, 36)).shape
        torch.Size([1, 32, 40, 36])
    """

    def __init__(
        self,
        chans: int,
        num_blocks: int = PAPER.num_blocks,
        spectrum: Spectrum = PAPER.spectrum,
    ) -> None:
        """Make the blocks and the closing convolution."""
        super().__init__()
        self.blocks = nn.Sequential(
            *(SpatialFourierResidualBlock(chans, spectrum) for _ in range(num_blocks)),
            nn.Conv2d(chans, chans, kernel_size=3, padding=1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the group to (batch, chans, height, width); the shape stays."""
        output: torch.Tensor = self.blocks(features)
        return output.add_(features)
