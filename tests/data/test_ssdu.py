"""The split of measured columns: of one mask, and of the samples of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from fastmri.data.transforms import VarNetDataTransform, VarNetSample

from fastmri_clgnet.data import Data, Mask, check, write_fastmri_file
from fastmri_clgnet.data.folders import holds_masks, inspect_folder
from fastmri_clgnet.data.ssdu import Partition, PartitionedSample
from fastmri_clgnet.errors import InputError
from tests.helpers import COLUMNS, SIZE, small_volume


def column_mask(columns: int, first: int, end: int, step: int = 3) -> torch.Tensor:
    """Every so many columns, and the centre from `first` to `end`, as samples have it."""
    mask = torch.zeros(1, 1, columns, 1, dtype=torch.bool)
    mask[:, :, ::step] = mask[:, :, first:end] = True
    return mask


@pytest.mark.parametrize("columns", [40, 41, 128])
@pytest.mark.parametrize("ratio", [0.2, 0.4])
@pytest.mark.parametrize("masks", [1, 4])
def test_two_parts_of_what_was_measured(
    columns: int, ratio: float, masks: int, generator: torch.Generator
) -> None:
    mask = column_mask(columns, columns // 2 - 3, columns // 2 + 3, step=2)
    held_out = Partition(ratio, masks).held_out(mask, generator)
    assert held_out.shape == (masks, *mask.shape)
    assert held_out.dtype == torch.bool
    given = mask & ~held_out
    assert not (given & held_out).any()
    assert torch.equal(given | held_out, mask.expand_as(held_out))
    assert not held_out[..., columns // 2 - 3 : columns // 2 + 3, :].any()  # the centre is given
    counts = held_out.flatten(1).sum(1)
    assert (counts == round(ratio * int(mask.sum()))).all()
    if masks > 1:
        assert len({tuple(each.flatten().tolist()) for each in held_out}) > 1


def test_every_column_outside_of_the_centre_is_drawn(generator: torch.Generator) -> None:
    mask = column_mask(30, 13, 17)
    drawn = Partition(masks=400).held_out(mask, generator).flatten(1).float().mean(0)
    sampled = mask.flatten()
    outer = sampled.clone()
    outer[12:17] = False  # column 12 is measured, and belongs to the centre's piece
    assert (drawn[~outer] == 0).all()
    expected = round(0.4 * int(sampled.sum())) / int(outer.sum())
    np.testing.assert_allclose(drawn[outer], expected, atol=0.12)


def test_refuses_what_has_no_room() -> None:
    for ratio in (0.0, 1.0, -0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match=r"ssdu_ratio .*: expected a number between 0 and 1"):
            Partition(ratio)
    with pytest.raises(InputError, match="ssdu_masks 0: expected 1 or more"):
        Partition(masks=0)
    centre_only = torch.zeros(1, 1, 40, 1, dtype=torch.bool)
    centre_only[:, :, 10:30] = True
    with pytest.raises(InputError, match=r"a.h5: .*8 of 20 measured columns, of which 0 are"):
        Partition().held_out(centre_only, name="a.h5")
    with pytest.raises(InputError, match="of which 0 are"):
        Partition().held_out(torch.ones(1, 1, 40, 1, dtype=torch.bool))
    few = column_mask(40, 18, 22, step=10)  # 3 columns outside of the centre, column 20 in it
    with pytest.raises(InputError, match="holds out 3 of 7 measured columns, of which 3 are"):
        Partition().held_out(few)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Undersampled volumes without reference for training and validation."""
    mask = np.zeros(COLUMNS, bool)
    mask[::2] = mask[17:23] = True
    for seed, name in enumerate(("train/a", "train/b", "val/c")):
        kspace, _ = small_volume("multicoil", seed)
        path = tmp_path / f"multicoil_{name}.h5"
        write_fastmri_file(path, kspace * mask, mask=mask, recon_size=(SIZE, SIZE))
    return Data(tmp_path, "multicoil", batch_size=3, num_workers=0)


def drawn(data: Data, seed: int, epoch: int, workers: int = 0) -> dict[tuple[str, int], str]:
    """The held-out columns of an epoch's slices."""
    data = Data(data.data_path, data.challenge, batch_size=3, num_workers=workers, mask=data.mask)
    loader = data.module(True, seed, partition=Partition()).train_dataloader()
    batches: Any = loader.batch_sampler
    batches.sampler.set_epoch(epoch)
    found = {}
    batch: Any
    for batch in loader:
        assert batch._fields == PartitionedSample._fields
        assert not (batch.held_out[:, 0] & ~batch.mask).any()
        for name, number, held_out in zip(
            batch.fname, batch.slice_num, batch.held_out, strict=True
        ):
            found[name, int(number)] = "".join(str(int(each)) for each in held_out.flatten())
    return found


