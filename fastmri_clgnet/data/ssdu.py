"""Measured columns split into given and held-out ones, for training without references (SSDU)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from fastmri.data.subsample import MaskFunc
from fastmri.data.transforms import VarNetDataTransform

from fastmri_clgnet.data.seeds import derive_seed
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import central_columns


@dataclass(frozen=True)
class Partition:
    """How measured columns, Omega, are split at random into given ones, Theta, and held-out ones.

    The held-out columns, Lambda, are drawn uniformly from outside of the calibration lines: all
    columns in one piece around the centre are given. The paper draws single samples of a slice,
    by a Gaussian or uniform density. Here whole columns are drawn, as they were measured.

    Args:
        ratio: Held-out columns of all measured ones, `|Lambda| / |Omega|`, the paper's 0.4.
        masks: Independent splits of each slice, K of the multi-mask variant.

    Example:
        >>> mask = torch.zeros(1, 1, 20, 1, dtype=torch.bool)
        >>> mask[..., ::2, :] = mask[..., 8:12, :] = True  # 12 columns
        >>> held_out = Partition(masks=3).held_out(mask)
        >>> held_out.shape, held_out.sum(dim=(1, 2, 3, 4)).tolist()
        (torch.Size([3, 1, 1, 20, 1]), [5, 5, 5])

    Raises:
        InputError: If ratio is not between 0 and 1, or masks below 1.

    References:
        Yaman et al. Self-supervised learning of physics-guided reconstruction neural networks
        without fully sampled reference data. MRM 2020. Yaman et al. Multi-mask self-supervised
        learning for physics-guided neural networks. NMR Biomed 2022.
    """

    ratio: float = 0.4
    masks: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no split."""
        if not 0 < self.ratio < 1:
            raise InputError(f"ssdu_ratio {self.ratio}: expected a number between 0 and 1")
        if self.masks < 1:
            raise InputError(f"ssdu_masks {self.masks}: expected 1 or more")

    def held_out(
        self, mask: torch.Tensor, generator: torch.Generator | None = None, name: str = "mask"
    ) -> torch.Tensor:
        """Draw Lambda.

        Args:
            mask: Omega, the measured columns, ([1,] 1, width, 1).
            generator: Draws; None is torch's own.
            name: What an error calls the slice.

        Returns:
            `(masks, *mask.shape)`, bool.

        Raises:
            InputError: If the ratio holds out no column, or all outside of the calibration lines.
        """
        sampled = mask.flatten().bool().numpy()
        outer = sampled.copy()
        outer[central_columns(sampled)] = False
        columns = torch.from_numpy(np.flatnonzero(outer))
        number = round(self.ratio * int(sampled.sum()))
        if not 0 < number < len(columns):
            raise InputError(
                f"{name}: ssdu_ratio {self.ratio} holds out {number} of {sampled.sum()} measured "
                f"columns, of which {len(columns)} are outside of the calibration lines; expected "
                "at least 1, and fewer than those; change ssdu_ratio, or remove this volume"
            )
        held_out = torch.zeros(self.masks, len(sampled), dtype=torch.bool)
        for each in held_out:
            each[columns[torch.randperm(len(columns), generator=generator)[:number]]] = True
        return held_out.view(self.masks, *mask.shape)


class PartitionedSample(NamedTuple):
    """The fields of fastMRI's `VarNetSample`, in its order, then the held-out columns.

    Attributes:
        masked_kspace: ([coils,] height, width, 2), float32: all that was measured, the held-out
            columns, too.
        mask: All measured columns, ([1,] 1, width, 1), bool.
        num_low_frequencies: Columns of the fully sampled centre; None or 0 where unknown.
        target: Magnitude image, (rows, columns), in the data's units; 0 without one, and in
            training.
        fname: File name.
        slice_num: Number of the slice in it.
        max_value: Largest value of the volume's target.
        crop_size: Rows and columns that the header asks for.
        held_out: (masks, *mask.shape), bool; see `Partition`.
    """

    masked_kspace: torch.Tensor
    mask: torch.Tensor
    num_low_frequencies: int | None
    target: torch.Tensor
    fname: str
    slice_num: int
    max_value: float
    crop_size: tuple[int, int]
    held_out: torch.Tensor


class PartitionedDataTransform(VarNetDataTransform):
    """fastMRI's `VarNetDataTransform` that also splits the measured columns.

    Fully sampled volumes are undersampled by the `mask_func`, seeded by the file's name, also in
    training: a scan is measured once, so no other columns of it are used in any epoch.

    Args:
        partition: The split.
        mask_func: Undersamples; None for volumes that are undersampled already.
        fixed: Whether file and slice settle the split, as in validation; otherwise torch's
            generator draws it, which `SeededSlices` seeds by seed, epoch and slice.
    """

    def __init__(
        self, partition: Partition, mask_func: MaskFunc | None = None, fixed: bool = False
    ) -> None:
        super().__init__(mask_func, use_seed=True)
        self.partition = partition
        self.fixed = fixed

    def __call__(
        self,
        kspace: np.ndarray,
        mask: np.ndarray | None,
        target: np.ndarray | None,
        attrs: dict[str, Any],
        fname: str,
        slice_num: int,
    ) -> PartitionedSample:
        """Transform one slice, as fastMRI's `SliceDataset` hands it over."""
        sample = super().__call__(kspace, mask, target, attrs, fname, slice_num)
        generator = None
        if self.fixed:
            generator = torch.Generator().manual_seed(derive_seed(*map(ord, fname), slice_num))
        if not self.fixed:  # not every volume of a batch may have a reference, and none is used
            sample = sample._replace(target=torch.tensor(0), max_value=0.0)
        held_out = self.partition.held_out(sample.mask, generator, fname)
        return PartitionedSample._make([*sample, held_out])
