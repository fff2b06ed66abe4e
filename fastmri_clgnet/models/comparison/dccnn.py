"""DCCNN, a deep cascade of convolutional networks with data consistency."""

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


class DCCNN(KspaceNetwork):
    """D5C5: cascades of convolutions with a residual, each followed by hard data consistency.

    565,770 parameters, 148.65 GMac at 512 x 512, as in Table 2 of CLGNet's paper. Loss: mean
    squared error of the complex image, as in the paper.

    Args:
        num_cascades: Number of cascades.
        num_convolutions: Convolutions in each cascade.
        chans: Width.

    Example:
        >>> network = DCCNN(num_cascades=2)
        >>> mask = torch.ones(1, 1, 48, 1)
        >>> network(torch.randn(1, 64, 48, 2), mask).image.shape
        torch.Size([1, 64, 48, 2])

    References:
        Schlemper, Caballero, Hajnal, Price, Rueckert. A Deep Cascade of Convolutional Neural
        Networks for Dynamic MR Image Reconstruction. IEEE TMI 37(2), 2018.
    """

    repeated = (nn.Sequential,)

    def __init__(self, num_cascades: int = 5, num_convolutions: int = 5, chans: int = 64) -> None:
        super().__init__()
        self.cascades = nn.ModuleList(
            nn.Sequential(
                convolution(2, chans),
                nn.ReLU(),
                *(
                    layer
                    for _ in range(num_convolutions - 2)
                    for layer in (convolution(chans, chans), nn.ReLU())
                ),
                convolution(chans, 2),
            )
            for _ in range(num_cascades)
        )

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Reconstruct; see `KspaceNetwork`."""
        image = to_image(masked_kspace)
        for cascade in self.cascades:
            image = image + from_channels(cascade(to_channels(image)))
            image = hard_data_consistency(image, masked_kspace, mask)
        return Reconstruction(image, {})
