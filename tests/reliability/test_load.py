"""Thousands of files start soon, and the number of loader processes changes no sample."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from fastmri_clgnet.data import Data
from fastmri_clgnet.data.folders import inspect_folder
from fastmri_clgnet.formats import isolate
from fastmri_clgnet.train_clgnet import main
from tests.helpers import QUIET, SMALL


def _cpu_seconds() -> float:
    """Computing time of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _many(root: Path, original: Path, sizes: dict[str, int]) -> Path:
    for split, n_files in sizes.items():
        folder = root / f"singlecoil_{split}"
        folder.mkdir(parents=True)
        for i in range(n_files):
            (folder / f"{i:04}.h5").write_bytes(original.read_bytes())
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="opens files in this process elsewhere")
def test_the_check_opens_each_file_once(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a fraction of a minute for 2,000 files; this test has a tenth of them."""
    root = _many(tmp_path / "data", small_dataset / "singlecoil_val" / "c.h5", {"train": 200})
    log = tmp_path / "opened"
    original = isolate.open_hdf5

    def noting(path: Path):  # type: ignore[no-untyped-def]
        with log.open("a") as file:  # another process opens them
            file.write(f"{path.name}\n")
        return original(path)

    monkeypatch.setattr(isolate, "open_hdf5", noting)
    start = _cpu_seconds()
    found = inspect_folder(root / "singlecoil_train", "singlecoil", masked=False)
    seconds = _cpu_seconds() - start
    assert len(found) == 200
    assert log.read_text().split() == [volume.path.name for volume in found]
    assert seconds < 6, seconds


@pytest.mark.slow
def test_2000_volumes_start_within_a_minute(small_dataset: Path, tmp_path: Path) -> None:
    """Check, the host's data sets, a training step, and a validation step, in computing time."""
    sizes = {"train": 1600, "val": 400}
    root = _many(tmp_path / "data", small_dataset / "singlecoil_val" / "c.h5", sizes)
    flags = ["--data_path", str(root), "--default_root_dir", str(tmp_path / "run")]
    flags += ["--max_epochs", "1", "--limit_train_batches", "1", "--limit_val_batches", "1"]
    start = _cpu_seconds()
    assert main([*SMALL, *QUIET, *flags]) == 0
    seconds = _cpu_seconds() - start
    print(f"{seconds:.1f} s of computing")
    assert seconds < 60


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_loader_processes_change_no_validation_or_test_sample(small_dataset: Path) -> None:
    def samples(num_workers: int, split: str) -> list[tuple]:
        data = Data(small_dataset, batch_size=2, num_workers=num_workers).module(on_kspace=False)
        loader = data.val_dataloader() if split == "val" else data.test_dataloader()
        return [tuple(batch) for batch in loader]

    for split in ("val", "test"):
        expected = samples(0, split)
        assert expected
        for num_workers in (2, 8):
            for batch, other in zip(samples(num_workers, split), expected, strict=True):
                torch.testing.assert_close(batch[:4], other[:4], rtol=0, atol=0)
                assert batch[4] == other[4]  # file names
                assert torch.equal(batch[5], other[5])  # slices
