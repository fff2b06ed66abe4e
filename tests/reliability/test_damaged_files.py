"""Damaged files: each is read or gives an error with its name; none crashes, hangs or grows."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from fastmri.data import SliceDataset

from fastmri_clgnet.data.check import check
from fastmri_clgnet.data.folders import inspect_folder
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import isolate
from fastmri_clgnet.reconstruct import main as reconstruct
from fastmri_clgnet.train_clgnet import main as train_clgnet
from tests.damages import ALL, DAMAGES, KSPACE, TARGET, flip, truncate, write_forms
from tests.helpers import MASK, QUIET, SMALL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks to read files on Linux only")
GIB = 2**30


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limit forks to 1 s and 1 GiB, and this process to 2 GiB more than it has."""
    monkeypatch.setattr(isolate, "CPU_SECONDS", 0)  # one more is given
    monkeypatch.setattr(isolate, "BYTES_PER_SECOND", 2**40)
    monkeypatch.setattr(isolate, "MEMORY_BYTES", GIB)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + 2 * GIB, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _error(command: str, path: Path) -> str | None:
    """Return a command's error for the only file in the folder of its split."""
    masked = path.parent.name.endswith("_test")
    try:
        if command == "check":
            (finding,) = check(path.parent, num_workers=1).splits[0].findings
            return f"{path}: {'; '.join(finding.errors)}" if finding.errors else None
        references = command == "train_clgnet"
        inspect_folder(path.parent, "singlecoil", masked=masked, references=references)
    except InputError as error:
        return str(error)
    return None


def _alone(path: Path, folder: Path) -> Path:
    """A copy of each file in a separate folder, one after the other."""
    folder = folder / "alone" / "singlecoil_val"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return Path(shutil.copy(path, folder))


@pytest.mark.parametrize("name", DAMAGES)
def test_every_command_that_checks_reports_the_damage(
    name: str, small_dataset: Path, tmp_path: Path
) -> None:
    damage = DAMAGES[name]
    path = tmp_path / f"singlecoil_{damage.place}"
    path.parent.mkdir()
    original = small_dataset / f"singlecoil_{damage.place}"
    shutil.copy(original, path)
    shutil.copy(original, tmp_path / "secret.h5")
    (tmp_path / "secret.bin").write_bytes(bytes(10**5))
    with h5py.File(path, "r+") as file:
        damage.edit(file)
    # training and reconstruction check the same, except references and values
    commands = ALL if damage.message else ALL[:2]
    messages = {command: _error(command, path) for command in commands}
    for command, message in messages.items():
        assert (message is not None) == (command in damage.found_by), messages
        assert message is None or (str(path) in message and "\n" not in message), message
    assert damage.message in str(messages["check"])
    assert (damage.training or damage.message) in str(messages["train_clgnet"]) or (
        "train_clgnet" not in damage.found_by
    )


def _mutated(original: Path, folder: Path, n_truncated: int, n_flipped: int) -> list[Path]:
    (folder / "files").mkdir()
    paths: list[Path] = []
    for seed, form in enumerate(write_forms(original, folder / "forms").values()):
        paths += truncate(form, folder / "files", n_truncated)
        paths += flip(form, folder / "files", n_flipped, seed)
    return paths


def _as_the_host_reads(path: Path) -> dict[str, np.ndarray]:
    samples = list(SliceDataset(path.parent, "singlecoil"))
    return {
        key: np.stack([sample[i] for sample in samples]) for key, i in ((KSPACE, 0), (TARGET, 2))
    }


def _assert_named_or_sound(original: Path, paths: list[Path], command: str, folder: Path) -> int:
    """Accepted files have the original's shapes, and with checksums and check its values.

    Returns:
        The number of refused files.
    """
    with h5py.File(original) as file:
        right = {key: file[key][()] for key in (KSPACE, TARGET)}
    refused = 0
    for source in paths:
        path = _alone(source, folder)
        message = _error(command, path)
        if message is not None:
            assert str(path) in message
            assert "\n" not in message
            refused += 1
            continue
        if command == "reconstruct":  # checks references and values as it loads each slice
            continue
        read = next(isolate.map_in_fork(_as_the_host_reads, [path]))
        assert read[KSPACE].shape[-2:] == right[KSPACE].shape[-2:]
        assert read[TARGET].shape[-2:] == right[TARGET].shape[-2:]
        assert np.isfinite(read[KSPACE]).all()
        assert np.isfinite(read[TARGET]).all()
        if command == "check":  # compares them with each other
            assert not path.name.startswith("truncated")
        if command == "check" and "plain" not in path.name:
            assert all(np.array_equal(read[key], right[key]) for key in right), path.name
    return refused


def test_originals_are_good(small_dataset: Path, tmp_path: Path) -> None:
    original = small_dataset / "singlecoil_val" / "c.h5"
    paths = [*write_forms(original, tmp_path / "forms").values()]
    for command in ALL:
        assert _assert_named_or_sound(original, paths, command, tmp_path) == 0


def test_damaged_files_are_named_by_check(small_dataset: Path, tmp_path: Path) -> None:
    original = small_dataset / "singlecoil_val" / "c.h5"
    paths = _mutated(original, tmp_path, n_truncated=5, n_flipped=15)
    assert len(paths) == 60
    assert _assert_named_or_sound(original, paths, "check", tmp_path) > 30


@pytest.mark.slow
@pytest.mark.parametrize("command", ALL)
def test_more_damaged_files_are_named(command: str, small_dataset: Path, tmp_path: Path) -> None:
    original = small_dataset / "singlecoil_val" / "c.h5"
    paths = _mutated(original, tmp_path, n_truncated=40, n_flipped=140)
    assert len(paths) == 540
    assert _assert_named_or_sound(original, paths, command, tmp_path) > 300


@pytest.mark.parametrize("name", ["kspace: terabytes of slices", "header: laughs", "bomb"])
def test_the_commands_themselves(
    name: str, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole command lines end with one line and exit status 1, and write nothing."""
    for split in ("train", "val"):
        (tmp_path / "data" / f"singlecoil_{split}").mkdir(parents=True)
        path = tmp_path / "data" / f"singlecoil_{split}" / "c.h5"
        shutil.copy(small_dataset / "singlecoil_val" / "c.h5", path)
    with h5py.File(path, "r+") as file:
        DAMAGES[name].edit(file)
    run = ["--data_path", str(tmp_path / "data"), "--default_root_dir", str(tmp_path / "run")]
    assert train_clgnet([*SMALL, *QUIET, *run]) == 1
    folders = ["--data_path", str(path.parent), "--output_path", str(tmp_path / "out")]
    assert reconstruct(["--model", "zero_filled", *folders, *MASK]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(errors) == 2
    assert all(str(path) in error for error in errors)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "out").exists()


def test_links_of_the_file_system(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A link to a volume is a volume; a broken link is a clear error."""
    folder = tmp_path / "singlecoil_val"
    folder.mkdir()
    (folder / "a.h5").symlink_to(small_dataset / "singlecoil_val" / "c.h5")
    flags = ["--data_path", str(folder), "--output_path", str(tmp_path / "out"), *MASK]
    assert reconstruct(["--model", "zero_filled", *flags]) == 0
    assert (tmp_path / "out" / "a.h5").is_file()
    (folder / "b.h5").symlink_to(tmp_path / "nowhere.h5")
    assert reconstruct(["--model", "zero_filled", *flags]) == 1
    assert f"b.h5: a link to {tmp_path / 'nowhere.h5'}, which does not" in capsys.readouterr().err
