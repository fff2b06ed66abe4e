"""Training samples follow from seed, epoch and slice, whoever loads them and when."""

from __future__ import annotations

import itertools
import multiprocessing
from pathlib import Path
from typing import Literal

import pytest
import torch
from fastmri.data.subsample import RandomMaskFunc
from fastmri.data.transforms import UnetDataTransform, UnetSample
from torch.utils.data import DataLoader, DistributedSampler

from fastmri_clgnet.data import Data
from fastmri_clgnet.data.data_module import CheckedDataModule
from fastmri_clgnet.data.samplers import EpochBatches, SeededSlices
from fastmri_clgnet.data.seeds import derive_seed
from fastmri_clgnet.data.transforms import CheckedTransform


def make_data(root: Path, num_workers: int = 0, seed: int = 0) -> CheckedDataModule:
    """Batches of 2 of 6 training slices under random masks of 2x or 8x."""
    transform = CheckedTransform(
        UnetDataTransform("singlecoil", RandomMaskFunc([0.2, 0.05], [2, 8]), use_seed=False)
    )
    return CheckedDataModule(
        root, "singlecoil", transform, transform, transform, batch_size=2, num_workers=num_workers,
        use_dataset_cache_file=False, seed=seed,
    )  # fmt: skip


def load(data: CheckedDataModule, epoch: int) -> dict[tuple[str, int], torch.Tensor]:
    """The images of an epoch by volume and slice, in the order of loading."""
    return read(data.train_dataloader(), epoch)


def read(loader: DataLoader, epoch: int) -> dict[tuple[str, int], torch.Tensor]:
    """What `load` gives, of a loader that may have loaded other epochs before."""
    assert isinstance(loader.batch_sampler, EpochBatches)
    loader.batch_sampler.sampler.set_epoch(epoch)
    images: dict[tuple[str, int], torch.Tensor] = {}
    for batch in loader:
        assert isinstance(batch, UnetSample)
        keys = zip(batch.fname, batch.slice_num.tolist(), strict=True)
        images.update(zip(keys, batch.image, strict=True))
    return images


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize("num_workers", [2, 8])
def test_workers_change_neither_order_nor_samples(small_dataset: Path, num_workers: int) -> None:
    expected = load(make_data(small_dataset), 1)
    images = load(make_data(small_dataset, num_workers), 1)
    assert len(expected) == 6
    assert list(images) == list(expected)
    assert all(torch.equal(images[key], expected[key]) for key in expected)


def test_processes_that_stay_load_the_next_epoch(small_dataset: Path) -> None:
    loader = make_data(small_dataset, num_workers=1).train_dataloader()
    processes = []
    for epoch in (0, 1):
        expected, images = load(make_data(small_dataset), epoch), read(loader, epoch)
        assert list(images) == list(expected)
        assert all(torch.equal(images[key], expected[key]) for key in expected)
        processes.append({child.pid for child in multiprocessing.active_children()})
    assert processes[0] and processes[0] <= processes[1]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_may_be_started_in_any_way(small_dataset: Path, method: str) -> None:
    """What the three loaders hold can be sent to another process, for both methods alike."""
    data = Data(small_dataset, batch_size=2, num_workers=1).module(on_kspace=True)
    loaders = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
    for loader in loaders[:1] if method == "spawn" else loaders:  # which imports everything again
        expected = [batch.fname for batch in loader]
        loader.multiprocessing_context = method
        assert [batch.fname for batch in loader] == expected


def test_epochs_and_seeds_differ(small_dataset: Path) -> None:
    chosen = [(0, 0), (0, 1), (1, 0)]
    loaded = [load(make_data(small_dataset, seed=seed), epoch) for seed, epoch in chosen]
    for one, other in itertools.combinations(loaded, 2):
        assert one.keys() == other.keys()
        assert list(one) != list(other)
        assert any(not torch.equal(one[key], other[key]) for key in one)


def test_a_sample_does_not_depend_on_what_was_loaded_before(small_dataset: Path) -> None:
    data = make_data(small_dataset)
    slices = data.train_dataloader().dataset
    assert isinstance(slices, SeededSlices)
    state = torch.get_rng_state()
    first = slices[8].image
    assert torch.equal(torch.get_rng_state(), state)
    slices[3]
    assert torch.equal(slices[8].image, first)
    assert not torch.equal(slices[2].image, first)  # the same slice in the epoch before


def test_sample_rates_choose_the_same_part_whatever_is_made_before(small_dataset: Path) -> None:
    def chosen(validation_first: bool) -> list[tuple[str, int]]:
        data = make_data(small_dataset)
        data.sample_rate = data.val_sample_rate = 0.5
        if validation_first:
            data.val_dataloader()
        slices = data.train_dataloader().dataset
        assert isinstance(slices, SeededSlices)
        return [(sample[0].name, sample[1]) for sample in slices.slices.raw_samples]

    assert len(chosen(True)) == 3
    assert chosen(True) == chosen(False)


@pytest.mark.parametrize("n_processes", [1, 2])
def test_going_on_gives_the_batches_that_were_left(n_processes: int) -> None:
    """And whole epochs after it; processes share the slices."""
    numbers = list(range(10))

    def batches(rank: int, epoch: int, start: tuple[int, int] = (0, 0)) -> list[list[int]]:
        sampler: DistributedSampler = DistributedSampler(numbers, n_processes, rank, seed=3)  # type: ignore[arg-type]
        sampled = EpochBatches(sampler, 2, start=start)
        assert len(sampled) == 5 // n_processes + n_processes - 1
        sampler.set_epoch(epoch)
        return list(sampled)

    for rank in range(n_processes):
        assert batches(rank, 4, (4, 2)) == batches(rank, 4)[2:]
        assert batches(rank, 5, (4, 2)) == batches(rank, 5)
    items = [batches(rank, 4) for rank in range(n_processes)]
    assert sorted(itertools.chain(*itertools.chain(*items))) == [40 + number for number in numbers]


def test_seeds_are_all_different() -> None:
    assert len({derive_seed(a, b) for a in range(50) for b in range(50)}) == 2500


def test_challenge_split_is_a_test_split(small_dataset: Path, tmp_path: Path) -> None:
    """The host's own loader fails for it; the volumes of the test split stand in for it here."""
    (tmp_path / "singlecoil_challenge").symlink_to(small_dataset / "singlecoil_test")
    places: list[tuple[Path, Literal["challenge", "test"]]] = [
        (tmp_path, "challenge"),
        (small_dataset, "test"),
    ]
    loaders = [
        Data(root, test_split=split, num_workers=0).module(on_kspace=False).test_dataloader()
        for root, split in places
    ]
    images, expected = (torch.cat([batch.image for batch in loader]) for loader in loaders)
    assert len(images) == 3
    assert torch.equal(images, expected)
