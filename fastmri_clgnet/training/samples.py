"""The data of a training: its files, checked before anything is written, and its samples."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from fastmri.pl_modules import MriModule

from fastmri_clgnet.data.data_module import CheckedDataModule
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.data.folders import (
    check_header_sizes,
    check_one_size,
    inspect_folder,
    sample_size,
)
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.data.samplers import check_enough_volumes
from fastmri_clgnet.data.ssdu import Partition
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.fastmri import n_central_columns
from fastmri_clgnet.formats.fastmri_reading import VolumeInfo
from fastmri_clgnet.formats.scan import acceleration
from fastmri_clgnet.models.least_size import expect_size
from fastmri_clgnet.pl_modules.registry import MODELS, name_of, takes_kspace
from fastmri_clgnet.slice_quality import MIN_SSIM_SIZE
from fastmri_clgnet.training.distributed import say


class CheckedFiles(NamedTuple):
    """What the check of the files found."""

    trained_on: dict[str, Any] = {}  # noqa: RUF012  what checkpoints say of the training data
    volumes: str = ""  # the training's and the validation's volumes, by a hash of their names
    has_test: bool = True  # whether there is a test split


def check_files(
    module: MriModule,
    data: Data,
    n_processes: int = 1,
    refuse_nan: bool = True,
    testing: bool = False,
) -> CheckedFiles:
    """Check that a module can be trained on data, its masks and every file; make the demo data.

    `refuse_nan` is about training files, `testing` reads the test split only. Raises an
    `InputError` that names the file.
    """
    model = name_of(module)
    if model is not None and data.challenge == "multicoil" and not MODELS[model].multicoil:
        others = ", ".join(name for name, each in MODELS.items() if each.multicoil)
        raise InputError(
            f"model {model}: takes single-coil data only; {others} take multicoil data"
        )
    for name in ("in_chans", "out_chans"):
        if not takes_kspace(module) and module.hparams.get(name, 1) != 1:
            raise InputError(
                f"{name} {module.hparams[name]}: the data has one magnitude image for each slice; "
                "expected 1 (the network itself, such as CLGNet, takes more in your own module)"
            )
    for given in (data.mask, data.fixed_mask):
        given.make()
    partition = partition_of(module)
    if partition is not None and (data.augment or data.train_size is not None):
        raise InputError(
            "loss ssdu with augment or train_size: both change the image of the whole k-space, of "
            "which this loss takes the measured columns only; omit them"
        )
    if data.is_demo:
        say("\n*** DEMO: simulated heads, not patients, since there is no data_path. ***")
        say(f"*** The demo data set is in {data.demo_folder} ***\n")
        data.root()

    def check(
        split: str, n_volumes: int, refuse_nan: bool = True
    ) -> tuple[list[VolumeInfo], Mask | None]:
        folder = data.folder(split)
        mask = data.split_mask(split, partition is not None)
        volumes = inspect_folder(folder, data.challenge, masked=mask is None, refuse_nan=refuse_nan)
        on_kspace = takes_kspace(module)
        check_one_size(volumes, data.batch_size, on_kspace)
        most = data.train_size if split == "train" else None
        for volume in volumes:
            height, width = sample_size(volume, on_kspace)
            size = (height, width) if most is None else (min(height, most), min(width, most))
            expect_size(module, str(volume.path), size)
            if min(volume.image_size) < MIN_SSIM_SIZE:
                height, width = volume.image_size
                raise InputError(
                    f"{volume.path}: images of {height} x {width} pixels; training is measured by "
                    f"fastMRI's SSIM, which takes {MIN_SSIM_SIZE} x {MIN_SSIM_SIZE} and more"
                )
        if on_kspace and split == "test":
            check_header_sizes(volumes)
        check_enough_volumes(len(volumes), n_volumes, str(folder))
        if mask is not None:
            widths = {volume.kspace_shape[-1] for volume in volumes}
            mask.check(widths if most is None else {min(width, most) for width in widths})
        if partition is not None and split != "test":
            if mask is None:
                say(f"{folder}: undersampled already, by masks in the files")
            if split == "val" and data.batch_size > 1:
                _refuse_some_references(volumes, folder)
            of_training = data.split_mask("train", True) if data.combine_train_val else mask
            masks = dict.fromkeys((mask, of_training))
            for volume, each in itertools.product(volumes, masks):
                partition.held_out(_measured(volume, each), name=str(volume.path))
        return volumes, mask

    if testing:
        check("test", n_processes)
        return CheckedFiles()
    # slices of the training are shared out one by one, other splits' volumes stay whole
    volumes, mask = check("train", 1, refuse_nan)
    val_volumes, val_mask = check("val", n_processes)
    if data.combine_train_val and (mask is None) != (val_mask is None):
        raise InputError(
            f"combine_train_val: of {data.folder('train')} and {data.folder('val')} one holds "
            "undersampled volumes, the other does not; train on one of them"
        )
    has_test = data.test_path is not None or data.folder("test").is_dir()
    if has_test:
        check("test", n_processes)
    trained_on: dict[str, Any] = {
        **_masks_of(volumes, mask),
        "acquisitions": sorted({volume.acquisition for volume in volumes}),
        "simulated": data.is_demo or all(volume.simulated for volume in volumes),
    }
    if data.simulates_coils(takes_kspace(module)):  # one coil and several
        trained_on["simulated"] = True
    else:
        trained_on["challenge"] = data.challenge
    names = [[volume.path.name for volume in each] for each in (volumes, val_volumes)]
    return CheckedFiles(trained_on, _fingerprint(names), has_test)


def _fingerprint(names: list[list[str]]) -> str:
    """A hash of file names, which says nothing of patients."""
    return hashlib.sha256(json.dumps([sorted(each) for each in names]).encode()).hexdigest()


def make_samples(
    module: MriModule, data: Data, seed: int, trainer: pl.Trainer
) -> CheckedDataModule:
    """Make the data module of what a module takes, for the processes of a trainer."""
    on_kspace = takes_kspace(module)
    needs_reference = on_kspace and bool(getattr(module, "needs_reference", False))
    other_masks = 0 if on_kspace else getattr(module, "other_masks", 0)
    return data.module(
        on_kspace,
        seed,
        trainer.world_size > 1,
        needs_reference,
        other_masks,
        partition_of(module),
    )


def partition_of(module: MriModule) -> Partition | None:
    """How a module's loss splits the measured columns, if it does."""
    partition: Partition | None = getattr(module, "partition", None)
    return partition


