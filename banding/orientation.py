"""The random transpose of a sample before its mask is made, so that the sampled axis turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import fastmri
import numpy as np
import torch
from fastmri.data.subsample import MaskFunc
from fastmri.data.transforms import center_crop, complex_center_crop, to_tensor

Sample = TypeVar("Sample", bound=NamedTuple)
# which axes are height and width in the fields of the host's samples
_IMAGES = ("image", "target")
_KSPACES = ("masked_kspace", "kspace", "mask")


class OrientedSample(NamedTuple):
    """A sample of one of fastMRI's transforms that knows how it lies; or a batch of them.

    Args:
        sample: The host's sample, such as `fastmri.data.transforms.UnetSample`.
        rotated: Whether it is transposed; of a batch, (batch,) bool.

    Example:
        >>> from fastmri.data.transforms import UnetSample
        >>> image = torch.zeros(40, 32)
        >>> sample = UnetSample(image, image, 0.0, 1.0, "a.h5", 0, 1.0)
        >>> OrientedSample(sample, rotated=True).sample.fname
        'a.h5'
    """

    sample: Any
    rotated: Any


class RandomTranspose:
    """Transposes k-space and target at random, then lets one of the host's transforms do its work.

    The host's mask, which samples columns, is drawn after transposing: in half of the samples
    it is the rows of the anatomy that are undersampled. Data that come undersampled with a mask of
    their own, to a transform without a mask function, are transformed first and transposed after
    that, so that their sampled axis turns with the image.

    fastMRI's readout (rows) is oversampled and its phase encoding is not. Undersampling has to meet
    the same field of view either way: the readout oversampling is cropped, in image space, from the
    samples that are transposed. The others are those of the validation. Images that the host's
    `UnetDataTransform` makes have one size either way. k-space has not, so that oversampled k-space
    needs batches of one slice.

    Args:
        transform: Such as `fastmri.data.transforms.UnetDataTransform`.
        probability: How often to transpose.
        keep_readout: Whether transposed samples keep the readout oversampling, as in fastMRI's
            banding_removal: the sampled axis then has twice the field of view in these.
        generator: Where the choice comes from; by default torch's own generator, which
            `fastmri_clgnet.data.CheckedDataModule` seeds for each slice and epoch.

    Example:
        >>> from fastmri.data.transforms import UnetDataTransform
        >>> from fastmri_clgnet.data import Mask
        >>> unet_transform = UnetDataTransform("singlecoil", Mask().make())
        >>> transform = RandomTranspose(unet_transform, probability=1.0)
        >>> kspace, target = np.ones((64, 48), np.complex64), np.ones((32, 40), np.float32)
        >>> attributes = {"recon_size": (32, 40, 1), "max": 1.0}
        >>> sample = transform(kspace, None, target, attributes, "a.h5", 0)
        >>> sample.rotated, sample.sample.image.shape
        (True, torch.Size([40, 32]))
    """

    def __init__(
        self,
        transform: Callable[..., Any],
        probability: float = 0.5,
        generator: torch.Generator | None = None,
        keep_readout: bool = False,
    ) -> None:
        self.transform = transform
        self.mask_func: MaskFunc | None = getattr(transform, "mask_func", None)
        self.probability = probability
        self.generator = generator
        self.keep_readout = keep_readout

    def __call__(
        self,
        kspace: np.ndarray,
        mask: np.ndarray | None,
        target: np.ndarray | None,
        attrs: dict[str, Any],
        fname: str,
        slice_num: int,
    ) -> OrientedSample:
        """Transform one slice, as fastMRI's `SliceDataset` hands it over."""
        rotated = bool(torch.rand((), generator=self.generator) < self.probability)
        if rotated and not self.keep_readout:
            kspace, target, attrs = crop_readout(kspace, target, attrs)
        turns_before = rotated and self.mask_func is not None
        if turns_before:
            kspace, target, attrs = transpose_slice(kspace, target, attrs)
        sample = self.transform(kspace, mask, target, attrs, fname, slice_num)
        if rotated and not turns_before:
            sample = transpose_sample(sample)
        return OrientedSample(sample, rotated)


Slice = tuple[np.ndarray, np.ndarray | None, dict[str, Any]]


def crop_readout(kspace: np.ndarray, target: np.ndarray | None, attrs: dict[str, Any]) -> Slice:
    """Take the readout oversampling out of ([coils,] rows, columns), in image space."""
    size = attrs["recon_size"][:2] if target is None else target.shape
    columns = kspace.shape[-1]
    # the host crops both axes to the columns where they are fewer than the image is wide
    height = columns if columns < size[1] else size[0]
    if columns < size[1] and target is not None:
        target = center_crop(torch.from_numpy(target), (columns, columns)).numpy()
    if height < kspace.shape[-2]:
        image = complex_center_crop(fastmri.ifft2c(to_tensor(kspace)), (height, columns))
        cropped = torch.view_as_complex(fastmri.fft2c(image.contiguous())).numpy()
        kspace = cropped.astype(kspace.dtype)
    return kspace, target, {**attrs, "recon_size": (height, min(columns, size[1]), 1)}


def transpose_slice(kspace: np.ndarray, target: np.ndarray | None, attrs: dict[str, Any]) -> Slice:
    """Transpose k-space ([coils,] rows, columns), target and recon_size; an involution."""
    height, width = attrs["recon_size"][:2]
    turned = {
        **attrs,
        "recon_size": (width, height, 1),
        # where the host's masks have no samples: the former readout was acquired everywhere
        "padding_left": 0,
        "padding_right": kspace.shape[-2],
    }
    return (
        np.ascontiguousarray(kspace.swapaxes(-2, -1)),
        None if target is None else np.ascontiguousarray(target.swapaxes(-2, -1)),
        turned,
    )


def transpose_sample(sample: Sample) -> Sample:
    """Transpose all that has height and width in a host's sample, or a batch; an involution."""
    changed: dict[str, Any] = {}
    for name, value in sample._asdict().items():
        if name in _IMAGES and value.ndim >= 2:
            changed[name] = value.transpose(-2, -1)
        elif name in _KSPACES:
            changed[name] = value.transpose(-3, -2)
        elif name == "crop_size":
            changed[name] = (value[1], value[0])
    return sample._replace(**changed)


def turn_back(image: torch.Tensor, rotated: torch.Tensor) -> torch.Tensor:
    """Turn images (batch, height, width) back where rotated, (batch,) bool; square if mixed."""
    if bool(rotated.all()):
        return image.transpose(-2, -1)
    if not bool(rotated.any()):
        return image
    return torch.where(rotated[:, None, None], image.transpose(-2, -1), image)
