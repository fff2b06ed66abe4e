"""Each kind of damage is found, named, and makes the command end with 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.check import main
from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.data.check import check
from fastmri_clgnet.formats.fourier import reference_image
from fastmri_clgnet.formats.header import ismrmrd_header
from tests.damages import DAMAGES
from tests.helpers import COLUMNS, ROWS, SIZE, small_volume

ONE_PROCESS = ["--num_workers", "1"]


@pytest.fixture
def data(small_dataset: Path, tmp_path: Path) -> Path:
    """A small single-coil data set that may be damaged."""
    for split in ("train", "val", "test"):
        shutil.copytree(small_dataset / f"singlecoil_{split}", tmp_path / f"singlecoil_{split}")
    return tmp_path


def _damage(data: Path, name: str) -> str:
    """Do what the table says, and return which file it is now wrong with."""
    damage = DAMAGES[name]
    with h5py.File(data / f"singlecoil_{damage.place}", "r+") as file:
        damage.edit(file)
    return damage.place


def test_damage_is_found_where_it_is(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is found in a single file is tested with the table, in tests/reliability."""
    for name in ("nan", "mask wrong"):
        _damage(data, name)
    assert main([str(data), *ONE_PROCESS, "--json", "-"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert not result["good"]
    found = {
        f"{Path(folder).name.removeprefix('singlecoil_')}/{file}": entry["errors"]
        for folder, split in result["splits"].items()
        for file, entry in split["files"].items()
    }
    assert [file for file, errors in found.items() if errors] == ["val/c.h5", "test/e.h5"]
    assert found["val/c.h5"][0] == "k-space: NaN or Inf (slices 2)"
    assert found["test/e.h5"] == ["k-space: signal outside the mask (slices 0 1 2)"]


def test_the_function_finds_what_the_command_prints(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _damage(data, "scaled")
    findings = check(data, "singlecoil", num_workers=1)
    assert not findings.good
    assert main([str(data), *ONE_PROCESS, "--json", str(data / "check.json")]) == 1
    assert capsys.readouterr().out == f"{findings}\n"
    written = json.loads((data / "check.json").read_text())
    assert written == json.loads(json.dumps(findings.as_dict()))


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
    # one challenge, one split
    assert main([str(small_dataset), "--challenge", "multicoil", *ONE_PROCESS]) == 0
    assert "5 files" in capsys.readouterr().out


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
    wide = np.stack([reference_image(one, (20, SIZE)) for one in kspace])
    write_fastmri_file(data / "singlecoil_train" / "wide.h5", kspace, wide)
    with h5py.File(data / "singlecoil_val" / "c.h5", "r+") as file:
        del file.attrs["acquisition"]
        del file["ismrmrd_header"]
        file["ismrmrd_header"] = ismrmrd_header((ROWS, COLUMNS), (SIZE, 30))
    assert main([str(data), *ONE_PROCESS]) == 0
    table = capsys.readouterr().out
    assert "warning: images of several sizes (30 x 28, 32 x 32): train with batch_size 1" in table
    assert "warning: header: image of 32 x 30, but the target has 32 x 32" in table
    assert "warning: no attribute 'acquisition'" in table
    assert "warning: image of 20 x 32, wider than high: fastmri.eval" in table
    assert "0 with errors, 5 warnings" in table


def test_the_current_folder_may_be_a_split(
    small_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(small_dataset / "singlecoil_val")
    assert main([".", *ONE_PROCESS]) == 0
    assert "2 files: 0 with errors" in capsys.readouterr().out


def test_nothing_to_check_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "expected a folder that holds some of singlecoil_train" in capsys.readouterr().err
