"""Batches of whole volumes for several processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from fastmri.data import VolumeSampler

from fastmri_clgnet.data.samplers import VolumeBatches
from fastmri_clgnet.errors import InputError


def batches(slices: list[int], n_processes: int, batch_size: int) -> list[list[list[int]]]:
    """The batches of every process, for volumes of so many slices."""
    samples: list[tuple[Path, int, dict]] = [
        (Path(f"{v}.h5"), i, {}) for v, n in enumerate(slices) for i in range(n)
    ]
    dataset = SimpleNamespace(raw_samples=samples)
    return [
        list(
            VolumeBatches(
                VolumeSampler(dataset, n_processes, rank, shuffle=False),
                batch_size,
            )
        )
        for rank in range(n_processes)
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("slices", [[3, 3, 3], [7, 1, 2, 4, 1], [2, 2]])
@pytest.mark.parametrize("n_processes", [1, 2])
def test_whole_volumes_once_and_equally_many_batches(
    slices: list[int], n_processes: int, batch_size: int
) -> None:
    shares = batches(slices, n_processes, batch_size)
    assert len({len(share) for share in shares}) == 1
    volume = [v for v, n in enumerate(slices) for _ in range(n)]
    seen: list[int] = []
    for share in shares:
        new = [batch for i, batch in enumerate(share) if batch not in share[:i]]
        own = [index for batch in new for index in batch]
        # a repeated batch is a whole one: no slice stands in two different batches
        assert len(own) == len(set(own))
        for v in {volume[index] for index in own}:
            assert [i for i in own if volume[i] == v] == [
                i for i in range(len(volume)) if volume[i] == v
            ]
        seen += own
    assert sorted(seen) == list(range(len(volume)))


def test_fewer_volumes_than_processes_are_refused() -> None:
    with pytest.raises(InputError, match="2 volumes for 3 processes"):
        batches([3, 3], 3, 1)
