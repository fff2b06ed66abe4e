"""Interrupted, continued and changed conversions."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.conversion.convert import RECORD, convert
from fastmri_clgnet.conversion.writing import PARTIAL
from fastmri_clgnet.convert import main
from fastmri_clgnet.data import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import NumPy, Scan
from tests.conversion.host import assert_good, blobs, fft2c

FLAGS = ["--from", "numpy", "--axes", "slice", "row", "column", "--kind", "image"]


def _contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def _wait_for_the_end(group: int) -> None:
    """Wait until no process of a group is left."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("processes are left")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten volumes of magnitude images, below folders, and files of other kinds."""
    for i in range(10):
        folder = tmp_path / "in" / f"p{i // 2}"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"v{i}.npy", np.abs(blobs(i, 2, 24, 20)))
        (folder / "._v.npy").write_text("stray")
        (folder / "notes.txt").write_text("notes")
    return tmp_path / "in"


def test_a_killed_conversion_resumes_to_the_same_bytes(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL to the main process of two workers, which end with it; one process goes on."""
    assert main([str(source), str(tmp_path / "whole"), *FLAGS, "--num_workers", "1"]) == 0
    whole = _contents(tmp_path / "whole")
    assert len(whole) == 11
    out = tmp_path / "out"
    command = [str(source), str(out), *FLAGS, "--num_workers", "2"]
    # a volume that keeps the converter waiting: a named pipe that nobody writes to
    last = source / "p4" / "v9.npy"
    last.unlink()
    os.mkfifo(last)
    program = (
        "import pathlib, sys; from fastmri_clgnet import convert as command;"
        "is_file = pathlib.Path.is_file;"
        "pathlib.Path.is_file = lambda self: self.is_fifo() or is_file(self);"
        "sys.exit(command.main(sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, *command], start_new_session=True)
    deadline = time.monotonic() + 600  # starting processes takes long on a busy machine
    while len(list(out.glob("singlecoil_*/*"))) < 5 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_for_the_end(process.pid)
    last.unlink()
    np.save(last, np.abs(blobs(9, 2, 24, 20)))
    before = {path: path.stat().st_mtime_ns for path in out.glob("singlecoil_*/*")}
    assert 5 <= len(before) < 10
    # nothing that the host would stumble on
    assert_good(out)
    assert main([*command[:-1], "1"]) == 0
    assert f"({len(before)} of the volumes had been converted before)" in capsys.readouterr().out
    assert _contents(out) == whole
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_volumes_of_a_folder_share_a_split_and_test_volumes_have_references(
    source: Path, tmp_path: Path
) -> None:
    command = [str(source), str(tmp_path / "a"), *FLAGS, "--num_workers", "1"]
    assert main([*command, "--by", "folder", "--split", "0.6", "0.2", "0.2"]) == 0
    split_of = {path.stem: path.parent.name for path in (tmp_path / "a").glob("*/*.h5")}
    assert len(split_of) == 10
    for i in range(0, 10, 2):
        assert split_of[f"p{i // 2}_v{i}"] == split_of[f"p{i // 2}_v{i + 1}"]
    test = next((tmp_path / "a" / "singlecoil_test").iterdir())
    with h5py.File(test) as file:
        mask = file["mask"][()]
        assert not file["kspace"][..., ~mask].any()
        assert file["kspace"][..., mask].all()
        assert file["reconstruction_esc"].shape == (2, 24, 20)
        assert file.attrs["acceleration"] == 4


def test_other_settings_and_other_volumes_are_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(source), str(tmp_path / "out"), *FLAGS, "--num_workers", "1"]
    assert main(command) == 0
    before = _contents(tmp_path / "out")
    assert main([*command, "--noise", "0.5"]) == 1
    assert "another conversion, with the default noise; repeat" in capsys.readouterr().err
    shutil.copy(source / "p0" / "v0.npy", source / "p0" / "w.npy")
    assert main(command) == 1
    added = "another conversion, with other volumes (new or missing: p0_w)"
    assert added in capsys.readouterr().err
    assert _contents(tmp_path / "out") == before
    (tmp_path / "out" / RECORD).write_text('{"settings": {}, "volumes": ["train/a"]}')
    assert main(command) == 1
    assert f"{RECORD}: not the record of a conversion" in capsys.readouterr().err
    (tmp_path / "out" / RECORD).unlink()
    assert main(command) == 1
    assert "holds files already; give another output folder" in capsys.readouterr().err
    assert main([str(source), str(source / "out"), *FLAGS]) == 1
    assert "lies in the source" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([str(source), str(tmp_path / "file"), *FLAGS]) == 1
    assert "file: is a file, expected a folder" in capsys.readouterr().err
    assert main([str(source / "nowhere"), str(tmp_path / "new"), *FLAGS]) == 1
    assert "no such file or folder" in capsys.readouterr().err
    assert main([str(source), str(tmp_path / "new"), "--from", "bart"]) == 1
    assert "no files ending in .cfl" in capsys.readouterr().err
    for seed in ("-1", str(2**32)):
        assert main([str(source), str(tmp_path / "new"), *FLAGS, "--seed", seed]) == 1
        assert f"error: seed {seed}: expected 0 to 4294967295" in capsys.readouterr().err
    masks = ["--accelerations", "20"]
    assert main([str(source), str(tmp_path / "new"), *FLAGS, *masks]) == 1
    assert "acceleration 20 with centre fraction 0.08" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_bad_volume_is_named_and_the_others_are_converted(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = source / "p2" / "v5.npy"
    np.save(bad, np.full((3, 24, 20), np.nan))
    command = [str(source), str(tmp_path / "out"), *FLAGS, "--num_workers", "1"]
    assert main(command) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {bad}: the images hold NaN or Inf"
    assert_good(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*/*.h5"))) == 9
    np.save(bad, np.ones((2, 24, 20)))
    first = next((tmp_path / "out").glob("*/*.h5"))
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])
    assert main(command) == 1
    assert f"error: {first}: damaged or truncated" in capsys.readouterr().err
    first.write_bytes(whole)
    assert main(command) == 0
    assert len(list((tmp_path / "out").glob("*/*.h5"))) == 10
    assert not (tmp_path / "out" / PARTIAL).exists()


def test_a_full_disk_is_said_of_the_output(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(file: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert main([str(source), str(tmp_path / "out"), *FLAGS, "--num_workers", "1"]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert said
    for line in said:
        assert re.search(rf"npy: its {tmp_path}/out/\w+/\w+.h5: cannot be written \(No space", line)


def test_a_folder_that_cannot_be_read_is_named(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self == source / "p2":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert main([str(source), str(tmp_path / "out"), *FLAGS]) == 1
    assert f"{source / 'p2'}: cannot be read (Permission denied)" in capsys.readouterr().err


def test_a_link_that_leads_nowhere_fails_alone_until_it_leads_somewhere(tmp_path: Path) -> None:
    """As those of DataLad and git-annex, whose files are fetched later."""
    (tmp_path / "in").mkdir()
    array, lost = np.abs(blobs(0, 2, 24, 20)), tmp_path / "in" / "b.npy"
    np.save(tmp_path / "in" / "a.npy", array)
    lost.symlink_to(tmp_path / "annex.npy")
    source, out = tmp_path / "in", tmp_path / "out"
    reader = NumPy(("slice", "row", "column"), kind="image")
    converted = convert(source, out, reader, split=(1, 0, 0), num_workers=1)
    assert [one.path.name for one in converted.done] == ["a.h5"]
    (failure,) = converted.failures
    assert failure.startswith(f"{lost}: ") and "No such file" in failure
    np.save(tmp_path / "annex.npy", array)
    converted = convert(source, out, reader, split=(1, 0, 0), num_workers=1)
    assert [one.path.name for one in converted.done] == ["a.h5", "b.h5"]
    assert converted.failures == []


def test_a_conversion_of_nothing_does_not_hold_its_folder(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "an output"
    command = [str(source), str(out), *FLAGS, "--num_workers", "1"]
    assert main([*command, "--recon_size", "0", "5"]) == 1
    assert (out / RECORD).is_file()
    assert main(command) == 0
    assert f"fastmri_clgnet.check '{out}'" in capsys.readouterr().out


@pytest.fixture
def sorted_source(tmp_path: Path) -> Path:
    """Two training volumes and one for validation, in folders of their own."""
    for i, name in enumerate(("Train/a", "Train/b", "Val/c")):
        path = tmp_path / "in" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.abs(blobs(i, 2, 24, 20)))
    return tmp_path / "in"


def test_a_volume_may_be_fixed_but_not_taken_away_or_added(
    sorted_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = sorted_source / "Train" / "b.npy"
    bad.write_bytes(b"no array")
    command = [str(sorted_source), str(tmp_path / "out"), *FLAGS, "--num_workers", "1"]
    assert main(command) == 1
    assert "b.npy: not a NumPy array" in capsys.readouterr().err
    np.save(bad, np.abs(blobs(1, 2, 24, 20)))
    assert main(command) == 0
    whole = _contents(tmp_path / "out")
    np.save(sorted_source / "Train" / "d.npy", np.abs(blobs(4, 2, 24, 20)))
    assert main(command) == 1
    assert "another conversion, with other volumes" in capsys.readouterr().err
    (sorted_source / "Train" / "d.npy").unlink()
    bad.unlink()
    assert main(command) == 1
    assert "another conversion, with other volumes" in capsys.readouterr().err
    assert _contents(tmp_path / "out") == whole


def test_another_source_with_the_same_names_is_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tmp_path / "out"), *FLAGS, "--num_workers", "1"]
    assert main([str(source), *command]) == 0
    before = _contents(tmp_path / "out")
    shutil.copytree(source, tmp_path / "other")
    np.save(tmp_path / "other" / "p0" / "v0.npy", np.ones((3, 24, 20)))
    assert main([str(tmp_path / "other"), *command]) == 1
    error = capsys.readouterr().err
    assert "another conversion, with files of other sizes, such as" in error
    assert "p0_v0;" in error
    assert _contents(tmp_path / "out") == before


def test_of_masks_of_all_kinds_the_acceleration_is_that_of_the_mask(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((1, 16, 240))
    for i in range(12):
        tmp_path.joinpath("source").mkdir(exist_ok=True)
        np.save(tmp_path / "source" / f"{i}.npy", fft2c(image))
    flags = ["--from", "numpy", "--axes", "slice", "row", "column", "--num_workers", "1", "--split"]
    flags += [*"001", "--mask_type", "all", "--accelerations", "3", "8"]
    flags += ["--center_fractions", "0.08", "0.04"]
    assert main([str(tmp_path / "source"), str(tmp_path / "out"), *flags]) == 0
    found = set()
    for path in (tmp_path / "out" / "singlecoil_test").iterdir():
        with h5py.File(path) as file:
            nominal, measured = file.attrs["acceleration"], 240 / file["mask"][()].sum()
        assert abs(measured - nominal) < 2
        found.add(nominal)
    assert found == {3, 8}


def test_the_acceleration_of_a_test_volume_is_the_one_asked_for(
    source: Path, tmp_path: Path
) -> None:
    """Masks of 20 columns reach other factors; evaluation chooses volumes by the nominal one."""
    masks = ["--accelerations", "3", "6", "--center_fractions", "0.1", "0.1", "--split"]
    command = [str(source), str(tmp_path / "out"), *FLAGS, "--num_workers", "1", *masks]
    assert main([*command, "0", "0", "1"]) == 0
    nominal = []
    for path in (tmp_path / "out" / "singlecoil_test").iterdir():
        # the first of the host's draws, from NumPy's generator
        index = np.random.RandomState(tuple(map(ord, path.name))).randint(2)
        with h5py.File(path) as file:
            nominal.append(file.attrs["acceleration"])
        assert nominal[-1] == (3, 6)[index]
    assert set(nominal) == {3, 6}


def test_the_function_does_what_the_command_does(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same files and record, and it prints the same; the command continues what it made."""
    (source / "p0" / "bad.npy").write_bytes(b"no array")
    converted = convert(
        source,
        tmp_path / "out",
        NumPy(("slice", "row", "column"), kind="image", noise=0.02, recon_size=(20, 20)),
        split=(0.5, 0.2, 0.3),
        by="folder",
        mask=Mask("equispaced", (2, 3), (0.2, 0.1)),
        acquisition="AXT1",
        seed=3,
        num_workers=1,
    )
    assert len(converted.done) == 10
    assert all(one.path.is_file() and not one.skipped for one in converted.done)
    assert [failure.partition(": ")[0] for failure in converted.failures] == [
        str(source / "p0" / "bad.npy")
    ]
    flags = [*FLAGS, "--noise", "0.02", "--recon_size", "20", "20", "--split", "0.5", "0.2", "0.3"]
    flags += ["--by", "folder", "--mask_type", "equispaced", "--accelerations", "2", "3"]
    flags += ["--center_fractions", "0.2", "0.1", "--acquisition", "AXT1", "--seed", "3"]
    capsys.readouterr()
    assert main([str(source), str(tmp_path / "again"), *flags, "--num_workers", "1"]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{converted}\n".replace(str(tmp_path / "out"), str(tmp_path / "again"))
    assert printed.err.splitlines()[-1] == f"error: {converted.failures[0]}"
    assert _contents(tmp_path / "out") == _contents(tmp_path / "again")
    assert main([str(source), str(tmp_path / "out"), *flags, "--num_workers", "1"]) == 1
    assert "(10 of the volumes had been converted before)" in capsys.readouterr().out


@dataclass(frozen=True)
class _Text:
    """A reader of one's own: noise on a peak, as large as a text file says."""

    peak: float = 1.0
    suffixes = (".txt",)

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        shape = tuple(map(int, path.read_text().split()))
        kspace = np.random.default_rng(seed).normal(size=shape).astype(np.complex64)
        kspace[:, shape[1] // 2, shape[2] // 2] = self.peak
        return Scan(kspace, (shape[1], shape[2]))


def test_a_reader_of_ones_own(tmp_path: Path) -> None:
    """In two processes, to which it is sent."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        (tmp_path / "in" / f"{name}.TXT").write_text("2 20 16")
    folders, out = {"split": (1.0, 0.0, 0.0), "num_workers": 2}, tmp_path / "out"
    converted = convert(tmp_path / "in", out, _Text(99.0), **folders)  # type: ignore[arg-type]
    assert [one.path.name for one in converted.done] == ["a.h5", "b.h5", "c.h5"]
    assert_good(out)
    with h5py.File(out / "singlecoil_train" / "b.h5") as file:
        kspace = np.random.default_rng([42, ord("b")]).normal(size=(2, 20, 16)).astype("c8")
        kspace[:, 10, 8] = 99
        np.testing.assert_array_equal(file["kspace"], kspace)
    # its fields settle what is written
    with pytest.raises(InputError, match=r"another conversion, with peak 99\.0; repeat"):
        convert(tmp_path / "in", out, _Text(), **folders)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_whatever_a_reader_raises_is_that_files_failure(num_workers: int, tmp_path: Path) -> None:
    """A ValueError of Python's, a MemoryError of NumPy's; the others are converted."""
    (tmp_path / "in").mkdir()
    for name, text in {"a": "2 20 16", "b": "two", "c": f"{2**40} 20 16", "d": "2 20 16"}.items():
        (tmp_path / "in" / f"{name}.txt").write_text(text)
    out = tmp_path / "out"
    converted = convert(
        tmp_path / "in", out, _Text(99.0), split=(1.0, 0.0, 0.0), num_workers=num_workers
    )
    assert [one.path.name for one in converted.done] == ["a.h5", "d.h5"]
    bad, large = converted.failures
    assert bad.startswith(f"{tmp_path / 'in' / 'b.txt'}: cannot be used (invalid literal for int()")
    assert large.startswith(f"{tmp_path / 'in' / 'c.txt'}: cannot be used (")
    assert "MemoryError" in large
    assert_good(out)


# the arrays of a source by name, flags, and why they are refused; no flag is ignored
MAGNITUDE, COMPLEX = np.ones((2, 24, 20)), np.ones((2, 24, 20), complex)
UNUSED = {
    "coils of complex images": (COMPLEX, ["--kind", "image", "--coils", "4"], "omit coils"),
    "noise of complex images": (COMPLEX, ["--kind", "image", "--noise", "0.01"], "omit noise"),
    "a convention of complex images": (
        COMPLEX, ["--kind", "image", "--convention", "centred"], "not k-space; omit convention",
    ),
    "a convention of magnitudes": (
        MAGNITUDE, ["--kind", "image", "--convention", "plain", "--norm", "ortho"],
        "not k-space; omit convention and norm",
    ),
    "noise of k-space": (
        COMPLEX, ["--noise", "0", "--coils", "1"], "nothing is simulated; omit noise and coils"
    ),
    "a key of one array": (COMPLEX, ["--key", "x"], "no name; omit key"),
    "by folder": (COMPLEX, ["--by", "folder"], "has no folders; omit it"),
    "by prefix": (COMPLEX, ["--by", "prefix"], "no name has a '_'"),
    "a mask without test volumes": (
        COMPLEX, ["--mask_type", "equispaced"], "masks are of test volumes, and there are none"
    ),
    "processes": (COMPLEX, ["--num_workers", "-1"], "num_workers -1: expected 0 or more"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSED)
def test_what_would_be_ignored_is_refused(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array, flags, message = UNUSED[case]
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", array)
    command = [str(tmp_path / "in"), str(tmp_path / "out"), "--from", "numpy", "--split", "1", "0"]
    command += ["0", "--axes", "slice", "row", "column", "--num_workers", "1"]
    assert main([*command, *flags]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*/*.h5"))


def test_splits_and_masks_of_the_files_own_are_not_overruled(
    sorted_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in (["--split", "0.8", "0.1", "0.1"], ["--by", "folder"]):
        assert main([str(sorted_source), str(tmp_path / "out"), *FLAGS, *flags]) == 1
        assert "whose splits are kept; omit split and by" in capsys.readouterr().err
    (tmp_path / "u").mkdir()
    kspace = np.ones((2, 24, 20), complex)
    kspace[..., 1::2] = 0
    np.save(tmp_path / "u" / "a.npy", kspace)
    command = [str(tmp_path / "u"), str(tmp_path / "out"), *FLAGS[:-2], "--split", "0", "0", "1"]
    assert main([*command, "--accelerations", "2"]) == 1
    assert "acquired undersampled, and keeps its own mask; omit" in capsys.readouterr().err


def test_a_reader_of_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes do not find its class: the files are converted in this one."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(_Text, "__module__", "__main__")
    (tmp_path / "in").mkdir()
    for name in "abc":
        (tmp_path / "in" / f"{name}.txt").write_text("2 20 16")
    converted = convert(tmp_path / "in", tmp_path / "out", _Text(99.0), num_workers=2)
    assert len(converted.done) == 3
