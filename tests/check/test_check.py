"""Each kind of damage is found, named, and makes the command end with 1."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from fastmri_clgnet.check.__main__ import main

from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.data.fastmri_file import ismrmrd_header, reference_image
from tests.helpers import COLUMNS, ROWS, SIZE, small_volume

ONE_PROCESS = ["--num_workers", "1"]


@pytest.fixture
def data(small_dataset: Path, tmp_path: Path) -> Path:
    """A small single-coil data set that may be damaged."""
    for split in ("train", "val", "test"):
        shutil.copytree(small_dataset / f"singlecoil_{split}", tmp_path / f"singlecoil_{split}")
    return tmp_path


def _put(key: str, index: object, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[key][index] = value

    return change


def _replace(key: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[key]
        if value is not None:
            file[key] = value

    return change


def _shift(file: h5py.File) -> None:
    file["kspace"][:] = np.fft.ifftshift(file["kspace"][()], axes=(-2, -1))


def _scale(file: h5py.File) -> None:
    file["reconstruction_esc"][1] *= 1.5
    file.attrs["max"] *= 1.5


def _roll(file: h5py.File) -> None:
    file["reconstruction_esc"][:] = np.roll(file["reconstruction_esc"][()], 4, axis=-1)


def _maximum(value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs["max"] = value

    return change


SHAPE = (ROWS, COLUMNS)
DAMAGES: dict[str, tuple[str, Callable[[h5py.File], None], str]] = {
    "no kspace": ("val/c.h5", _replace("kspace", None), "no 'kspace'"),
    "no header": ("val/c.h5", _replace("ismrmrd_header", None), "no 'ismrmrd_header'"),
    "header no XML": ("val/c.h5", _replace("ismrmrd_header", b"x"), "header cannot be used"),
    "header of other sizes": (
        "val/c.h5",
        _replace("ismrmrd_header", ismrmrd_header((SIZE, COLUMNS), (SIZE, SIZE))),
        "encoded matrix of 32 x 40, but the k-space has 64 rows and 40 columns",
    ),
    "acquired columns": (
        "val/c.h5",
        _replace("ismrmrd_header", ismrmrd_header(SHAPE, (SIZE, SIZE), (0, 50))),
        "acquired columns 0 to 50 of 40",
    ),
    "signal in padding": (
        "val/c.h5",
        _replace("ismrmrd_header", ismrmrd_header(SHAPE, (SIZE, SIZE), (0, 30))),
        "signal outside the header's acquired columns (slices 0 1 2)",
    ),
    "nan": ("train/a.h5", _put("kspace", (2, 3, 4), np.nan), "k-space: NaN or Inf (slices 2)"),
    "inf": ("train/a.h5", _put("kspace", (0, 3, 4), np.inf), "k-space: NaN or Inf (slices 0)"),
    "zero": ("train/a.h5", _put("kspace", 1, 0), "k-space: zero everywhere (slices 1)"),
    "not centred": ("train/a.h5", _shift, "largest values are at row 0, column 0, not in the mid"),
    "scaled": ("val/c.h5", _scale, "does not match the k-space (slices 1, NMSE up to 0.25)"),
    "moved": ("val/c.h5", _roll, "target: does not match the k-space (slices 0 1 2"),
    "target nan": ("val/c.h5", _put("reconstruction_esc", 0, np.nan), "target: NaN or Inf"),
    "maximum": ("val/c.h5", _maximum(1.0), "attribute max: 1, but the largest value"),
    "maximum text": ("val/c.h5", _maximum("1"), "attribute max: '1'; expected a number"),
    "maximum array": ("val/c.h5", _maximum(np.ones(1)), "attribute max: array([1.]); expected a"),
    "target slices": ("val/c.h5", _replace("reconstruction_esc", np.ones((1, 4, 4))), "3 slices"),
    "no mask": ("test/e.h5", _replace("mask", None), "no 'mask'"),
    "mask shape": ("test/e.h5", _replace("mask", np.ones(3)), "expected a mask of 40 columns"),
    "mask values": ("test/e.h5", _replace("mask", np.full(40, 2)), "mask: expected 1 where"),
    "mask wrong": ("test/e.h5", _put("mask", 20, 0), "k-space: signal outside the mask"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_where_it_is(
    name: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, change, message = DAMAGES[name]
    with h5py.File(data / f"singlecoil_{place}", "r+") as file:
        change(file)
    assert main([str(data), *ONE_PROCESS, "--json", "-"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert not result["good"]
    found = {
        f"{Path(folder).name.removeprefix('singlecoil_')}/{file}": entry["errors"]
        for folder, split in result["splits"].items()
        for file, entry in split["files"].items()
    }
    assert [file for file, errors in found.items() if errors] == [place]
    assert any(message in error for error in found[place]), found[place]


def test_good_data_is_good_and_the_table_and_json_say_so(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "check.json"
    assert main([str(small_dataset), *ONE_PROCESS, "--json", str(path)]) == 0
    table = capsys.readouterr().out
    assert "10 files: 0 with errors, 0 warnings" in table
    assert "a.h5  3 x 2 x 64 x 40  32 x 32  good" in table
    splits = json.loads(path.read_text())["splits"]
    assert len(splits) == 6
    entry = splits[str(small_dataset / "multicoil_val")]["files"]["c.h5"]
    assert entry == {"kspace": [3, 2, 64, 40], "image": [32, 32], "errors": [], "warnings": []}
    # one challenge, one split, several processes
    assert main([str(small_dataset), "--challenge", "multicoil", *ONE_PROCESS]) == 0
    assert "5 files" in capsys.readouterr().out
    assert main([str(small_dataset / "singlecoil_val"), "--num_workers", "2"]) == 0
    assert "2 files" in capsys.readouterr().out


def test_stray_and_damaged_files(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "singlecoil_val" / ".DS_Store").write_text("stray")
    (data / "singlecoil_val" / "more").mkdir()
    path = data / "singlecoil_train" / "a.h5"
    path.write_bytes(path.read_bytes()[:-2000])
    (data / "singlecoil_challenge").mkdir()
    assert main([str(data), *ONE_PROCESS]) == 1
    table = capsys.readouterr().out
    assert table.count("not an HDF5 file, but fastMRI opens everything in the folder") == 2
    assert "damaged or truncated HDF5 file" in table
    assert "  empty; expected fastMRI's HDF5 files" in table
    assert "5 files: 1 with errors" not in table
    assert "7 files: 3 with errors, 0 warnings; 1 folders with errors" in table


def test_mixed_sizes_and_other_remarks_are_warnings(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The brain data of fastMRI mixes sizes; the host handles them one slice a batch."""
    kspace, target = small_volume("singlecoil", 0)
    write_fastmri_file(data / "singlecoil_val" / "x.h5", kspace, target[:, 1:-1, 2:-2])
    with h5py.File(data / "singlecoil_val" / "c.h5", "r+") as file:
        del file.attrs["acquisition"]
        _replace("ismrmrd_header", ismrmrd_header(SHAPE, (SIZE, 30)))(file)
    assert main([str(data), *ONE_PROCESS]) == 0
    table = capsys.readouterr().out
    assert "warning: images of several sizes (30 x 28, 32 x 32): train with --batch_size 1" in table
    assert "warning: header: image of 32 x 30, but the target has 32 x 32" in table
    assert "warning: no attribute 'acquisition'" in table
    assert "0 with errors, 3 warnings" in table


def test_images_wider_than_high_are_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kspace, _ = small_volume("singlecoil", 0)
    reference = np.stack([reference_image(one, (20, SIZE)) for one in kspace])
    (tmp_path / "singlecoil_train").mkdir()
    write_fastmri_file(tmp_path / "singlecoil_train" / "a.h5", kspace, reference)
    assert main([str(tmp_path), *ONE_PROCESS]) == 0
    assert "warning: image of 20 x 32, wider than high: fastmri.eval" in capsys.readouterr().out


def test_the_current_folder_may_be_a_split(
    small_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(small_dataset / "singlecoil_val")
    assert main([".", *ONE_PROCESS]) == 0
    assert "2 files: 0 with errors" in capsys.readouterr().out


def test_nothing_to_check_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "expected a folder that holds some of singlecoil_train" in capsys.readouterr().err
