"""Makes a run's data module from its flags, and checks the files that it will read."""

from __future__ import annotations

from pathlib import Path

from fastmri.data.subsample import MaskFunc
from fastmri.pl_modules import FastMriDataModule
from jsonargparse import Namespace

from fastmri_clgnet.data import (
    CheckedDataModule,
    CheckedTransform,
    check_split,
    make_demo_dataset,
)
from fastmri_clgnet.data.data_module import make_transform
from fastmri_clgnet.data.volumes import check_one_size
from fastmri_clgnet.data.volume_batches import check_enough_volumes
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.safe_loading import check_dataset_cache
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.masks import MaskSettings, check_mask, train_mask, val_mask
from fastmri_clgnet.training.models import MODELS

DATASET_CACHE = Path("dataset_cache.pkl")  # the host's, in the working folder


def check_data(args: Namespace, n_processes: int = 1) -> bool:
    """Check the files that the run will read, and that they can be masked, before it starts.

    Args:
        args: With data_path set.
        n_processes: That share the run.

    Returns:
        Whether there is a test split (training can do without).
    """

    def check(
        folder: Path, mask: MaskSettings | None, n_volumes: int, refuse_nan: bool = True
    ) -> None:
        volumes = check_split(folder, args.challenge, mask is None, refuse_nan)
        check_one_size(volumes, args.batch_size, MODELS[args.model].on_kspace)
        check_enough_volumes(len(volumes), n_volumes, str(folder))
        if mask is not None:
            check_mask(mask, (volume.kspace_shape[-1] for volume in volumes))

    test_mask = val_mask(args) if args.test_split == "val" else None
    test_folder = args.test_path or args.data_path / f"{args.challenge}_{args.test_split}"
    if args.mode == "test":
        check(test_folder, test_mask, n_processes)
        return True
    # slices of the training are shared out one by one, the other splits' volumes stay whole
    check(args.data_path / f"{args.challenge}_train", train_mask(args), 1, args.on_nan == "stop")
    check(args.data_path / f"{args.challenge}_val", val_mask(args), n_processes)
    if args.test_path is None and not test_folder.is_dir():
        return False
    check(test_folder, test_mask, n_processes)
    return True


def use_demo(args: Namespace) -> None:
    """Say that it is the demo, make its data set where it is missing, and let data_path name it.

    Args:
        args: With challenge and demo_dir; its data_path is set.
    """
    say(
        "\n*** DEMO: simulated heads, not patients, since there is no --data_path. ***\n"
        f"*** The demo data set is in {args.demo_dir} ***\n"
    )
    args.data_path = make_demo_dataset(args.challenge, args.demo_dir)


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
    if args.use_dataset_cache_file:
        check_dataset_cache(DATASET_CACHE)
    train_mask, fixed_mask = mask_funcs
    names = (
        "data_path", "challenge", "test_split", "test_path", "combine_train_val", "sample_rate",
        "val_sample_rate", "test_sample_rate", "volume_sample_rate", "val_volume_sample_rate",
        "test_volume_sample_rate", "use_dataset_cache_file", "batch_size", "num_workers",
    )  # fmt: skip

    def transform(mask_func: MaskFunc | None) -> CheckedTransform:
        return make_transform(args.challenge, mask_func, on_kspace)

    # in training `OnNan` meets NaN, in all processes at once and with the number of the step
    random = make_transform(args.challenge, train_mask, on_kspace, False, refuse_nan=False)

    try:
        return CheckedDataModule(
            train_transform=random,
            val_transform=transform(fixed_mask),
            test_transform=transform(fixed_mask if args.test_split == "val" else None),
            distributed_sampler=distributed,
            seed=args.seed,
            **{name: args[name] for name in names},
        )
    except ValueError as error:
        raise InputError(str(error)) from error
