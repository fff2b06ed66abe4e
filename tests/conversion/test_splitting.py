"""Splits: proportions, groups, seeds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fastmri_clgnet.conversion.splitting import assign_splits, group_of, split_source
from fastmri_clgnet.errors import InputError

NAMES = [Path(f"p{p}/p{p}_s{s}.npy") for p in range(10) for s in range(3)]


def test_proportions_and_seed() -> None:
    drawn = assign_splits(NAMES, (0.8, 0.1, 0.1), "volume", 0)
    assert Counter(drawn.values()) == {"train": 24, "val": 3, "test": 3}
    assert drawn == assign_splits(NAMES, (0.8, 0.1, 0.1), "volume", 0)
    assert drawn != assign_splits(NAMES, (0.8, 0.1, 0.1), "volume", 1)
    # every split that is asked for has something
    few = assign_splits(NAMES[:3], (0.9, 0.05, 0.05), "volume", 0)
    assert sorted(few.values()) == ["test", "train", "val"]
    assert set(assign_splits(NAMES, (0, 1, 0), "volume", 0).values()) == {"val"}


@pytest.mark.parametrize("by", ["folder", "prefix"])
def test_groups_stay_together(by: str) -> None:
    drawn = assign_splits(NAMES, (0.5, 0.3, 0.2), by, 0)  # type: ignore[arg-type]
    for p in range(10):
        assert len({drawn[name] for name in NAMES if name.parts[0] == f"p{p}"}) == 1
    assert Counter(drawn.values()) == {"train": 15, "val": 9, "test": 6}
    assert group_of(Path("sub-01_T1w.nii.gz"), "prefix") == "sub-01"
    assert group_of(Path("a.npy"), "folder") == "a.npy"


def test_what_cannot_be_met_is_refused() -> None:
    with pytest.raises(InputError, match="add up to 1"):
        assign_splits(NAMES, (0.8, 0.1, 0.2), "volume", 0)
    with pytest.raises(InputError, match="add up to 1"):
        assign_splits(NAMES, (float("nan"), 0.0, 1.0), "volume", 0)
    with pytest.raises(InputError, match=r"1 volume\(s\) cannot fill train val test"):
        assign_splits(NAMES[:1], (0.8, 0.1, 0.1), "volume", 0)


def test_two_files_of_a_name_are_refused_whatever_is_drawn(tmp_path: Path) -> None:
    for name in ("s1.npy", "s1.npz"):
        (tmp_path / name).touch()
    for seed in range(4):
        with pytest.raises(InputError, match=r"2 files would be s1\.h5; rename them"):
            split_source(tmp_path, (".npy", ".npz"), (0.5, 0.5, 0), "volume", seed)


def test_other_names_of_splits(tmp_path: Path) -> None:
    names = {"Training": "train", "valid": "val", "Validation": "val", "TESTING": "test"}
    for folder in names:
        (tmp_path / folder / "p1").mkdir(parents=True)
        (tmp_path / folder / "p1" / f"{folder}.npy").touch()
    found = split_source(tmp_path, (".npy",), None, "volume", 0)
    assert {one.name: one.split for one in found} == {f"p1_{n}": names[n] for n in names}


def test_own_splits(tmp_path: Path) -> None:
    """Folders of any case, and links to folders elsewhere; hidden and other files are left out."""
    for name in ("s/Train/p1/a.npy", "s/TEST/b.NPY", "s/TEST/.c.npy", "s/notes.txt", "far/a.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    source = tmp_path / "s"
    (source / "Validation").symlink_to(tmp_path / "far")
    assert split_source(source, (".npy",), None, "volume", 0) == [
        (source / "TEST" / "b.NPY", "b", "test", ()),
        (source / "Train" / "p1" / "a.npy", "p1_a", "train", ()),
        (source / "Validation" / "a.npy", "a", "val", ()),
    ]
    (source / "Train" / "p2").symlink_to(tmp_path / "far")
    (source / "Train" / "p1" / "again").symlink_to(source)  # round in a circle
    (source / "TEST" / "lost.npy").symlink_to(tmp_path / "nowhere")  # reading it names it
    found = [name for _, name, _, _ in split_source(source, (".npy",), None, "volume", 0)]
    assert found == ["b", "lost", "p1_a", "p2_a", "a"]
    (source / "val").mkdir()
    (source / "val" / "a.npy").touch()
    with pytest.raises(InputError, match=r"2 files would be val/a\.h5"):
        split_source(source, (".npy",), None, "volume", 0)
    (source / "left.npy").touch()
    with pytest.raises(InputError, match=r"1 file\(s\) outside them, such as left.npy; sort all"):
        split_source(source, (".npy",), None, "volume", 0)
