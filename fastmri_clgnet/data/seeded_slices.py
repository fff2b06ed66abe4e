"""Training data whose order and random numbers are a function of seed, epoch and slice alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from fastmri.data import CombinedSliceDataset, SliceDataset
from fastmri.data.subsample import MaskFunc
from torch.utils.data import BatchSampler, Dataset, DistributedSampler


def derive_seed(*values: int) -> int:
    """Mix whole numbers, 0 or more, to a seed of 32 bits; zeros at the end change nothing."""
    return int(np.random.SeedSequence(values).generate_state(1)[0])


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
    """Batches of items of `SeededSlices`, shuffled anew in each epoch.

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