def test_the_split_follows_from_seed_epoch_and_slice(data: Data) -> None:
    first = drawn(data, seed=3, epoch=1)
    assert len(first) == 6
    assert len(set(first.values())) > 3
    assert drawn(data, seed=3, epoch=1) == first
    assert drawn(data, seed=3, epoch=1, workers=1) == first
    for other in (drawn(data, seed=3, epoch=2), drawn(data, seed=4, epoch=1)):
        assert other.keys() == first.keys()
        assert other != first


def test_the_validations_split_is_fixed(data: Data) -> None:
    splits = []
    for seed in (0, 1):
        loader = data.module(True, seed, partition=Partition(masks=2)).val_dataloader()
        splits += [torch.cat([batch.held_out for batch in loader]) for _ in range(2)]
    for other in splits[1:]:
        assert torch.equal(splits[0], other)
    assert len({str(each.tolist()) for each in splits[0]}) > 1  # of each slice


def test_of_fully_sampled_volumes_one_mask_is_used_in_all_epochs(small_dataset: Path) -> None:
    """What the mask did not measure of a volume is never used."""
    mask = Mask(accelerations=(2,))
    data = Data(small_dataset, "multicoil", mask=mask, batch_size=6, num_workers=0)
    loader = data.module(True, partition=Partition()).train_dataloader()
    batches: Any = loader.batch_sampler
    host = VarNetDataTransform(mask.make())
    seen: dict[str, torch.Tensor] = {}
    for epoch in (0, 1):
        batches.sampler.set_epoch(epoch)
        (batch,) = loader
        for i, name in enumerate(batch.fname):
            assert torch.equal(seen.setdefault(name, batch.mask[i]), batch.mask[i])
            assert not batch.masked_kspace[i][
                ~batch.mask[i].expand(2, 64, COLUMNS, 1)[..., 0]
            ].any()
    assert len(seen) == 2
    kspace, target = small_volume("multicoil", 0)
    attributes = {"padding_left": 0, "padding_right": COLUMNS, "recon_size": (SIZE, SIZE, 1)}
    sample = host(kspace[0], None, target[0], {**attributes, "max": 1.0}, "a.h5", 0)
    assert torch.equal(sample.mask, seen["a.h5"])
    assert PartitionedSample._fields[:-1] == VarNetSample._fields


def test_which_volumes_are_undersampled_already(tmp_path: Path) -> None:
    """A mask beside fully sampled k-space is for others to apply."""
    kspace, target = small_volume("multicoil", 0)
    mask = np.zeros(COLUMNS, bool)
    mask[::2] = mask[17:23] = True
    every = np.ones(COLUMNS, bool)
    given: dict[str, tuple[np.ndarray, np.ndarray | None, np.ndarray | None]] = {
        "without reference": (kspace * mask, None, mask),
        "with reference": (kspace * mask, target, mask),
        "fully sampled": (kspace, target, None),
        "all columns": (kspace, target, every),
    }
    for name, (values, reference, sampled) in given.items():
        path = tmp_path / name / "multicoil_train" / "a.h5"
        write_fastmri_file(path, values, reference, sampled, recon_size=(SIZE, SIZE))
        found = holds_masks(path.parent, "multicoil")
        assert found == name.startswith("with"), name
        split_mask = Data(tmp_path / name, "multicoil").split_mask
        assert split_mask("train") == Mask()
        assert split_mask("train", self_supervised=True) == (None if found else Mask())
        assert check(path.parent, num_workers=1).good
    other = tmp_path / "fully sampled" / "multicoil_train" / "b.h5"
    write_fastmri_file(other, kspace * mask, target, mask, recon_size=(SIZE, SIZE))
    with pytest.raises(InputError, match=r"b\.h5: is undersampled already"):
        inspect_folder(other.parent, "multicoil", masked=False)
    other.unlink()
    path = tmp_path / "fully sampled" / "multicoil_train" / "a.h5"
    with h5py.File(path, "r+") as file:
        file["mask"] = mask  # others leave signal outside of it
    assert not holds_masks(path.parent, "multicoil")
    assert check(path.parent, num_workers=1).good
