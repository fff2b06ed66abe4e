"""Each kind of bad file gets one clear error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.data import check_split
from fastmri_clgnet.data import file_checks as file_checks_module
from fastmri_clgnet.data.volumes import check_one_size
from fastmri_clgnet.errors import InputError


def _edit(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return apply


def _delete(key: str) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        del file[key]

    return _edit(change)


def _set_kspace(value: complex, index: object) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        file["kspace"][index] = value

    return _edit(change)


def _header(text: bytes) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        del file["ismrmrd_header"]
        file["ismrmrd_header"] = text

    return _edit(change)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _stray(path: Path) -> None:
    (path.parent / ".DS_Store").write_text("stray")


def _drop_max(file: h5py.File) -> None:
    del file.attrs["max"]


DAMAGES = {
    "truncated": (_truncate, "c.h5: damaged or truncated"),
    "stray": (_stray, r"\.DS_Store: not an HDF5 file"),
    "no kspace": (_delete("kspace"), "c.h5: no 'kspace'"),
    "no header": (_delete("ismrmrd_header"), "c.h5: no 'ismrmrd_header'"),
    "no reference": (_delete("reconstruction_esc"), "c.h5: no 'reconstruction_esc'"),
    "no max": (_edit(_drop_max), "c.h5: no attribute 'max'"),
    "nan": (_set_kspace(np.nan, (2, 5, 5)), "c.h5, slice 2: the k-space holds NaN"),
    "zero": (_set_kspace(0, ...), "c.h5: the k-space is zero everywhere"),
    "header not XML": (_header(b"<broken"), "c.h5: the ismrmrd_header cannot be used"),
    "header empty": (_header(b"<a/>"), "c.h5: the ismrmrd_header cannot be used"),
    "header entities": (_header(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "XML entities"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(damage: str, small_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "singlecoil_val"
    shutil.copytree(small_dataset / "singlecoil_val", folder)
    apply, message = DAMAGES[damage]
    apply(folder / "c.h5")
    with pytest.raises(InputError, match=message):
        check_split(folder, "singlecoil", masked=False)


def test_wrong_challenge_and_split(small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="try --challenge multicoil"):
        check_split(small_dataset / "multicoil_val", "singlecoil", masked=False)
    with pytest.raises(InputError, match=r"no 'mask'.*--test_split val"):
        check_split(small_dataset / "singlecoil_val", "singlecoil", masked=True)
    with pytest.raises(InputError, match="no such folder; expected --data_path"):
        check_split(tmp_path / "singlecoil_train", "singlecoil", masked=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        check_split(tmp_path / "empty", "singlecoil", masked=False)


def test_good_data_passes(small_dataset: Path) -> None:
    for challenge in ("singlecoil", "multicoil"):
        volumes = check_split(small_dataset / f"{challenge}_val", challenge, masked=False)
        assert [volume.path.name for volume in volumes] == ["c.h5", "d.h5"]
        check_one_size(volumes, batch_size=4)
        other = volumes[1]._replace(image_size=(30, 32))
        check_one_size([volumes[0], other], batch_size=1)
        with pytest.raises(InputError, match=r"30 x 32, .*use --batch_size 1"):
            check_one_size([volumes[0], other], batch_size=2)
        wider = volumes[1]._replace(kspace_shape=(*volumes[1].kspace_shape[:-1], 99))
        check_one_size([volumes[0], wider], batch_size=2)
        with pytest.raises(InputError, match=r"k-space of .* x 99, .*use --batch_size 1"):
            check_one_size([volumes[0], wider], batch_size=2, on_kspace=True)


def test_large_data_is_sampled(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit only the middle slice is read, unless it has no signal."""
    monkeypatch.setattr(file_checks_module, "READ_WHOLE_BYTES", 0)
    folder = tmp_path / "singlecoil_val"
    shutil.copytree(small_dataset / "singlecoil_val", folder)
    _set_kspace(np.nan, (0, 5, 5))(folder / "c.h5")
    check_split(folder, "singlecoil", masked=False)
    _set_kspace(0, 1)(folder / "c.h5")
    with pytest.raises(InputError, match=r"c.h5, slice 0: the k-space holds NaN"):
        check_split(folder, "singlecoil", masked=False)
    _set_kspace(np.nan, (1, 5, 5))(folder / "d.h5")
    (folder / "c.h5").unlink()
    with pytest.raises(InputError, match=r"d.h5, slice 1: the k-space holds NaN"):
        check_split(folder, "singlecoil", masked=False)
