"""Dual-OctConv, complex-valued octave convolutions in a cascade with data consistency."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.models.comparison.kspace_network import (
    KspaceNetwork,
    Reconstruction,
    Reference,
    crop_like,
    from_channels,
    to_channels,
)
from fastmri_clgnet.models.fourier import hard_data_consistency, to_image


class ComplexConv2d(nn.Module):
    """Complex 3x3 convolution: four real ones that share two kernels, with one bias per output.

    (W_r + i W_i) * (x_r + i x_i), evaluated as one real convolution. Real parts come before
    imaginary parts.

    Attributes:
        weight: (2, out_chans, in_chans, 3, 3), real and imaginary kernel.
    """

    def __init__(self, in_chans: int, out_chans: int, bias: bool = True) -> None:
        """Make the kernels, initialised as in nn.Conv2d with twice the inputs."""
        super().__init__()
        self.in_chans = in_chans
        self.out_chans = out_chans
        self.weight = nn.Parameter(torch.empty(2, out_chans, in_chans, 3, 3))
        bound = 1 / math.sqrt(2 * in_chans * 9)
        nn.init.uniform_(self.weight, -bound, bound)
        self.bias = nn.Parameter(torch.zeros(2 * out_chans)) if bias else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, 2 * in_chans, height, width) to (batch, 2 * out_chans, height, width)."""
        real, imaginary = self.weight
        kernel = torch.cat(
            [torch.cat([real, -imaginary], dim=1), torch.cat([imaginary, real], dim=1)]
        )
        return F.conv2d(features, kernel, self.bias, padding=1)


class OctaveConv2d(nn.Module):
    """Complex octave convolution between features of full and of half resolution.

    High to low: average pooling, then convolution; low to high: convolution, then nearest
    upsampling. Paths without channels are omitted.
    """

    def __init__(self, in_high: int, in_low: int, out_high: int, out_low: int) -> None:
        super().__init__()
        self.high_to_high = ComplexConv2d(in_high, out_high)
        self.high_to_low = ComplexConv2d(in_high, out_low)
        self.low_to_high = ComplexConv2d(in_low, out_high, bias=False) if in_low else None
        self.low_to_low = ComplexConv2d(in_low, out_low, bias=False) if in_low else None

    def forward(
        self, high: torch.Tensor, low: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Map features of both resolutions; `low` is None in the first layer."""
        new_high = self.high_to_high(high)
        new_low = self.high_to_low(F.avg_pool2d(high, 2, ceil_mode=True))
        if low is not None and self.low_to_high is not None and self.low_to_low is not None:
            new_high = new_high + upsample(self.low_to_high(low), high)
            new_low = new_low + self.low_to_low(low)
        return new_high, new_low


def upsample(low: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Upsample to the height and width of another tensor, by the nearest neighbour."""
    return F.interpolate(low, size=like.shape[-2:], mode="nearest")


class OctaveBlock(nn.Module):
    """Four complex octave convolutions and a complex one, with ReLU in between and a residual."""

    def __init__(self, chans: int, low_chans: int) -> None:
        super().__init__()
        high = chans - low_chans
        self.octaves = nn.ModuleList(
            OctaveConv2d(*(1, 0) if i == 0 else (high, low_chans), high, low_chans)
            for i in range(4)
        )
        self.relu = nn.ReLU()
        self.last = ComplexConv2d(chans, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map a complex image as two channels, (batch, 2, height, width); the shape stays."""
        high: torch.Tensor = image
        low: torch.Tensor | None = None
        for octave in self.octaves:
            high, low = octave(high, low)
            high, low = self.relu(high), self.relu(low)
        if low is None:
            raise ValueError("an octave block without octave convolutions")
        # real parts of both resolutions, then imaginary parts
        parts = zip(high.chunk(2, dim=1), upsample(low, high).chunk(2, dim=1), strict=True)
        joined = torch.cat([each for pair in parts for each in pair], dim=1)
        output: torch.Tensor = image + self.last(joined)
        return output


class DualOctConv(KspaceNetwork):
    """Blocks of complex octave convolutions, each followed by hard data consistency.

    567,060 parameters as in Table 2 of CLGNet's paper; 246 GMac at 512 x 512, while the table has
    471.07, which no natural reading of the configuration gives. Loss: the mean absolute error of
    the complex image, as in the paper, interpreted as that of its real and imaginary parts.

    Args:
        num_blocks: Number of blocks.
        chans: Number of real features, twice the complex channels.
        alpha: Share of the features at half resolution.

    Example:
        >>> network = DualOctConv(num_blocks=2)
        >>> mask = torch.ones(1, 1, 48, 1)
        >>> network(torch.randn(1, 64, 48, 2), mask).image.shape
        torch.Size([1, 64, 48, 2])

    References:
        Feng, Yang, Xu, Fu, Shao. Dual-OctConv: Dual-octave Convolution for Accelerated Parallel MR
        Image Reconstruction. arXiv:2104.05345.
    """

    repeated = (OctaveBlock,)

    def __init__(self, num_blocks: int = 10, chans: int = 64, alpha: float = 0.125) -> None:
        super().__init__()
        complex_chans = chans // 2
        low_chans = round(alpha * complex_chans)
        self.blocks = nn.ModuleList(
            OctaveBlock(complex_chans, low_chans) for _ in range(num_blocks)
        )

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Reconstruct; see `KspaceNetwork`."""
        image = to_image(masked_kspace)
        for block in self.blocks:
            image = from_channels(block(to_channels(image)))
            image = hard_data_consistency(image, masked_kspace, mask)
        return Reconstruction(image, {})

    def losses(self, output: Reconstruction, reference: Reference) -> dict[str, torch.Tensor]:
        """Return {"image": mean absolute error of real and imaginary parts}."""
        return {"image": F.l1_loss(crop_like(output.image, reference.image), reference.image)}
