"""The common interface of the comparison methods, and small tools."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from fastmri.data.transforms import complex_center_crop
from torch import nn


class Reconstruction(NamedTuple):
    """A complex image (batch, height, width, 2), and further inputs of the network's loss by name.

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
    """The reference of a reconstruction, normalised as the network's input.

    Attributes:
        image: Complex image, (batch, rows, columns, 2), cropped like the magnitude target.
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
        learning_rate: Adam's learning rate in the method's paper.
        betas: Adam's betas.
        weight_decay: Adam's weight decay.
        repeated: Types of the blocks that `compile_network` compiles.

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
            The image, and the further inputs of `losses`.
        """

    def losses(self, output: Reconstruction, reference: Reference) -> dict[str, torch.Tensor]:
        """Compute the paper's training loss as named, weighted terms to add up.

        By default it is the mean squared error of the complex image, over batch, pixels, and real
        and imaginary parts.

        Args:
            output: What `forward` gives.
            reference: The fully sampled image and k-space.

        Returns:
            Scalars, by name.
        """
        return {"image": F.mse_loss(crop_like(output.image, reference.image), reference.image)}


def crop_like(image: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Crop (batch, height, width, 2) at its centre to the height and width of another tensor."""
    cropped: torch.Tensor = complex_center_crop(image, (other.shape[-3], other.shape[-2]))
    return cropped


def to_channels(values: torch.Tensor) -> torch.Tensor:
    """Convert (batch, height, width, 2) to (batch, 2, height, width)."""
    return values.permute(0, 3, 1, 2)


def from_channels(values: torch.Tensor) -> torch.Tensor:
    """Convert (batch, 2, height, width) to (batch, height, width, 2)."""
    return values.permute(0, 2, 3, 1).contiguous()


def convolution(in_chans: int, out_chans: int, dilation: int = 1) -> nn.Conv2d:
    """Make a 3x3 convolution with bias that keeps the size."""
    return nn.Conv2d(in_chans, out_chans, 3, padding=dilation, dilation=dilation)
