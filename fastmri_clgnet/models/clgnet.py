"""CLGNet: a wavelet branch and a spatial branch of spatial-Fourier residual groups."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.models.configuration import PAPER
from fastmri_clgnet.models.spatial_fourier import (
    SpatialFourierResidualBlock,
    SpatialFourierResidualGroup,
    fused_together,
)
from fastmri_clgnet.models.spectral_unit import Spectrum
from fastmri_clgnet.models.wavelet import (
    SUBBANDS,
    DiscreteWaveletTransform2d,
    InverseDiscreteWaveletTransform2d,
)

MIN_SIZE = 16


class CLGNet(nn.Module):
    """Local and global learning network for MR image reconstruction.

        F   = pre(x)
        O_w = IDWT(tail(groups(head(DWT(F)))))       wavelet branch, no skip
        O_s = F + Up(groups(Down(F)))                spatial branch, with skip
        O   = out([O_w, O_s])                        with residual: x + out([O_w, O_s])

    It takes the magnitude of the zero-filled image, normalised per slice, as fastMRI's
    `UnetDataTransform` delivers it. The default has 964,033 parameters (the paper: 0.96 M).

    Widths and kernel sizes are not in the paper's text; they were inferred from its tables of
    parameters and operations. Sizes that are not even are padded by reflection and cropped back.

    Args:
        in_chans: Channels of the input image.
        out_chans: Channels of the output image.
        chans: Width of both branches.
        num_groups: Number of `SpatialFourierResidualGroup` in each branch.
        num_blocks: Number of residual blocks in a group.
        wavelet: PyWavelets name, orthogonal or biorthogonal.
        spectrum: What follows the convolution in the spectrum: "norm_relu", "relu" or "linear"
            (eq. 7 to the letter); see `SpatialFourierLayer`.
        residual: Whether the input is added to the output, which the paper does not do.

    Example:
        >>> model = CLGNet(chans=8)
        >>> model(torch.zeros(1, 1, 320, 320)).shape
        torch.Size([1, 1, 320, 320])

    Raises:
        ValueError: If wavelet or spectrum is unknown, a count is not positive, or with residual the
            numbers of input and output channels differ.

    References:
        Yi, Liu, Hu, Fang, Zhang. Contrastive Learning for Local and Global Learning MRI
        Reconstruction. arXiv:2111.15200, Fig. 2.
    """

    repeated = (SpatialFourierResidualBlock,)  # what `compile_network` compiles

    def __init__(
        self,
        in_chans: int = 1,
        out_chans: int = 1,
        chans: int = PAPER.chans,
        num_groups: int = PAPER.num_groups,
        num_blocks: int = PAPER.num_blocks,
        wavelet: str = PAPER.wavelet,
        spectrum: Spectrum = PAPER.spectrum,
        residual: bool = PAPER.residual,
    ) -> None:
        super().__init__()
        counts = {
            "in_chans": in_chans,
            "out_chans": out_chans,
            "chans": chans,
            "num_groups": num_groups,
            "num_blocks": num_blocks,
        }
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name}={count}: expected a positive number")
        if residual and in_chans != out_chans:
            raise ValueError(
                f"residual adds the input to the output, but in_chans={in_chans} is not "
                f"out_chans={out_chans}"
            )

        self.chans = chans
        self.num_groups = num_groups
        self.num_blocks = num_blocks
        self.spectrum: Spectrum = spectrum
        self.residual = residual
        self.pre = nn.Sequential(
            nn.Conv2d(in_chans, chans, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(chans, chans, kernel_size=3, padding=1),
        )
        self.wavelet_branch: nn.Module = nn.Sequential(
            DiscreteWaveletTransform2d(wavelet),
            nn.Conv2d(SUBBANDS * chans, chans, kernel_size=3, padding=1),
            *self._groups(),
            nn.Conv2d(chans, SUBBANDS * chans, kernel_size=3, padding=1),
            InverseDiscreteWaveletTransform2d(wavelet),
        )
        self.spatial_branch = nn.Sequential(
            nn.Conv2d(chans, chans, kernel_size=3, stride=2, padding=1),
            *self._groups(),
            nn.ConvTranspose2d(chans, chans, kernel_size=4, stride=2, padding=1),
        )
        self.out = nn.Sequential(
            nn.Conv2d(2 * chans, 2 * chans, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * chans, out_chans, kernel_size=3, padding=1),
        )
        # features become channels-last with the first convolution, and stay so
        self.to(memory_format=torch.channels_last)

    def _groups(self) -> list[SpatialFourierResidualGroup]:
        """Make the residual groups of one branch."""
        arguments = (self.chans, self.num_blocks, self.spectrum)
        return [SpatialFourierResidualGroup(*arguments) for _ in range(self.num_groups)]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruct.

        Args:
            image: (batch, in_chans, height, width), real floating point, height and width from 16.

        Returns:
            (batch, out_chans, height, width).

        Raises:
            ValueError: If the input is not four-dimensional or smaller than 16 x 16.
        """
        if image.ndim != 4 or min(image.shape[-2:]) < MIN_SIZE:
            raise ValueError(
                f"CLGNet takes (batch, chans, height, width) from {MIN_SIZE} x {MIN_SIZE} pixels "
                f"up, got {tuple(image.shape)}"
            )
        height, width = image.shape[-2:]
        # both branches halve the image: make its sizes even
        padded = F.pad(image, (0, width % 2, 0, height % 2), mode="reflect")
        features = self.pre(padded.contiguous(memory_format=torch.channels_last))
        with fused_together(self):
            wavelet = self.wavelet_branch(features)
            spatial = features + self.spatial_branch(features)
        output: torch.Tensor = self.out(torch.cat([wavelet, spatial], dim=1))
        output = output[..., :height, :width]
        return (image + output if self.residual else output).contiguous()
