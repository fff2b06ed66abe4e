"""The demo data set: what it holds, that it is the same each time, and never half made."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.data import demo as demo_module
from fastmri_clgnet.data import demo_volume, make_demo_dataset
from fastmri_clgnet.data.demo_volume import simulate_volume
from fastmri_clgnet.data.folders import inspect_folder
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import Challenge
from tests.processes import SERVER

LOCK = f".singlecoil_v{demo_module.VERSION}.lock"  # stays: removing it would let two in

TINY = {"train": (1, 1), "val": (1, 1), "test": (1, 2)}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer volumes, of the real making."""
    monkeypatch.setattr(demo_module, "VOLUMES", TINY)
    monkeypatch.setattr(demo_volume, "SIZE", 32)


@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
@pytest.mark.usefixtures("tiny")
def test_makes_checked_deterministic_data(challenge: Challenge, tmp_path: Path) -> None:
    first = make_demo_dataset(challenge, tmp_path / "a")
    second = make_demo_dataset(challenge, tmp_path / "b")
    for split in TINY:
        volumes = inspect_folder(first / f"{challenge}_{split}", challenge, masked=split == "test")
        assert len(volumes) == 1
        other = second / f"{challenge}_{split}" / volumes[0].path.name
        with h5py.File(volumes[0].path) as a, h5py.File(other) as b:
            assert np.array_equal(a["kspace"][()], b["kspace"][()])
            if split == "test":
                kspace, mask = a["kspace"][()], a["mask"][()]
                assert mask.sum() < len(mask) / 2
                assert not kspace[..., ~mask].any()
                assert kspace[..., mask].any()
            else:
                target = a[f"reconstruction_{'esc' if challenge == 'singlecoil' else 'rss'}"][()]
                assert np.isclose(a.attrs["max"], target.max())
    assert make_demo_dataset(challenge, tmp_path / "a") == first


def test_another_challenge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="challenge 'single': expected one of singlecoil multi"):
        make_demo_dataset("single", tmp_path)  # type: ignore[arg-type]


@pytest.mark.usefixtures("tiny")
def test_volumes_differ() -> None:
    one, _ = simulate_volume("singlecoil", 1, (1,))
    two, target = simulate_volume("singlecoil", 1, (2,))
    assert not np.allclose(one, two)
    assert target.shape == (1, 32, 32)


@pytest.mark.usefixtures("tiny")
def test_interrupted_making_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo_volume, "write_volume", fail)
        with pytest.raises(KeyboardInterrupt):
            make_demo_dataset("singlecoil", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert make_demo_dataset("singlecoil", tmp_path).is_dir()


def _make(folder: Path) -> None:
    demo_module.VOLUMES = TINY
    demo_volume.SIZE = 32
    make_demo_dataset("singlecoil", folder)


def test_concurrent_making_gives_one_data_set(tmp_path: Path) -> None:
    processes = [SERVER.Process(target=_make, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"singlecoil_v1", LOCK}
