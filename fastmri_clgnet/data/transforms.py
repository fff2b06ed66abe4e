"""fastMRI's transforms with checks of what they are given, and batches of one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fastmri.data.subsample import MaskFunc
from fastmri.data.transforms import UnetDataTransform, VarNetDataTransform
from torch.utils.data import default_collate

from fastmri_clgnet.data.augmentation import Change, augmented
from fastmri_clgnet.data.folders import check_finite
from fastmri_clgnet.data.mask import fastmri_name
from fastmri_clgnet.data.other_masks import OtherMasksDataTransform
from fastmri_clgnet.data.reference import ReferenceDataTransform
from fastmri_clgnet.data.ssdu import Partition, PartitionedDataTransform
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import cropped_size
from fastmri_clgnet.formats.hdf5 import plain
from fastmri_clgnet.formats.number_types import as_complex64, as_float32


class CheckedTransform:
    """A data transform of the host, behind a check for NaN and Inf and changes of the slice."""

    def __init__(
        self,
        transform: Callable[..., NamedTuple],
        refuse_nan: bool = True,
        one_coil: bool = False,
        changes: Sequence[Change] = (),
        folder: Path = Path(),
    ) -> None:
        self.transform = transform
        self.folder = folder  # of the files, whose names alone the host hands over
        self.changes = changes
        self.refuse_nan = refuse_nan
        self.one_coil = one_coil
        self.mask_func: MaskFunc | None = getattr(transform, "mask_func", None)

    def __call__(
        self,
        kspace: np.ndarray,
        mask: np.ndarray | None,
        target: np.ndarray | None,
        attrs: dict[str, Any],
        fname: str,
        slice_num: int,
    ) -> NamedTuple:
        """Check and transform one slice, as fastMRI's `SliceDataset` hands it over.

        Its arrays may be of any number type (see `as_complex64`); the transform gets complex64
        k-space and a float32 target.
        """
        kspace, target = as_complex64(kspace), None if target is None else as_float32(target)
        attrs = {**attrs, "max": float(plain(attrs.get("max", 0.0)))}  # 0, unknown, is the host's
        if self.refuse_nan:
            which = f"{self.folder / fname}, slice {slice_num}"
            check_finite(kspace, which)
            if target is not None:
                check_finite(target, which, "reference")
        if self.changes and target is not None:
            shape = cropped_size((target.shape[0], target.shape[1]), kspace.shape[-1])
            kspace, target, attrs = augmented(kspace, attrs, shape, *self.changes)
        values = kspace[None] if self.one_coil else kspace
        # by whose name the host draws masks of validation and test
        name = fastmri_name(fname)
        sample = self.transform(values, mask, target, attrs, name, slice_num)
        return sample if name == fname else sample._replace(fname=fname)


def make_transform(
    challenge: str,
    mask_func: MaskFunc | None,
    on_kspace: bool,
    use_seed: bool = True,
    refuse_nan: bool = True,
    needs_reference: bool = False,
    other_masks: int = 0,
    changes: Sequence[Change] = (),
    folder: Path = Path(),
    partition: Partition | None = None,
) -> CheckedTransform:
    """The host's transform; `use_seed`: the file's name settles a volume's mask.

    `folder` is that of the files, which errors name.
    `needs_reference`, on k-space: the samples are `ReferenceSample`, with the whole k-space.
    `other_masks`, on images: they are `OtherMasksSample`, with the slice under so many other masks,
    which no file's name settles.
    `partition`, on k-space: they are `PartitionedSample`, whose split `use_seed` fixes.
    """
    if not on_kspace:
        host: Callable[..., NamedTuple] = (
            OtherMasksDataTransform(challenge, mask_func, other_masks)
            if other_masks
            else UnetDataTransform(challenge, mask_func, use_seed)
        )
        return CheckedTransform(host, refuse_nan, changes=changes, folder=folder)
    # which zeroes the mask of a padded test volume that has no coil axis
    transform: VarNetDataTransform
    if partition is not None:
        transform = PartitionedDataTransform(partition, mask_func, fixed=use_seed)
    else:
        kind = ReferenceDataTransform if needs_reference else VarNetDataTransform
        transform = kind(mask_func, use_seed)
    return CheckedTransform(transform, refuse_nan, challenge == "singlecoil", changes, folder)


def collate_one_size(samples: list[Any]) -> Any:
    """Make a batch of slices of one size."""
    _refuse_mixed_sizes(samples)
    return default_collate(samples)


def _refuse_mixed_sizes(samples: list[Any]) -> None:
    """Raise where tensors of one field differ in shape, or sizes, also in named tuples inside."""
    for field in samples[0]._fields:
        values = [getattr(sample, field) for sample in samples]
        if hasattr(values[0], "_fields"):
            _refuse_mixed_sizes(values)
            continue
        shapes = {tuple(value.shape) for value in values if isinstance(value, torch.Tensor)}
        shapes |= {value for value in values if isinstance(value, tuple)}  # such as crop_size
        if len(shapes) > 1:
            names = sorted({str(getattr(sample, "fname", "?")) for sample in samples})
            raise InputError(
                f"slices of different sizes {sorted(shapes)} ({field} of {', '.join(names)}) "
                "cannot share a batch; use batch size 1"
            )
