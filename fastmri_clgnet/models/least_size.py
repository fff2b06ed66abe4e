"""The smallest images that a network takes."""

from __future__ import annotations

from fastmri.models import Unet
from fastmri.models.varnet import NormUnet
from torch import nn

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.models.clgnet import MIN_SIZE, CLGNet

_MULTIPLE = 16  # to whose multiples the host's NormUnet pads images


def least_size(network: nn.Module) -> tuple[int, int]:
    """The least shorter and longer side of what a network takes, by the networks inside.

    The host's U-Net halves an image at each pooling, down to two pixels or more, which its instance
    normalisation needs.

    Args:
        network: Any module; (1, 1) where nothing in it sets a limit.

    Returns:
        Pixels of the shorter and of the longer side.

    Example:
        >>> least_size(Unet(1, 1, num_pool_layers=4))
        (16, 32)
    """
    parts = list(network.modules())
    padded = {id(part.unet) for part in parts if isinstance(part, NormUnet)}
    shorter, longer = 1, 1
    for part in parts:
        if isinstance(part, CLGNet):
            least = (MIN_SIZE, MIN_SIZE)
        elif isinstance(part, Unet):
            least = (2**part.num_pool_layers, 2 ** (part.num_pool_layers + 1))
            if id(part) in padded:
                least = (max(1, least[0] - _MULTIPLE + 1), max(1, least[1] - _MULTIPLE + 1))
        else:
            continue
        shorter, longer = max(shorter, least[0]), max(longer, least[1])
    return shorter, longer


def expect_size(network: nn.Module, name: str, size: tuple[int, int]) -> None:
    """Refuse a size, of what is called `name`, that is below a network's least.

    Raises:
        InputError: Says both sizes.
    """
    least = least_size(network)
    if min(size) < least[0] or max(size) < least[1]:
        label = getattr(network, "model_name", None) or type(network).__name__
        raise InputError(
            f"{name}: {size[0]} x {size[1]} pixels; the network ({label}) takes images from "
            f"{least[0]} x {least[1]} up"
        )
