"""Which slices a batch holds: of the training by seed and epoch, of other splits whole volumes."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from fastmri.data import CombinedSliceDataset, SliceDataset, VolumeSampler
from fastmri.data.subsample import MaskFunc
from torch.utils.data import BatchSampler, Dataset, DistributedSampler, Sampler

from fastmri_clgnet.data.seeds import derive_seed
from fastmri_clgnet.errors import InputError


class SeededSlices(Dataset):
    """The host's slices for all epochs: number i of epoch e is item e * len(slices) + i.

    Mask and transform draw from generators that are seeded for each item, so that neither the
    number of loader processes nor an interruption changes a sample. Torch's generator is left as
    it was.
    """

    def __init__(
        self,
        slices: SliceDataset | CombinedSliceDataset,
        mask_func: MaskFunc | None,
        seed: int,
    ) -> None:
        self.slices = slices
        self.mask_func = mask_func
        self.seed = seed

    def __len__(self) -> int:
        """Slices of one epoch."""
        return len(self.slices)

    def __getitem__(self, item: int) -> Any:
        """Load and transform one slice."""
        seed = derive_seed(self.seed, item)
        if self.mask_func is not None:
            self.mask_func.rng.seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self.slices[item % len(self)]


class EpochBatches(BatchSampler):
    """Batches of items of `SeededSlices`, shuffled again in each epoch.

    Args:
        sampler: Shuffles by its own seed and epoch; Lightning tells it the epoch.
        batch_size: Slices in a batch.
        start: Epoch and batch to begin at, where a stopped run goes on. The length stays that of a
            whole epoch, of which Lightning has counted those batches already.
    """

    sampler: DistributedSampler

    def __init__(
        self,
        sampler: DistributedSampler,
        batch_size: int,
        start: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(sampler, batch_size, drop_last=False)
        self.slices: Any = sampler.dataset
        self.start = start
        sampler.set_epoch(start[0])

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the epoch's batches that are not done yet."""
        epoch = self.sampler.epoch
        n_done = self.start[1] if epoch == self.start[0] else 0
        offset = epoch * len(self.slices)
        for batch in itertools.islice(super().__iter__(), n_done, None):
            yield [offset + index for index in batch]


def progress(trainer: pl.Trainer | None) -> tuple[int, int]:
    """Epochs done, and batches done of the next one, of a run or its loaded checkpoint."""
    if trainer is None:
        return 0, 0
    epochs: Any = trainer.fit_loop.epoch_progress.current
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    begun = epochs.started > epochs.processed
    return epochs.processed, batches.processed if begun else 0


class VolumeBatches(Sampler[list[int]]):
    """The host's `VolumeSampler` in batches: whole volumes in each process, equally many batches.

    All processes must see equally many batches, or they would wait for each other for ever. The
    host fills up a process that has fewer slices with some of them again, in one batch with new
    ones, so that the batch's mean loss counts slices twice. Here a process repeats whole batches,
    which `Lightning2Mixin` leaves out of the validation's loss; the metrics and the submission
    files take each slice once anyway.
    """

    def __init__(self, sampler: VolumeSampler, batch_size: int) -> None:
        check_enough_volumes(len(sampler.all_volume_names), sampler.num_replicas, "the split")
        self.sampler = sampler  # which Lightning tells the epoch
        slices = Counter(str(sample[0]) for sample in sampler.dataset.raw_samples)
        most = max(sum(slices[name] for name in names) for names in sampler.all_volumes_split)
        self.n_batches = math.ceil(most / batch_size)
        self.batches = list(BatchSampler(sampler.indices, batch_size, drop_last=False))

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process's batches, from the first one again where others have more."""
        return itertools.islice(itertools.cycle(self.batches), self.n_batches)

    def __len__(self) -> int:
        """The number of batches, the same in every process."""
        return self.n_batches


def check_enough_volumes(n_volumes: int, n_processes: int, name: str) -> None:
    """Refuse a split that leaves a process without a volume."""
    if n_volumes < n_processes:
        raise InputError(
            f"{name}: {n_volumes} volumes for {n_processes} processes, each of which takes whole "
            "volumes; use fewer devices or num_nodes, or more volumes"
        )
