"""fastMRI's transform for networks on images, with the same slice under other masks beside it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from fastmri.data.subsample import MaskFunc
from fastmri.data.transforms import UnetDataTransform, apply_mask, normalize, to_tensor

from fastmri_clgnet.errors import InputError

_EPS = 1e-11  # of the host's normalisation
_TRIES = 50  # masks drawn for each that is wanted, since an equispaced mask has few others


class OtherMasksSample(NamedTuple):
    """The fields of fastMRI's `UnetSample`, in its order, then images under other masks.

    Attributes:
        image: Normalised zero-filled magnitude image, (rows, columns), float32.
        target: Its reference, (rows, columns), normalised likewise.
        mean: Mean that was subtracted.
        std: Standard deviation that was divided by.
        fname: File name.
        slice_num: Number of the slice in it.
        max_value: Largest value of the volume's target.
        others: Zero-filled magnitude images of the same slice under other masks, (n_others, rows,
            columns), normalised by the mean and standard deviation of `image`.
    """

    image: torch.Tensor
    target: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    fname: str
    slice_num: int
    max_value: float
    others: torch.Tensor


class OtherMasksDataTransform:
    """fastMRI's `UnetDataTransform` that also undersamples each slice by masks other than its own.

    Image and target are the host's: the slice's own mask is the first that is drawn. Of several
    coils the images are root sums of squares. Masks come from the mask function's own generator.

    Args:
        which_challenge: singlecoil or multicoil.
        mask_func: Draws the masks.
        n_others: How many other masks each slice gets. They differ from its own.

    Raises:
        InputError: If there is no mask function; when called, if a slice is undersampled, or every
            mask that is drawn is the slice's own.
    """

    def __init__(self, which_challenge: str, mask_func: MaskFunc | None, n_others: int) -> None:
        if mask_func is None:
            raise InputError(
                "the same slice under other masks: needs fully sampled data and a mask to draw; "
                "give a mask, or the negatives of the batch"
            )
        self.mask_func = mask_func
        self.n_others = n_others
        self._host = UnetDataTransform(which_challenge)

    def __call__(
        self,
        kspace: np.ndarray,
        mask: np.ndarray | None,
        target: np.ndarray | None,
        attrs: dict[str, Any],
        fname: str,
        slice_num: int,
    ) -> OtherMasksSample:
        """Transform one slice, as fastMRI's `SliceDataset` hands it over.

        Args:
            kspace: ([coils,] height, width), complex, fully sampled.
            mask: None, or that of the file, which is not applied, as the host does not.
            target: Magnitude image, or None.
            attrs: The file's attributes.
            fname: File name.
            slice_num: Number of the slice in it.

        Returns:
            The host's sample with the other images.
        """
        unsampled = np.zeros(kspace.shape[-1], bool) if mask is None else np.squeeze(mask) == 0
        if unsampled.any() and not kspace[..., unsampled].any():
            raise InputError(
                f"{fname}: is undersampled by its mask, so that the same slice cannot be had under "
                "others; give fully sampled files, or the negatives of the batch"
            )
        whole = to_tensor(kspace)

        def drawn() -> tuple[Any, torch.Tensor]:
            """The host's sample under the next mask, and that mask."""
            masked, columns, _ = apply_mask(whole, self.mask_func)
            masked_kspace = torch.view_as_complex(masked).numpy()
            return self._host(masked_kspace, None, target, attrs, fname, slice_num), columns

        sample, own = drawn()
        others: list[torch.Tensor] = []
        for _ in range(_TRIES * self.n_others):
            if len(others) == self.n_others:
                break
            other, columns = drawn()
            if not torch.equal(columns, own):
                image = other.image * (other.std + _EPS) + other.mean
                image = normalize(image, sample.mean, sample.std, _EPS)
                others.append(image.clamp(-6, 6))  # as the host clips the input
        else:
            raise InputError(
                f"{fname}, slice {slice_num}: {_TRIES * self.n_others} masks were drawn, all but "
                f"{len(others)} of them the slice's own; give masks of which there are more"
            )
        return OtherMasksSample._make([*sample, torch.stack(others)])
