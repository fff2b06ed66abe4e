"""Writes a volume to its split: with its reference, and undersampled where it is a test volume."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fastmri.data.subsample import temp_seed

from fastmri_clgnet.convert.volume import Volume, acquired_columns
from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.data.fastmri_file import reference_image
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.training.masks import make_mask, train_mask


def write_volume(path: Path, volume: Volume, split: str, args: argparse.Namespace) -> None:
    """Write one volume as its split has it in fastMRI.

    Training and validation volumes are fully sampled. Test volumes are undersampled by a mask that
    the host draws from the file's name, and keep the reference of the full k-space, so that
    reconstructions can be evaluated. What was acquired undersampled has no reference.

    Args:
        path: The HDF5 file.
        volume: What a source read.
        split: train, val or test.
        args: With acquisition and the mask's flags.

    Raises:
        InputError: If the volume was acquired undersampled and is to train or validate.
    """
    kspace, mask, target = volume.kspace, volume.mask, None
    attributes = dict(volume.attributes)
    if mask is not None and split != "test":
        raise InputError(
            f"{path}: acquired undersampled ({mask.sum()} of {len(mask)} columns), so that it "
            f"has no reference for the {split} split; sort all files of the source into folders "
            "train, val and test, this one into test"
        )
    acquired = acquired_columns(kspace)
    if mask is None:
        target = np.stack([reference_image(one, volume.recon_size) for one in kspace])
        if split == "test":
            mask, attributes["acceleration"] = _test_mask(
                path.name, kspace.shape[-1], acquired, args
            )
            kspace[..., ~mask] = 0
    write_fastmri_file(
        path,
        kspace,
        target,
        mask,
        recon_size=volume.recon_size,
        acquired=acquired,
        pixel_mm=volume.pixel_mm,
        acquisition=args.acquisition or volume.acquisition,
        attributes=attributes,
    )


def _test_mask(
    name: str, columns: int, acquired: tuple[int, int], args: argparse.Namespace
) -> tuple[npt.NDArray[np.bool_], int]:
    """Draw a mask as the host does for validation: seeded by the file's name.

    Returns:
        The mask, (columns,) bool, and the acceleration that was asked for, as fastMRI's files have
        it: what a random mask reaches differs from file to file.
    """
    mask_func, seed = make_mask(train_mask(args), args.seed), tuple(map(ord, name))
    drawn, _ = mask_func((1, columns, 1), seed=seed)
    with temp_seed(mask_func.rng, seed):
        _, acceleration = mask_func.choose_acceleration()  # the mask's first draw, once more
    mask: npt.NDArray[np.bool_] = drawn.numpy().ravel().astype(bool)
    mask[: acquired[0]] = mask[acquired[1] :] = False
    return mask, int(acceleration)
