"""CLGNet followed by one hard data consistency."""

from __future__ import annotations

import torch
from torch import nn

from fastmri_clgnet.models.clgnet import CLGNet
from fastmri_clgnet.models.configuration import PAPER
from fastmri_clgnet.models.fourier import hard_data_consistency, to_image
from fastmri_clgnet.models.spectral_unit import Spectrum

EPS = 1e-11  # as in fastMRI's `UnetDataTransform`


class CLGNetDC(nn.Module):
    """CLGNet on the magnitude image, followed by putting the measured samples back into k-space.

        m      = root sum of squares of the zero-filled coil images c_i
        m'     = CLGNet(m), m normalised per slice as by fastMRI's `UnetDataTransform`, not clamped
        output = root sum of squares of F^-1 [M y_i + (1 - M) F (m' c_i / m)]

    Each coil image keeps its zero-filled phase and share of the magnitude, which CLGNet does not
    estimate. CLGNet is applied to the whole field of view, not to the cropped image as in
    `CLGNetModule`, since data consistency needs it. This model is not in the paper. It has CLGNet's
    parameters.

    Args:
        chans: Width of both branches of CLGNet.
        num_groups: Residual groups in each branch.
        num_blocks: Residual blocks in each group.
        wavelet: PyWavelets name.
        spectrum: What follows the convolution in the spectrum; see `SpatialFourierLayer`.
        residual: Whether CLGNet's input is added to its output.

    Example:
        >>> model = CLGNetDC(chans=8)
        >>> mask = torch.ones(1, 1, 1, 48, 1)
        >>> model(torch.randn(1, 4, 64, 48, 2), mask).shape
        torch.Size([1, 64, 48])
    """

    def __init__(
        self,
        chans: int = PAPER.chans,
        num_groups: int = PAPER.num_groups,
        num_blocks: int = PAPER.num_blocks,
        wavelet: str = PAPER.wavelet,
        spectrum: Spectrum = PAPER.spectrum,
        residual: bool = PAPER.residual,
    ) -> None:
        super().__init__()
        self.clgnet = CLGNet(1, 1, chans, num_groups, num_blocks, wavelet, spectrum, residual)

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Reconstruct.

        Args:
            masked_kspace: y, (batch, coils, height, width, 2), centred, zero where nothing was
                measured.
            mask: M, (batch, 1, 1, width, 1), bool or 0 and 1.

        Returns:
            Root-sum-of-squares image, (batch, height, width), in the data's units.
        """
        coil_images = to_image(masked_kspace)
        magnitude = torch.linalg.vector_norm(coil_images, dim=(1, -1))
        mean = magnitude.mean(dim=(1, 2), keepdim=True)
        std = magnitude.std(dim=(1, 2), keepdim=True) + EPS
        normalised = ((magnitude - mean) / std).unsqueeze(1)
        estimate = self.clgnet(normalised).squeeze(1) * std + mean
        shares = coil_images / (magnitude + EPS)[:, None, :, :, None]
        estimates = estimate[:, None, :, :, None] * shares
        consistent = hard_data_consistency(estimates, masked_kspace, mask)
        return torch.linalg.vector_norm(consistent, dim=(1, -1))