def _refuse_some_references(volumes: Sequence[VolumeInfo], folder: Path) -> None:
    """Refuse volumes with and without a reference, which do not fit into one batch."""
    without = [volume.path.name for volume in volumes if volume.target_size is None]
    if without and len(without) < len(volumes):
        raise InputError(
            f"{folder}: {words(without)} without a reference, {len(volumes) - len(without)} with "
            "one, which do not fit into one batch; take batch_size 1, or remove some"
        )


def _measured(volume: VolumeInfo, mask: Mask | None) -> torch.Tensor:
    """The measured columns of a volume, (1, columns, 1), as its slices have them."""
    sampled = volume.sampled()
    if mask is not None:
        sampled &= mask.draw(volume.path.name, len(sampled))[0]
    return torch.from_numpy(sampled)[None, :, None]


def _masks_of(volumes: Sequence[VolumeInfo], mask: Mask | None) -> dict[str, Any]:
    """What checkpoints say of the masks; those of undersampled volumes are measured."""
    if mask is not None:
        return {
            "mask_type": mask.mask_type,
            "accelerations": list(mask.accelerations),
            "center_fractions": list(mask.center_fractions),
        }
    sampled = [volume.sampled() for volume in volumes]
    return {
        "accelerations": sorted({round(acceleration(each)) for each in sampled}),
        "center_fractions": sorted({round(n_central_columns(e) / len(e), 3) for e in sampled}),
    }
