"""fastMRI's data module with checks of what it loads and batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from fastmri.data import VolumeSampler
from fastmri.data.subsample import MaskFunc
from fastmri.pl_modules import FastMriDataModule
from torch.utils.data import DataLoader, default_collate

from fastmri_clgnet.data.file_checks import check_finite
from fastmri_clgnet.data.volume_batches import VolumeBatches
from fastmri_clgnet.errors import InputError


class CheckedTransform:
    """A data transform of the host that first refuses k-space and references with NaN or Inf.

    Args:
        transform: Such as `fastmri.data.transforms.UnetDataTransform`.
        refuse_nan: Whether to refuse them; else they go through, for others to meet.

    Raises:
        InputError: When called with such a slice; it names file and slice.
    """

    def __init__(self, transform: Callable[..., NamedTuple], refuse_nan: bool = True) -> None:
        """Wrap the transform; its mask function stays visible to the host's worker seeding."""
        self.transform = transform
        self.refuse_nan = refuse_nan
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
        """Check and transform one slice, as fastMRI's `SliceDataset` hands it over."""
        if self.refuse_nan:
            check_finite(kspace, f"{fname}, slice {slice_num}")
            if target is not None:
                check_finite(target, f"{fname}, slice {slice_num}", "reference")
        return self.transform(kspace, mask, target, attrs, fname, slice_num)


def collate_one_size(samples: list[Any]) -> Any:
    """Make a batch of slices of one size.

    Args:
        samples: Samples of one of fastMRI's transforms, or named tuples that hold such samples.

    Returns:
        The same named tuple of tensors with a batch axis in front.

    Raises:
        InputError: If the sizes differ.
    """
    _refuse_mixed_sizes(samples)
    return default_collate(samples)


def _refuse_mixed_sizes(samples: list[Any]) -> None:
    """Raise where tensors of one field differ in shape, also in named tuples inside the samples."""
    for field in samples[0]._fields:
        values = [getattr(sample, field) for sample in samples]
        if hasattr(values[0], "_fields"):
            _refuse_mixed_sizes(values)
        shapes = {tuple(value.shape) for value in values if isinstance(value, torch.Tensor)}
        if len(shapes) > 1:
            names = sorted({str(getattr(sample, "fname", "?")) for sample in samples})
            raise InputError(
                f"slices of different sizes {sorted(shapes)} ({field} of {', '.join(names)}) "
                "cannot share a batch; use batch size 1"
            )


class CheckedDataModule(FastMriDataModule):
    """`FastMriDataModule` that refuses bad k-space and batches of mixed sizes with a clear error.

    It takes the same arguments. Wrap transforms in `CheckedTransform` to have k-space checked.
    """

    def _create_data_loader(self, *args: Any, **kwargs: Any) -> DataLoader:
        """Make the host's loader, batching by `collate_one_size` and `VolumeBatches`."""
        loader: DataLoader = super()._create_data_loader(*args, **kwargs)
        if isinstance(loader.sampler, VolumeSampler):
            loader = DataLoader(
                loader.dataset,
                batch_sampler=VolumeBatches(loader.sampler, self.batch_size),
                num_workers=loader.num_workers,
                worker_init_fn=loader.worker_init_fn,
            )
        loader.collate_fn = collate_one_size
        return loader
