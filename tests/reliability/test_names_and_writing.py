"""Names that lead elsewhere, and full disks: nothing is written outside, or half written."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from fastmri_clgnet.check import main as check
from fastmri_clgnet.convert import main as convert
from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path, plain_name
from fastmri_clgnet.pl_modules import ZeroFilledModule
from fastmri_clgnet.reconstruct import main as reconstruct
from fastmri_clgnet.reporting.sources import find_sources
from fastmri_clgnet.train_clgnet import main as train_clgnet
from tests.helpers import MASK, QUIET, small_volume

HOSTILE = ("../x.h5", "../../../x.h5", "/tmp/x.h5", "a/b.h5", "..\\x.h5", "..", ".", "", "a\0.h5")


@contextmanager
def _small_disk(n_bytes: int) -> Iterator[None]:
    """Limit files of this process to this many bytes; more is an error, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def _assert_errors(stderr: str, name: str) -> None:
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert errors, stderr
    assert all("cannot be written" in error for error in errors), errors
    assert name in errors[0]
    assert "Traceback" not in stderr


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_samples_do_not_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the name of a file only"):
        plain_name(name)
    module = ZeroFilledModule(0)
    root = tmp_path / "a" / "b" / "c"
    root.mkdir(parents=True)

    class Trainer:
        default_root_dir = str(root)

    module._trainer = Trainer()
    output = np.zeros((1, 4, 4), np.float32)
    module._test_outputs = [{"fname": [name], "slice": torch.zeros(1), "output": output}]
    with pytest.raises(InputError, match="expected the name of a file only"):
        module.on_test_epoch_end()
    assert _files(tmp_path) == []


def test_plain_names_are_kept() -> None:
    for name in ("file1000.h5", "a b.h5", "Ä..h5", "...h5"):
        assert plain_name(name) == name


def test_a_link_in_the_output_folder_is_replaced_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    (tmp_path / "out.txt").symlink_to(outside)
    with atomic_path(tmp_path / "out.txt") as temporary:
        temporary.write_text("new")
    assert outside.read_text() == "mine"
    assert (tmp_path / "out.txt").read_text() == "new"


def test_names_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 are converted, checked, reconstructed, and printed as escapes."""
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdout", printed)
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / os.fsdecode(b"M\xfcller.npy"), small_volume("singlecoil", 0)[0])
    flags = ["--from", "numpy", "--axes", "slice", "row", "column", "--split", "0", "0", "1"]
    assert convert([str(tmp_path / "in"), str(tmp_path / "out"), *flags]) == 0
    assert check([str(tmp_path / "out")]) == 0
    data, out = tmp_path / "out" / "singlecoil_test", tmp_path / "reconstructed"
    folders = ["--data_path", str(data), "--output_path", str(out)]
    assert reconstruct(["--model", "zero_filled", *folders]) == 0
    name = os.fsdecode(b"M\xfcller.h5")
    assert _files(out) == _files(data) == [name]
    with h5py.File(data / name) as file:
        assert file.attrs["patient_id"] == "M\N{REPLACEMENT CHARACTER}ller"
    assert b"M\\udcfcller.h5" in printed.buffer.getvalue()


def test_a_run_that_names_another_challenge_is_refused(tmp_path: Path) -> None:
    """Its settings would lead a report to make a demo data set in another folder."""
    settings = {"challenge": "../../x", "mask_type": "random"}
    settings |= {"accelerations": [4], "center_fractions": [0.08]}  # type: ignore[dict-item]
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"config.yaml: challenge '../../x'; expected one of"):
        find_sources([tmp_path], None)


def test_a_full_disk_keeps_the_good_file(tmp_path: Path) -> None:
    kspace, target = small_volume("singlecoil", 0)
    path = tmp_path / "a.h5"
    write_fastmri_file(path, kspace, target)
    before = path.read_bytes()
    with _small_disk(20_000), pytest.raises(InputError, match=r"a.h5: cannot be written"):
        write_fastmri_file(path, 2 * kspace)
    assert path.read_bytes() == before
    assert _files(tmp_path) == ["a.h5"]


def test_a_full_disk_while_reconstructing(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = small_dataset / "singlecoil_val", tmp_path / "out"
    flags = ["--model", "zero_filled", "--data_path", str(data), "--output_path", str(out), *MASK]
    assert reconstruct(flags) == 0
    before = [(out / name).read_bytes() for name in ("c.h5", "d.h5")]
    capsys.readouterr()
    with _small_disk(8000):
        assert reconstruct([*flags, "--overwrite"]) == 1
    _assert_errors(capsys.readouterr().err, str(out / "c.h5"))
    assert [(out / name).read_bytes() for name in ("c.h5", "d.h5")] == before
    assert _files(out) == ["c.h5", "d.h5"]


def test_a_full_disk_while_testing(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "run"
    flags = ["--model", "zero_filled", "--data_path", str(small_dataset), *QUIET, "--mode", "test"]
    with _small_disk(8000):
        assert train_clgnet([*flags, "--default_root_dir", str(root)]) == 1
    _assert_errors(capsys.readouterr().err, str(root / "reconstructions"))
    assert [name for name in _files(root) if name.endswith(".h5")] == []
    assert {path.name for path in root.iterdir()} == {".lock", "reconstructions"}


def test_a_full_disk_while_converting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "train").mkdir(parents=True)
    for name in ("a", "b", "c"):
        np.save(source / "train" / f"{name}.npy", small_volume("singlecoil", 0)[0])
    flags = [str(source), str(out), "--from", "numpy", "--axes", "slice", "row", "column"]
    flags += ["--num_workers", "1"]
    with _small_disk(20_000):
        assert convert(flags) == 1
    _assert_errors(capsys.readouterr().err, "a.npy")
    assert _files(out) == ["conversion.json"]
    assert convert(flags) == 0
    assert len(_files(out / "singlecoil_train")) == 3
    with h5py.File(out / "singlecoil_train" / "a.h5") as file:
        np.testing.assert_array_equal(file["kspace"], small_volume("singlecoil", 0)[0])
