"""fastMRI's data module with checks of what it loads and batches."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from fastmri.data import VolumeSampler
from fastmri.pl_modules import FastMriDataModule
from torch.utils.data import DataLoader, DistributedSampler

from fastmri_clgnet.data.samplers import (
    EpochBatches,
    SeededSlices,
    VolumeBatches,
    progress,
)
from fastmri_clgnet.data.seeds import derive_seed
from fastmri_clgnet.data.transfer import to_device
from fastmri_clgnet.data.transforms import collate_one_size
from fastmri_clgnet.errors import InputError


def _start_worker(host_init: Callable[[int], None] | None, worker_id: int) -> None:
    """Let the host seed its masks; leave Ctrl-C and SIGTERM, sent to all, to the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if host_init is not None:
        host_init(worker_id)


class CheckedDataModule(FastMriDataModule):
    """`FastMriDataModule` that refuses bad data with a clear error and is exactly reproducible.

    It takes the same arguments and a seed. Wrap transforms in `CheckedTransform` to have k-space
    checked; batches of mixed sizes are refused. Order, masks and other random choices of training
    slices follow from the seed, the epoch and the slice (see `SeededSlices`), whatever the number
    of workers; a training that goes on from a checkpoint of mid-epoch gets the batches that were
    left. Validation and test are batched by `VolumeBatches` where several processes share them.
    """

    def __init__(self, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seed = seed
        if self.test_split != "test":  # the host then leaves out test_path, filter and sample rates
            folder = self.data_path / f"{self.challenge}_{self.test_split}"
            self.test_path: Path | None = self.test_path or folder
            self.test_split: str = "test"
        for name in ("train_filter", "val_filter", "test_filter"):
            if getattr(self, name) is None:
                setattr(self, name, bool)  # all; the host's own cannot be pickled
        self._validation: DataLoader | None = None

    def prepare_data(self) -> None:
        """Let the host fill its cache (`use_dataset_cache_file`), also where no test split is."""
        given, folder = self.test_path, self.data_path / f"{self.challenge}_test"
        if given is None and not folder.is_dir():
            self.test_path = self.data_path / f"{self.challenge}_val"
        try:
            super().prepare_data()
        finally:
            self.test_path = given

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Let Lightning move it, but for MPS, which has no float64; see `to_device`."""
        if device.type == "mps":
            return to_device(batch, device)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def val_dataloader(self) -> DataLoader:
        """The host's, made once: each making opens all files."""
        if self._validation is None:
            self._validation = super().val_dataloader()
        return self._validation

    def _create_data_loader(
        self, data_transform: Callable, data_partition: str, *rates: float | None
    ) -> DataLoader:
        """Take the host's data set and sampler into a loader of checked batches."""
        # from Python's own generator the host draws the parts that sample rates ask for
        state = random.getstate()
        random.seed(derive_seed(self.seed, *data_partition.encode()))
        try:
            host: DataLoader = super()._create_data_loader(data_transform, data_partition, *rates)
        except ValueError as error:
            if "num_samples" not in str(error):
                raise
            raise InputError(
                f"{self.data_path}: no slice is left for {data_partition} by sample_rate and "
                "volume_sample_rate; give higher ones"
            ) from error
        finally:
            random.setstate(state)
        dataset, batches, host_init = host.dataset, host.batch_sampler, host.worker_init_fn
        if data_partition == "train":
            n_processes, rank = (None, None) if self.distributed_sampler else (1, 0)
            # it adds the epoch to the seed: seeds are spread, or 0's epoch 1 were 1's epoch 0
            fixed = self.trainer is not None and self.trainer.overfit_batches > 0
            sampler: DistributedSampler = DistributedSampler(
                dataset, n_processes, rank, shuffle=not fixed, seed=derive_seed(self.seed)
            )
            batches = EpochBatches(sampler, self.batch_size, start=progress(self.trainer))
            mask_func = getattr(self.train_transform, "mask_func", None)
            dataset, host_init = SeededSlices(dataset, mask_func, self.seed), None
        elif isinstance(host.sampler, VolumeSampler):
            batches = VolumeBatches(host.sampler, self.batch_size)
        return DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=self.num_workers,
            worker_init_fn=partial(_start_worker, host_init),
            # on a GPU an epoch of a small data set can be over before new processes have started
            persistent_workers=data_partition == "train" and self.num_workers > 0,
            collate_fn=collate_one_size,
        )
