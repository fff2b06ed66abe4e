"""CDDN, cascaded dilated dense networks with two-step data consistency."""

from __future__ import annotations

import torch
from torch import nn

from fastmri_clgnet.models.comparison.kspace_network import (
    KspaceNetwork,
    Reconstruction,
    convolution,
    from_channels,
    to_channels,
)
from fastmri_clgnet.models.fourier import hard_data_consistency, to_image


class DilatedDenseLayer(nn.Module):
    """BN-ReLU-1x1-BN-ReLU-3x3 (dilated), with its output concatenated to its input."""

    def __init__(self, in_chans: int, growth: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(in_chans),
            nn.ReLU(),
            nn.Conv2d(in_chans, growth, 1),
            nn.BatchNorm2d(growth),
            nn.ReLU(),
            convolution(growth, growth, dilation),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_chans, height, width) to (batch, in_chans + growth, height, width)."""
        return torch.cat([features, self.layers(features)], dim=1)


class CDDN(KspaceNetwork):
    """Cascades of dilated dense networks with a residual, and data consistency without parameters.

    119,860 parameters, 32.05 GMac at 512 x 512, as in Table 2 of CLGNet's paper. Loss: mean squared
    error of the complex image, as in the paper.

    The paper's two-step data consistency is: hard data consistency, replacing the complex image by
    its magnitude, hard data consistency again. The magnitude step is valid if images are real and
    not negative, as with k-space simulated from magnitude images. For raw k-space it discards the
    phase and contradicts the measurement, so it is off by default. Then only one hard data
    consistency is applied, since the second would change nothing.

    Args:
        num_cascades: Number of cascades.
        growth: Channels that each dense layer adds.
        magnitude_step: Whether to take the magnitude between the two data consistencies.

    Example:
        >>> network = CDDN(num_cascades=2)
        >>> mask = torch.ones(1, 1, 48, 1)
        >>> network(torch.randn(1, 64, 48, 2), mask).image.shape
        torch.Size([1, 64, 48, 2])

    References:
        Zheng, Fang, Zhang. A Cascaded Dilated Dense Network with Two-step Data Consistency for MRI
        Reconstruction. NeurIPS 2019.
    """

    repeated = (nn.Sequential,)
    weight_decay = 1e-7

    def __init__(
        self, num_cascades: int = 10, growth: int = 16, magnitude_step: bool = False
    ) -> None:
        super().__init__()
        self.magnitude_step = magnitude_step
        self.cascades = nn.ModuleList(
            nn.Sequential(
                convolution(2, growth),
                *(
                    DilatedDenseLayer((i + 1) * growth, growth, dilation)
                    for i, dilation in enumerate((1, 2, 4))
                ),
                nn.BatchNorm2d(4 * growth),
                nn.ReLU(),
                nn.Conv2d(4 * growth, 2 * growth, 1),
                nn.BatchNorm2d(2 * growth),
                nn.ReLU(),
                convolution(2 * growth, 2),
            )
            for _ in range(num_cascades)
        )

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Reconstruct; see `KspaceNetwork`."""
        image = to_image(masked_kspace)
        for cascade in self.cascades:
            image = image + from_channels(cascade(to_channels(image)))
            image = hard_data_consistency(image, masked_kspace, mask)
            if self.magnitude_step:
                magnitude = torch.linalg.vector_norm(image, dim=-1)
                image = torch.stack([magnitude, torch.zeros_like(magnitude)], dim=-1)
                image = hard_data_consistency(image, masked_kspace, mask)
        return Reconstruction(image, {})
