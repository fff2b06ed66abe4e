"""What the comparison methods share: their interface and small tools."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from fastmri.data.transforms import complex_center_crop
from torch import nn


class Reconstruction(NamedTuple):
    """A complex image (batch, height, width, 2), and by name what else the network's loss needs.

    Example:
        >>> from fastmri_clgnet.models.comparison import ISTANetPlus
        >>> network = ISTANetPlus(num_phases=2)
        >>> output = network(torch.randn(1, 64, 48, 2), torch.ones(1, 1, 48, 1))
        >>> output.image.shape, len(output.auxiliary["symmetry"])
        (torch.Size([1, 64, 48, 2]), 2)
    """

    image: torch.Tensor
    auxiliary: dict[str, tuple[torch.Tensor, ...]]


class Reference(NamedTuple):
    """What a reconstruction is compared with, normalised as the network's input.

    Attributes:
        image: Complex image, (batch, rows, columns, 2), cropped as the magnitude target is.
        kspace: Fully sampled k-space, (batch, height, width, 2), not cropped.

    Example:
        >>> import fastmri
        >>> from fastmri_clgnet.models.comparison import DCCNN
        >>> kspace, mask = torch.randn(1, 64, 48, 2), torch.ones(1, 1, 48, 1)
        >>> network = DCCNN(num_cascades=2)
        >>> reference = Reference(fastmri.ifft2c(kspace), kspace)
        >>> list(network.losses(network(kspace, mask), reference))
        ['image']
    """

    image: torch.Tensor
    kspace: torch.Tensor


class KspaceNetwork(nn.Module, ABC):
    """A network that reconstructs a complex image from undersampled single-coil k-space.

    Attributes:
        learning_rate: Of Adam, as its paper gives it.
        betas: Of Adam.
        weight_decay: Of Adam.
        repeated: Types of its blocks that `compile_network` compiles.

    Example:
        >>> import fastmri
        >>> class ZeroFilling(KspaceNetwork):
        ...     def forward(self, masked_kspace, mask):
        ...         return Reconstruction(fastmri.ifft2c(masked_kspace), {})
        >>> ZeroFilling()(torch.zeros(1, 64, 48, 2), torch.ones(1, 1, 48, 1)).image.shape
        torch.Size([1, 64, 48, 2])
    """

    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    repeated: tuple[type[nn.Module], ...] = ()

    @abstractmethod
    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Reconstruct.

        Args:
            masked_kspace: (batch, height, width, 2), centred, zero where nothing was measured,
                normalised so that the image is of the order of 1.
            mask: Sampled columns, (batch, 1, width, 1), 0 or 1 (or bool).

        Returns:
            The image and what else `losses` compares.
        """

    def losses(self, output: Reconstruction, reference: Reference) -> dict[str, torch.Tensor]:
        """The training loss of the paper as named, weighted terms, to be added.

        Unless overridden, the mean squared error of the complex image: the mean over batch, pixels
        and both parts, real and imaginary.
        """
        return {"image": F.mse_loss(crop_like(output.image, reference.image), reference.image)}


def crop_like(image: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The centre of (batch, height, width, 2) that has the height and width of another."""
    cropped: torch.Tensor = complex_center_crop(image, (other.shape[-3], other.shape[-2]))
    return cropped


def to_channels(values: torch.Tensor) -> torch.Tensor:
    """(batch, height, width, 2) to (batch, 2, height, width)."""
    return values.permute(0, 3, 1, 2)


def from_channels(values: torch.Tensor) -> torch.Tensor:
    """(batch, 2, height, width) to (batch, height, width, 2)."""
    return values.permute(0, 2, 3, 1).contiguous()


def convolution(in_chans: int, out_chans: int, dilation: int = 1) -> nn.Conv2d:
    """A 3x3 convolution with bias that keeps the size."""
    return nn.Conv2d(in_chans, out_chans, 3, padding=dilation, dilation=dilation)
