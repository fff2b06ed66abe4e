"""Random transpose of a sample before its mask is drawn, to change the sampled axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import fastmri
import numpy as np
import torch
from fastmri.data.subsample import MaskFunc
from fastmri.data.transforms import center_crop, complex_center_crop, to_tensor

from fastmri_clgnet.formats.fastmri import cropped_size
from fastmri_clgnet.formats.number_types import as_complex64, as_float32

Sample = TypeVar("Sample", bound=NamedTuple)
# position of height and width in the fields of the host's samples
_IMAGES = ("image", "target")
_KSPACES = ("masked_kspace", "kspace", "mask")


class OrientedSample(NamedTuple):
    """A sample of one of fastMRI's transforms with its orientation, or a batch of them.

    Args:
        sample: The host's sample, such as `fastmri.data.transforms.UnetSample`.
        rotated: Whether it is transposed; for a batch, (batch,) bool.

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
    """Transposes k-space and target at random, then applies one of the host's transforms.

    The host's mask, which samples columns, is drawn after transposing: in half of the samples
    the rows of the anatomy are undersampled. Data that are already undersampled, with a transform
    without a mask function, are transformed first and then transposed, so that their sampled axis
    turns with the image.

    fastMRI's readout (rows) is oversampled and its phase encoding is not. The field of view must be
    the same for both orientations, and so must be the shapes in a batch. So the readout
    oversampling is cropped from every training sample, transposed or not, in image space. This does
    not change the images of the host's `UnetDataTransform`; k-space loses rows.

    Args:
        transform: The transform, such as `fastmri.data.transforms.UnetDataTransform`.
        probability: Probability of transposing.
        generator: Generator of the random choice; by default torch's own, which
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
    ) -> None:
        self.transform = transform
        self.mask_func: MaskFunc | None = getattr(transform, "mask_func", None)
        self.probability = probability
        self.generator = generator

    def __call__(
        self,
        kspace: np.ndarray,
        mask: np.ndarray | None,
        target: np.ndarray | None,
        attrs: dict[str, Any],
        fname: str,
        slice_num: int,
    ) -> OrientedSample:
        """Transform one slice; the arguments are those that fastMRI's `SliceDataset` passes."""
        rotated = bool(torch.rand((), generator=self.generator) < self.probability)
        kspace, target = as_complex64(kspace), None if target is None else as_float32(target)
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
    """Crop the readout oversampling of ([coils,] rows, columns), in image space."""
    size = attrs["recon_size"][:2] if target is None else target.shape
    columns = kspace.shape[-1]
    height, width = cropped_size((size[0], size[1]), columns)
    if target is not None:
        target = center_crop(torch.from_numpy(target), (height, width)).numpy()
    if height < kspace.shape[-2]:
        image = complex_center_crop(fastmri.ifft2c(to_tensor(kspace)), (height, columns))
        kspace = torch.view_as_complex(fastmri.fft2c(image.contiguous())).numpy()
    return kspace, target, {**attrs, "recon_size": (height, width, 1)}


def transpose_slice(kspace: np.ndarray, target: np.ndarray | None, attrs: dict[str, Any]) -> Slice:
    """Transpose k-space ([coils,] rows, columns), target and recon_size; an involution."""
    height, width = attrs["recon_size"][:2]
    turned = {
        **attrs,
        "recon_size": (width, height, 1),
        # the host's masks have no samples in the padding: the former readout has none
        "padding_left": 0,
        "padding_right": kspace.shape[-2],
    }
    return (
        np.ascontiguousarray(kspace.swapaxes(-2, -1)),
        None if target is None else np.ascontiguousarray(target.swapaxes(-2, -1)),
        turned,
    )


def transpose_sample(sample: Sample) -> Sample:
    """Transpose all fields with height and width in a host's sample or batch; an involution."""
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
    """Turn images (batch, height, width) back if rotated, (batch,) bool; square ones if mixed."""
    if bool(rotated.all()):
        return image.transpose(-2, -1)
    if not bool(rotated.any()):
        return image
    return torch.where(rotated[:, None, None], image.transpose(-2, -1), image)
