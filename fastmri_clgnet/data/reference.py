"""fastMRI's transform for networks on k-space, with the fully sampled reference beside it."""

from __future__ import annotations

from typing import Any, NamedTuple

import fastmri
import numpy as np
import torch
from fastmri.data.transforms import VarNetDataTransform, complex_center_crop, to_tensor


class ReferenceSample(NamedTuple):
    """The fields of fastMRI's `VarNetSample`, in its order, then the fully sampled reference.

    Attributes:
        masked_kspace: ([coils,] height, width, 2), float32, zero where nothing was measured.
        mask: Sampled columns, ([1,] 1, width, 1), bool.
        num_low_frequencies: Columns of the fully sampled centre; None or 0 where unknown.
        target: Magnitude image, (rows, columns), in the data's units.
        fname: File name.
        slice_num: Number of the slice in it.
        max_value: Largest value of the volume's target.
        crop_size: Rows and columns that the header asks for.
        kspace: Fully sampled k-space, as masked_kspace and in its units, not cropped; without
            elements where there is none.
        image: Complex image of `kspace`, ([coils,] rows, columns, 2), cropped to the target, in the
            target's units: of one coil, its magnitude is the target. Without elements where there
            is no `kspace`.
    """

    masked_kspace: torch.Tensor
    mask: torch.Tensor
    num_low_frequencies: int | None
    target: torch.Tensor
    fname: str
    slice_num: int
    max_value: float
    crop_size: tuple[int, int]
    kspace: torch.Tensor
    image: torch.Tensor


class ReferenceDataTransform(VarNetDataTransform):
    """fastMRI's `VarNetDataTransform` that keeps the whole k-space, and the complex image of it.

    Takes the host's arguments. Without a `mask_func`, k-space is taken to be undersampled already,
    as in fastMRI's test splits, and the sample's `kspace` and `image` have no elements.
    """

    def __call__(
        self,
        kspace: np.ndarray,
        mask: np.ndarray | None,
        target: np.ndarray | None,
        attrs: dict[str, Any],
        fname: str,
        slice_num: int,
    ) -> ReferenceSample:
        """Transform one slice, as fastMRI's `SliceDataset` hands it over.

        Args:
            kspace: ([coils,] height, width), complex.
            mask: Sampled columns of a test file, else None.
            target: Magnitude image, or None. An image narrower than it is not cropped along that
                axis.
            attrs: The file's attributes.
            fname: File name.
            slice_num: Number of the slice in it.

        Returns:
            The host's sample with the reference.
        """
        sample = super().__call__(kspace, mask, target, attrs, fname, slice_num)
        if self.mask_func is None:
            return ReferenceSample._make([*sample, torch.zeros(0), torch.zeros(0)])
        whole = to_tensor(kspace)
        wanted = sample.crop_size if target is None else target.shape[-2:]
        rows, columns = (min(a, int(b)) for a, b in zip(whole.shape[-3:-1], wanted, strict=True))
        image = complex_center_crop(fastmri.ifft2c(whole), (rows, columns))
        # a copy: loader processes hand over a tensor's whole memory
        return ReferenceSample._make([*sample, whole, image.contiguous()])
