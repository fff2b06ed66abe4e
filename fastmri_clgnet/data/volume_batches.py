"""Batches of whole volumes for validation and test in several processes."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator

from fastmri.data import VolumeSampler
from torch.utils.data import BatchSampler, Sampler

from fastmri_clgnet.errors import InputError


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
            "volumes; use fewer --devices or --num_nodes, or more volumes"
        )
