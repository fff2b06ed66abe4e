"""Masks that cannot be made, and masks that are random or equispaced."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastmri.data.subsample import (
    EquispacedMaskFractionFunc,
    MagicMaskFractionFunc,
    RandomMaskFunc,
)

from fastmri_clgnet.data import Mask
from fastmri_clgnet.data.mask import mask_seed
from fastmri_clgnet.data.mask_functions import RandomOrEquispacedMaskFunc
from fastmri_clgnet.data.transforms import make_transform
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.read_scan import read_scan
from fastmri_clgnet.inference import undersample
from tests.helpers import small_volume


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("foo",), "mask_type foo: expected one of random equispaced "),
        (("random", 4, 0.08), "accelerations 4: expected several numbers, such as"),
        (("random", (4,), 0.08), "center_fractions 0.08: expected several numbers, such as"),
        (("random", "4", "0.08"), "accelerations '4': expected several numbers"),
        (("random", (4, 8)), "one centre fraction for each"),
        (("random", (20,)), "acceleration 20 with centre fraction 0.08"),
        (("random", (), ()), "one centre fraction for each"),
        (("random", (4,), (16.5,)), "or a whole number of columns above 1"),
    ],
)
def test_masks_that_cannot_be_made_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Mask(*arguments)


def test_lists_are_as_good_as_tuples() -> None:
    assert Mask("random", [4], [0.08]) == Mask()  # type: ignore[arg-type]
    assert hash(Mask("random", [4], [0.08])) == hash(Mask())  # type: ignore[arg-type]


@pytest.mark.parametrize("mask_type", ["mixed", "all"])
def test_each_kind_that_may_be_drawn_is_checked(mask_type: Any) -> None:
    """A centre of as many columns as are sampled leaves equispaced masks none."""
    Mask("random", (4,), (0.25,)).check([64])
    with pytest.raises(InputError, match=f"mask {mask_type}: none of acceleration 4"):
        Mask(mask_type, (4,), (0.25,)).check([64])


def test_half_are_equispaced_as_the_hosts_are() -> None:
    mixed = RandomOrEquispacedMaskFunc([0.08], [4])
    host = EquispacedMaskFractionFunc([0.08], [4])
    shape = (1, 128, 1)
    equispaced = {host(shape, offset)[0].numpy().tobytes() for offset in range(8)}
    masks = [mixed(shape, seed=seed)[0].numpy() for seed in range(400)]
    is_equispaced = [mask.tobytes() in equispaced for mask in masks]
    assert 0.42 < np.mean(is_equispaced) < 0.58
    others = [mask for mask, known in zip(masks, is_equispaced, strict=True) if not known]
    random = [RandomMaskFunc([0.08], [4])(shape, seed=seed)[0].numpy() for seed in range(200)]
    spreads = [np.mean([mask.mean() for mask in each]) for each in (others, random)]
    assert abs(spreads[0] - spreads[1]) < 0.01
    assert len({mask.tobytes() for mask in others}) == len(others)


def test_all_kinds_a_third_each_as_the_hosts_are() -> None:
    shape = (1, 128, 1)
    known = {
        kind: {kind([0.08], [4])(shape, seed=seed)[0].numpy().tobytes() for seed in range(40)}
        for kind in (EquispacedMaskFractionFunc, MagicMaskFractionFunc)
    }
    masks = [Mask("all").make()(shape, seed=seed)[0].numpy() for seed in range(600)]
    parts = [np.mean([mask.tobytes() in each for mask in masks]) for each in known.values()]
    np.testing.assert_allclose(parts, 1 / 3, atol=0.06)
    rest = [m for m in masks if not any(m.tobytes() in each for each in known.values())]
    assert len({mask.tobytes() for mask in rest}) == len(rest)
    # one generator for all kinds, in another process, too
    one, other = Mask("all").make(seed=5), pickle.loads(pickle.dumps(Mask("all").make(seed=5)))
    for _ in range(9):
        np.testing.assert_array_equal(one(shape)[0], other(shape)[0])


def test_a_file_name_settles_which() -> None:
    masks = [RandomOrEquispacedMaskFunc([0.08], [4])((1, 64, 1), seed=(1, 2)) for _ in range(3)]
    for mask, n_centre in masks:
        np.testing.assert_array_equal(mask, masks[0][0])
        assert n_centre == 5


def test_a_mask_follows_from_the_name_without_its_ending(tmp_path: Path) -> None:
    """It is the host's for fastMRI's files, in folders and for scans of any format."""
    host = tuple(map(ord, "a.b.h5"))
    assert {mask_seed(f"a.b.{ending}") for ending in ("h5", "hdf5", "npy", "dat", "cfl")} == {host}
    assert mask_seed("brain") == tuple(map(ord, "brain"))
    kspace, target = small_volume("singlecoil", 0)
    mask = Mask("random", (4,), (0.1,))
    expected, _ = mask.make()((1, 40, 1), seed=tuple(map(ord, "a.h5")))
    transform = make_transform("singlecoil", mask.make(), on_kspace=True)
    attributes = {"recon_size": (32, 32, 1), "padding_left": 0, "padding_right": 40, "max": 1.0}
    for name in ("a.h5", "a.hdf5"):
        sample: Any = transform(kspace[0], None, target[0], attributes, name, 0)
        assert sample.fname == name
        assert torch.equal(sample.mask.ravel(), expected.ravel())
    np.save(tmp_path / "a.npy", kspace[:, None])
    drawn = undersample(read_scan(tmp_path / "a.npy"), mask).mask
    assert drawn is not None
    assert drawn.tolist() == expected.ravel().tolist()


@pytest.mark.parametrize("mask_type", ["random", "equispaced_fraction", "magic", "mixed", "all"])
def test_a_number_of_columns_in_the_centre(mask_type: Any) -> None:
    """16 of them at any width, which the host would take for 1600 % of the columns."""
    mask = Mask(mask_type, (4,), (16.0,))
    for width in (368, 640, 101):
        columns, n_centre = mask.make()((1, width, 1), seed=0)
        start = (width - 16 + 1) // 2
        assert n_centre == 16 and columns[0, start : start + 16, 0].all()
        assert 0.15 < columns.mean() < 0.45
    mask.check([68, 368])
    with pytest.raises(InputError, match=r"centre fraction 16\.0 for 63 columns"):
        mask.check([63])
    again = pickle.loads(pickle.dumps(mask.make()))
    assert again((1, 368, 1), seed=0)[1] == 16
