"""Makes a run's data module from its flags, and checks the files that it will read."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmri.data.subsample import MaskFunc
from fastmri.data.transforms import UnetDataTransform, VarNetDataTransform, VarNetSample
from fastmri.pl_modules import FastMriDataModule
from jsonargparse import Namespace

from fastmri_clgnet.data import CheckedDataModule, CheckedTransform, check_split
from fastmri_clgnet.data.file_checks import check_one_size
from fastmri_clgnet.errors import InputError


def check_data(args: Namespace) -> bool:
    """Check the files that the run will read, before it starts.

    Args:
        args: With data_path set.

    Returns:
        Whether there is a test split (training can do without).
    """
    masked = args.test_split != "val"
    test_folder = args.test_path or args.data_path / f"{args.challenge}_{args.test_split}"
    if args.mode == "test":
        check_one_size(check_split(test_folder, args.challenge, masked), args.batch_size)
        return True
    for split in ("train", "val"):
        folder = args.data_path / f"{args.challenge}_{split}"
        check_one_size(check_split(folder, args.challenge, masked=False), args.batch_size)
    if args.test_path is None and not test_folder.is_dir():
        return False
    check_one_size(check_split(test_folder, args.challenge, masked), args.batch_size)
    return True


class _OneCoil:
    """Gives `VarNetDataTransform` single-coil data as one coil.

    The host's transform zeroes the mask of a test volume without a coil axis if it has padding.
    """

    def __init__(self, transform: VarNetDataTransform) -> None:
        self.transform = transform
        self.mask_func = transform.mask_func

    def __call__(self, kspace: np.ndarray, *sample: Any) -> VarNetSample:
        return self.transform(kspace[None], *sample)


def make_transform(
    challenge: str, mask_func: MaskFunc | None, on_kspace: bool, use_seed: bool = True
) -> CheckedTransform:
    """Make the transform that gives a model its samples.

    Args:
        challenge: "singlecoil" or "multicoil".
        mask_func: Undersamples the k-space; None leaves it as it is, for masked test volumes.
        on_kspace: Whether to deliver k-space and mask, or magnitude images.
        use_seed: Whether a volume's name settles its mask.

    Returns:
        The host's transform, which refuses NaN and Inf.
    """
    if on_kspace:
        return CheckedTransform(_OneCoil(VarNetDataTransform(mask_func, use_seed)))
    return CheckedTransform(UnetDataTransform(challenge, mask_func, use_seed))


def make_data_module(
    args: Namespace, mask_funcs: list[MaskFunc], distributed: bool, on_kspace: bool
) -> FastMriDataModule:
    """Make the host's data module: random masks for training, masks by file name otherwise.

    Args:
        args: All flags.
        mask_funcs: For training, and for validation and test.
        distributed: Whether several processes share the data.
        on_kspace: Whether to deliver k-space and mask, or magnitude images.

    Returns:
        The data module.

    Raises:
        InputError: If flags contradict each other.
    """
    train_mask, fixed_mask = mask_funcs
    names = (
        "data_path", "challenge", "test_split", "test_path", "combine_train_val", "sample_rate",
        "val_sample_rate", "test_sample_rate", "volume_sample_rate", "val_volume_sample_rate",
        "test_volume_sample_rate", "use_dataset_cache_file", "batch_size", "num_workers",
    )  # fmt: skip

    def transform(mask_func: MaskFunc | None, use_seed: bool = True) -> CheckedTransform:
        return make_transform(args.challenge, mask_func, on_kspace, use_seed)

    try:
        return CheckedDataModule(
            train_transform=transform(train_mask, use_seed=False),
            val_transform=transform(fixed_mask),
            test_transform=transform(fixed_mask if args.test_split == "val" else None),
            distributed_sampler=distributed,
            **{name: args[name] for name in names},
        )
    except ValueError as error:
        raise InputError(str(error)) from error
