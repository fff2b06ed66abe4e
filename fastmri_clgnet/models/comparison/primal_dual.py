"""PD, a learned primal-dual network."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.models.comparison.kspace_network import (
    KspaceNetwork,
    Reconstruction,
    convolution,
    from_channels,
    to_channels,
)
from fastmri_clgnet.models.fourier import to_image, to_kspace


class ProximalBlock(nn.Module):
    """Four convolutions with ReLU in between, replacing a proximal operator."""

    def __init__(self, in_chans: int, chans: int) -> None:
        super().__init__()
        widths = [in_chans, chans, chans, chans, 2]
        layers = [convolution(a, b) for a, b in itertools.pairwise(widths)]
        # without a residual path, PyTorch's own initial weights let gradients vanish over 80 layers
        for layer in layers:
            nn.init.xavier_normal_(layer.weight)
        self.layers = nn.ModuleList(layers)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Map complex tensors (batch, height, width, 2) to one tensor of this shape."""
        features = torch.cat([to_channels(each) for each in inputs], dim=1)
        for i, layer in enumerate(self.layers):
            features = layer(F.relu(features) if i else features)
        return from_channels(features)


class PrimalDualNet(KspaceNetwork):
    """Alternates between k-space and image, without shared weights or other data consistency.

    d <- Gamma(d, A p, y),  p <- Lambda(p, A^H d),  A = mask FFT; d and p start at zero.
    Weights have Glorot's initialisation.

    410,920 parameters, 107.72 GMac at 512 x 512, as in Table 2 of CLGNet's paper. Loss: mean
    squared error of the complex image, as in the paper.

    Args:
        num_iterations: Number of iterations.
        chans: Width of the blocks.

    Example:
        >>> network = PrimalDualNet(num_iterations=2)
        >>> mask = torch.ones(1, 1, 48, 1)
        >>> network(torch.randn(1, 64, 48, 2), mask).image.shape
        torch.Size([1, 64, 48, 2])

    References:
        Cheng, Wang, Ying, Liang. Model Learning: Primal Dual Networks for Fast MR Imaging. MICCAI
        2019.
    """

    repeated = (ProximalBlock,)

    def __init__(self, num_iterations: int = 10, chans: int = 32) -> None:
        super().__init__()
        self.dual = nn.ModuleList(ProximalBlock(6, chans) for _ in range(num_iterations))
        self.primal = nn.ModuleList(ProximalBlock(4, chans) for _ in range(num_iterations))

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Reconstruct; see `KspaceNetwork`."""
        sampled = mask.to(masked_kspace.dtype)
        dual = image = torch.zeros_like(masked_kspace)
        for dual_block, primal_block in zip(self.dual, self.primal, strict=True):
            dual = dual_block(dual, sampled * to_kspace(image), masked_kspace)
            image = primal_block(image, to_image(sampled * dual))
        return Reconstruction(image, {})
