"""The inspection of a folder; what may be wrong with a file is in `tests.damages`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.data import Data, Mask, write_fastmri_file
from fastmri_clgnet.data import folders as volumes
from fastmri_clgnet.data.check import check
from fastmri_clgnet.data.folders import challenge_of, check_one_size, inspect_folder, list_files
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference import reconstruct
from fastmri_clgnet.train_clgnet import main
from tests.helpers import QUIET, SMALL, small_volume


@pytest.fixture
def folder(small_dataset: Path, tmp_path: Path) -> Path:
    """A validation split that may be damaged."""
    return Path(shutil.copytree(small_dataset / "singlecoil_val", tmp_path / "singlecoil_val"))


def _set_kspace(path: Path, value: complex, index: object) -> None:
    with h5py.File(path, "r+") as file:
        file["kspace"][index] = value


def test_stray_and_truncated_files(folder: Path) -> None:
    path = folder / "d.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"d.h5: damaged or truncated"):
        inspect_folder(folder, "singlecoil", masked=False)
    (folder / ".DS_Store").write_text("stray")
    with pytest.raises(InputError, match=r"\.DS_Store: not an HDF5 file"):
        inspect_folder(folder, "singlecoil", masked=False)


def test_wrong_challenge_split_and_folder(small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="try challenge multicoil"):
        inspect_folder(small_dataset / "multicoil_val", "singlecoil", masked=False)
    with pytest.raises(InputError, match=r"no 'mask'.*test_split val"):
        inspect_folder(small_dataset / "singlecoil_val", "singlecoil", masked=True)
    with pytest.raises(InputError, match=r"no such folder; expected .* DATA/singlecoil_train"):
        inspect_folder(tmp_path / "singlecoil_train", "singlecoil", masked=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        inspect_folder(tmp_path / "empty", "singlecoil", masked=False)
    with pytest.raises(InputError, match="there are the folders empty"):
        list_files(tmp_path)
    assert challenge_of(small_dataset / "multicoil_test") == "multicoil"


def test_the_folder_of_the_splits_is_not_a_split(small_dataset: Path, tmp_path: Path) -> None:
    """Files may lie beside the splits, such as `convert`'s conversion.json."""
    root = tmp_path / "DATA"
    shutil.copytree(small_dataset / "singlecoil_val", root / "singlecoil_val")
    (root / "conversion.json").touch()
    with pytest.raises(InputError, match="there are the folders singlecoil_val; give one of them"):
        list_files(root)
    meant = rf"did you mean {root}/singlecoil_val \(challenge singlecoil\)\?$"
    with pytest.raises(InputError, match=meant):
        list_files(root / "multicoil_val")
    with pytest.raises(InputError, match=rf"did you mean {root}/singlecoil_val\?$"):
        list_files(tmp_path / "singlecoil_val")
    for name in ("my_val", "singlecoil_train", "nowhere/singlecoil_val"):
        with pytest.raises(InputError, match=r"multicoil_train \.\.\.\)$"):
            list_files(tmp_path / name)


def test_each_tested_split_has_a_folder_of_submissions() -> None:
    assert Data("DATA").submission_folder == "reconstructions"
    assert Data("DATA", test_split="val").submission_folder == "reconstructions_val"
    assert Data("DATA", test_split="challenge").submission_folder == "reconstructions_challenge"
    elsewhere = Data("DATA", test_split="val", test_path="mine")
    assert elsewhere.submission_folder == "reconstructions"


def test_a_test_folder_of_ones_own_is_read_in_place_of_any_split(
    small_dataset: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(small_dataset / "singlecoil_val", tmp_path / "own"))
    (own / "c.h5").rename(own / "mine.h5")
    for path, names in ((own, ["d.h5", "mine.h5"]), (None, ["c.h5", "d.h5"])):
        data = Data(small_dataset, test_split="val", test_path=path, num_workers=0, batch_size=1)
        batches = data.module(False, 0).test_dataloader()
        assert sorted({name for batch in batches for name in batch.fname}) == names
    data = Data(small_dataset, test_split="val", test_volume_sample_rate=0.5, num_workers=0)
    assert len({batch.fname[0] for batch in data.module(False, 0).test_dataloader()}) == 1


def test_good_data_passes(small_dataset: Path) -> None:
    for challenge in ("singlecoil", "multicoil"):
        found = inspect_folder(small_dataset / f"{challenge}_val", challenge, masked=False)
        assert [volume.path.name for volume in found] == ["c.h5", "d.h5"]
        check_one_size(found, batch_size=4)
        other = found[1]._replace(image_size=(30, 32))
        check_one_size([found[0], other], batch_size=1)
        with pytest.raises(InputError, match=r"30 x 32, .*use batch_size 1"):
            check_one_size([found[0], other], batch_size=2)
        wider = found[1]._replace(kspace_shape=(*found[1].kspace_shape[:-1], 99))
        check_one_size([found[0], wider], batch_size=2)
        with pytest.raises(InputError, match=r"k-space of .* x 99, .*use batch_size 1"):
            check_one_size([found[0], wider], batch_size=2, on_kspace=True)
        cropped = found[1]._replace(header=found[1].header._replace(recon=(30, 32)))
        check_one_size([found[0], cropped], batch_size=2)
        with pytest.raises(InputError, match=r"images in the header of 30 x 32, .*batch_size 1"):
            check_one_size([found[0], cropped], batch_size=2, on_kspace=True)


def test_large_data_is_sampled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit only the middle slice is read, unless it has no signal."""
    monkeypatch.setattr(volumes, "READ_WHOLE_BYTES", 0)
    _set_kspace(folder / "c.h5", np.nan, (0, 5, 5))
    inspect_folder(folder, "singlecoil", masked=False)
    _set_kspace(folder / "c.h5", 0, 1)
    with pytest.raises(InputError, match=r"c.h5, slice 0: the k-space holds NaN"):
        inspect_folder(folder, "singlecoil", masked=False)
    _set_kspace(folder / "d.h5", np.nan, (1, 5, 5))
    (folder / "c.h5").unlink()
    with pytest.raises(InputError, match=r"d.h5, slice 1: the k-space holds NaN"):
        inspect_folder(folder, "singlecoil", masked=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kspace: kspace.swapaxes(-2, -1), "swap the two last axes"),
        (lambda kspace: np.fft.ifftshift(kspace, (-2, -1)), "the centre of k-space is in row 0"),
    ],
)
def test_axes_and_centre_are_inspected_in_every_way_in(
    change: Callable[[np.ndarray], np.ndarray],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kspace, target = small_volume("singlecoil", 0)
    for split in ("train", "val"):
        path = tmp_path / f"singlecoil_{split}" / "a.h5"
        write_fastmri_file(path, kspace, target)
        with h5py.File(path, "r+") as file:
            del file["kspace"]
            file["kspace"] = np.ascontiguousarray(change(kspace))
    assert message in str(check(tmp_path, num_workers=1))
    with pytest.raises(InputError, match=f"a.h5: .*{message}"):
        reconstruct(path.parent, tmp_path / "out", model="zero_filled", mask=Mask(), device="cpu")
    assert main([*SMALL, *QUIET, "--data_path", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err
