"""Applying a network to a sample of a data set, in plain torch, as training also does.

`load` returns a `Reconstructor`. The Lightning modules are subclasses that add training, so each
network has only one way from sample to image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from fastmri.data import transforms
from fastmri.data.transforms import UnetSample, VarNetSample
from torch import nn

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import cropped_size
from fastmri_clgnet.models.fourier import to_image

# smaller than any nonzero image, large enough for a quotient in float32
_SMALLEST_SCALE = 1e-30


class Reconstructor(nn.Module):
    """A network that can be applied to a batch of samples.

    Attributes:
        model_name: The choice of train_clgnet's --model that makes exactly this class. A subclass
            is another model and has no name unless it defines one.
        on_kspace: Whether it takes k-space and mask, or magnitude images.
        arguments: The arguments it was made with, as stored in a checkpoint.
        settings: Those of them that determine the images of a network without weights.
        trained_on: "challenge", "mask_type", "accelerations", "center_fractions", "acquisitions"
            and "simulated" of its training data, if a checkpoint records them.
    """

    model_name: str | None = None
    on_kspace: bool = False
    arguments: Mapping[str, Any] = {}
    settings: Mapping[str, Any] = {}
    trained_on: Mapping[str, Any] = {}
    # the network's constructor, and the further arguments that determine the network
    constructor: ClassVar[Callable[..., nn.Module] | None] = None
    more_arguments: ClassVar[frozenset[str]] = frozenset()

    if TYPE_CHECKING:  # torch types every attribute as tensor or module

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Do not inherit the model name of the base class."""
        super().__init_subclass__(**kwargs)
        cls.model_name = vars(cls).get("model_name")

    @classmethod
    def network_arguments(cls) -> set[str]:
        """Return the names of the arguments that determine the network, not only its training."""
        own = {} if cls.constructor is None else signature(cls.constructor).parameters
        return {*own, *cls.more_arguments}

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Make the network, as the attribute whose name checkpoints use.

        Missing arguments have the defaults of the network's constructor. Those that only concern
        training are ignored.
        """
        raise NotImplementedError

    def reconstruct(self, sample: Any) -> torch.Tensor:
        """Reconstruct a batch of samples.

        Returns:
            Images (batch, height, width), in the data's units, of the size in the header.
        """
        raise NotImplementedError


def taken(constructor: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that a constructor takes."""
    names = signature(constructor).parameters
    return {name: value for name, value in arguments.items() if name in names}


def takes_kspace(network: nn.Module) -> bool:
    """Whether a network takes k-space and mask; without `on_kspace` it takes magnitude images."""
    return bool(getattr(network, "on_kspace", False))


class ImageReconstructor(Reconstructor):
    """A network that maps normalised magnitude images (batch, height, width) to such images."""

    def reconstruct(self, sample: UnetSample) -> torch.Tensor:
        """Reconstruct a batch of `fastmri.data.transforms.UnetDataTransform`."""
        return denormalise(self(sample.image), sample)


class KspaceReconstructor(Reconstructor):
    """A network that maps k-space and mask to magnitude images.

    The input is masked k-space (batch, [coils,] height, width, 2) and mask, the output the image of
    the whole field of view, (batch, height, width), in the data's units.
    """

    on_kspace = True

    def whole_image(self, sample: VarNetSample) -> torch.Tensor:
        """Reconstruct a batch without cropping it."""
        output: torch.Tensor = self(sample.masked_kspace, sample.mask)
        return output

    def wanted_size(self, sample: VarNetSample) -> tuple[int, int]:
        """Height and width of the images of a batch: what the header asks for."""
        # sizes come as tensors from a batch
        height, width = (int(torch.as_tensor(size).reshape(-1)[0]) for size in sample.crop_size)
        return height, width

    def reconstruct(self, sample: VarNetSample) -> torch.Tensor:
        """Reconstruct a batch of `fastmri.data.transforms.VarNetDataTransform`."""
        image = self.whole_image(sample)
        height, width = self.wanted_size(sample)
        crop = cropped_size((height, width), image.shape[-1])
        if crop[0] > image.shape[-2]:
            raise InputError(
                f"{', '.join(sorted(set(sample.fname)))}: the header asks for an image of {height} "
                f"x {width} pixels, which does not fit into k-space of {image.shape[-2]} x "
                f"{image.shape[-1]}"
            )
        cropped: torch.Tensor = transforms.center_crop(image, crop)
        return cropped


def apply_to_images(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Apply a network for (batch, 1, height, width) to images without a channel axis.

    Args:
        network: The network.
        image: Normalised magnitude images, (batch, height, width), or one, (height, width).

    Returns:
        The same shape.

    Raises:
        ValueError: If the shape is different.
    """
    if image.ndim not in (2, 3):
        raise ValueError(
            "expected normalised magnitude images (batch, height, width), or one slice (height, "
            f"width), got {tuple(image.shape)}; the module's network itself (its attribute clgnet "
            "or unet) takes (batch, 1, height, width)"
        )
    output: torch.Tensor = network(image.reshape(-1, 1, *image.shape[-2:]))
    return output.reshape(image.shape)


def denormalise(image: torch.Tensor, batch: UnetSample) -> torch.Tensor:
    """Undo the normalisation of images, (batch, height, width), in the precision of `batch`."""
    return image.to(batch.std.dtype) * batch.std[:, None, None] + batch.mean[:, None, None]


def zero_filled_image(masked_kspace: torch.Tensor) -> torch.Tensor:
    """Magnitude, or root sum of squares, (batch, height, width), of (batch, [coils,] ..., 2)."""
    magnitude = torch.linalg.vector_norm(to_image(masked_kspace), dim=-1)
    return torch.linalg.vector_norm(magnitude, dim=1) if magnitude.ndim == 4 else magnitude


def zero_filled_scale(masked_kspace: torch.Tensor) -> torch.Tensor:
    """The largest value of each zero-filled image, (batch, 1, 1)."""
    magnitude = zero_filled_image(masked_kspace)
    return magnitude.amax(dim=(1, 2), keepdim=True).clamp_min(_SMALLEST_SCALE)
