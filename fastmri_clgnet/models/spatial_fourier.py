r"""The spatial-Fourier layer (SFL) and the residual blocks built from it (eq. 6 to 8 of CLGNet).

The paper defines the layer as a fusion of a local convolution with a pointwise one in the spectrum:

    SFL(f) = Conv1x1([Conv3x3(f), IFFT(Conv1x1(FFT(f)))])

Nothing inside is non-linear, so the layer is evaluated without the concatenation and without an
FFT. Let S be the half spectrum of f, and let the spectral convolution act on real and imaginary
part by M = [[A, B], [C, D]]. Then Re S = (S + S*) / 2 and Im S = (S - S*) / 2i give

    M S = (P + iR) S + (Q + iT) S*
    P = (A + D) / 2,  R = (C - B) / 2,  Q = (A - D) / 2,  T = (C + B) / 2

Back in the image domain, S* is f mirrored at the origin, and a factor i on the half spectrum is a
Hilbert transform H along the width (the inverse real FFT ignores the imaginary part at frequency
zero and at the Nyquist frequency). With real P, Q, R, T mixing channels alone,

    IFFT(M S) = P f + Q mirror(f) + H (R f + T mirror(f))

which is exact for every even and odd size. The fusing weights and P go into the 3x3 kernel;
`spatial_fourier_op` evaluates the rest. The spectral bias b = b_r + i b_i is an impulse at the
origin: it reaches the first row alone.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.models.spatial_fourier_op import spatial_fourier


class SpatialFourierLayer(nn.Module):
    """Spatial-Fourier layer: a local convolution and a pointwise one in the spectrum, fused.

    SFL(f) = fuse([local(f), irfft2(spectral(rfft2(f)))]), orthonormal FFTs over height and width,
    the spectrum's real parts in front of its imaginary parts (eq. 6 to 8). Evaluated folded, with
    the same parameters, values and gradients; see the module's text. The paper does not say which
    FFT; a real one over both axes meets its parameter and operation counts.

    Args:
        chans: Channels of input and output.

    Attributes:
        local: nn.Conv2d, 3x3, chans to chans.
        spectral: nn.Conv2d, 1x1, 2 * chans to 2 * chans.
        fuse: nn.Conv2d, 1x1, 2 * chans to chans.

    References:
        Yi et al. Contrastive Learning for Local and Global Learning MRI Reconstruction.
        arXiv:2111.15200, eq. 6 to 8. Chi et al. Fast Fourier Convolution. NeurIPS 2020.
    """

    def __init__(self, chans: int) -> None:
        """Make the three convolutions."""
        super().__init__()
        self.chans = chans
        self.local = nn.Conv2d(chans, chans, kernel_size=3, padding=1)
        self.spectral = nn.Conv2d(2 * chans, 2 * chans, kernel_size=1)
        self.fuse = nn.Conv2d(2 * chans, chans, kernel_size=1)

    def _folded(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Collapse the three convolutions.

        Returns:
            3x3 kernel (chans, chans, 3, 3), its bias (chans), R, Q and T (3, chans, chans), and the
            spectral bias after fusing (2, chans): real and imaginary part.
        """
        fuse_local, fuse_global = self.fuse.weight.flatten(1).chunk(2, dim=1)
        kernel = torch.einsum("oc,cihw->oihw", fuse_local, self.local.weight)
        bias = fuse_local @ _bias(self.local) + _bias(self.fuse)

        real, imaginary = (fuse_global @ m for m in self.spectral.weight.flatten(1).chunk(2, dim=0))
        (a, b), (c, d) = real.chunk(2, dim=1), imaginary.chunk(2, dim=1)
        kernel = kernel + F.pad(((a + d) / 2)[:, :, None, None], (1, 1, 1, 1))
        pointwise = torch.stack([(c - b) / 2, (a - d) / 2, (c + b) / 2])
        impulse = _bias(self.spectral).view(2, self.chans) @ fuse_global.T
        return kernel, bias, pointwise, impulse

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the layer.

        Args:
            features: (batch, chans, height, width), real floating point.

        Returns:
            The same shape.
        """
        height, width = features.shape[-2:]
        dtype = _autocast_dtype(features)
        with _full_precision(features.device):
            kernel, bias, pointwise, impulse = self._folded()
            # the orthonormal inverse FFT of a constant is an impulse of this height
            impulse = impulse * math.sqrt(height * width)
        arguments = (features, kernel, bias, pointwise, impulse)
        output: torch.Tensor = spatial_fourier(*(each.to(dtype) for each in arguments))
        return output


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast; a meta device, which counts shapes alone, has none."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def _autocast_dtype(features: torch.Tensor) -> torch.dtype:
    """The type to compute in."""
    device = features.device.type
    if device != "meta" and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return features.dtype


def _bias(convolution: nn.Conv2d) -> torch.Tensor:
    """The bias of a convolution that has one."""
    if convolution.bias is None:
        raise ValueError("the spatial-Fourier layer's convolutions need their biases")
    return convolution.bias


class SpatialFourierResidualBlock(nn.Module):
    """SFRB(f) = f + SFL(ReLU(SFL(f))).

    Args:
        chans: Channels of input and output.
    """

    def __init__(self, chans: int) -> None:
        """Make the two layers."""
        super().__init__()
        self.layers = nn.Sequential(
            SpatialFourierLayer(chans), nn.ReLU(inplace=True), SpatialFourierLayer(chans)
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
    """

    def __init__(self, chans: int, num_blocks: int = 3) -> None:
        """Make the blocks and the closing convolution."""
        super().__init__()
        self.blocks = nn.Sequential(
            *(SpatialFourierResidualBlock(chans) for _ in range(num_blocks)),
            nn.Conv2d(chans, chans, kernel_size=3, padding=1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the group to (batch, chans, height, width); the shape stays."""
        output: torch.Tensor = self.blocks(features)
        return output.add_(features)
