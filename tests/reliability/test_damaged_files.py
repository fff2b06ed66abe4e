"""Mutated files: each is one error that names it, or a sound file; none crashes, hangs or grows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.reconstruct import main as reconstruct
from fastmri_clgnet.train_clgnet import main as train_clgnet
from tests.helpers import MASK, QUIET, SMALL
from tests.reliability.driver import COMMANDS, GIB, GOOD
from tests.reliability.mutations import (
    KSPACE,
    TARGET,
    flip,
    make_hostile,
    truncate,
    write_originals,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads files apart on Linux alone")


def _drive(paths: list[Path], arrays: Path, commands: list[str], timeout: int) -> dict:
    """Results by command and file name, and the largest memory of the driver."""
    arrays.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.driver", str(arrays), *commands],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = {
        (command, name): result
        for command, name, result in map(json.loads, done.stdout.split("\n")[:-1])
    }
    assert len(results) == len(paths) * len(commands) + 1
    assert int(results.pop(("peak", ""))) < 2 * GIB
    for (_, name), result in results.items():
        assert result == GOOD or name in result, result
        assert "\n" not in result, result
    return results


def _assert_right(originals: dict[str, Path], results: dict, arrays: Path) -> None:
    """Accepted files have the shapes of the original, and with checksums its values."""
    with h5py.File(originals["plain"]) as file:
        right = {key: file[key][()] for key in (KSPACE, TARGET)}
    equal: Counter[bool] = Counter()
    for path in sorted(arrays.glob("*.npz")):
        read = np.load(path)
        same = all(np.array_equal(read[key], right[key]) for key in right)
        equal[same] += 1
        assert read[KSPACE].shape[-2:] == read[TARGET].shape[-2:]
        assert np.isfinite(read[KSPACE]).all()
        assert np.isfinite(read[TARGET]).all()
        if "checksums" in path.name or "gzip" in path.name:
            assert same, path.name
    print(f"{len(results)} results; accepted with the original's values or others: {dict(equal)}")


def _mutated(originals: dict[str, Path], folder: Path) -> list[Path]:
    """540 damaged files."""
    folder.mkdir()
    paths: list[Path] = []
    for seed, original in enumerate(originals.values()):
        paths += truncate(original, folder, 40)
        paths += flip(original, folder, 140, seed)
    return paths


def test_hostile_files_are_refused_by_all_commands(tmp_path: Path) -> None:
    """Made to do harm: every one is an error, in all commands that use what is wrong."""
    originals = write_originals(tmp_path)
    (tmp_path / "secret.h5").write_bytes(originals["plain"].read_bytes())
    (tmp_path / "secret.bin").write_bytes(bytes(10**5))
    (tmp_path / "files").mkdir()
    made = {path.name: name for name, path in make_hostile(originals["plain"], tmp_path / "files")}
    assert len(made) >= 115
    paths = [tmp_path / "files" / name for name in made]
    results = _drive(paths, tmp_path / "arrays", [*COMMANDS], timeout=300)
    accepted = {(command, made[name]) for (command, name), text in results.items() if text == GOOD}
    # a reconstruction needs no reference, and looks for NaN as it loads each slice
    later = (f"{TARGET}: missing", "k-space nan", "k-space inf", "target nan", "target inf")
    assert accepted == {("reconstruct", name) for name in later}


def test_originals_are_good(tmp_path: Path) -> None:
    originals = write_originals(tmp_path)
    results = _drive([*originals.values()], tmp_path / "arrays", [*COMMANDS], timeout=100)
    assert set(results.values()) == {GOOD}
    _assert_right(originals, results, tmp_path / "arrays")


def test_damaged_files_are_named_by_check(tmp_path: Path) -> None:
    originals = write_originals(tmp_path)
    paths = _mutated(originals, tmp_path / "files")
    assert len(paths) == 540
    results = _drive(paths, tmp_path / "arrays", ["check"], timeout=400)
    assert sum(result != GOOD for result in results.values()) > 300
    for (_, name), result in results.items():
        assert result != GOOD or not name.startswith("truncated"), name
    _assert_right(originals, results, tmp_path / "arrays")


@pytest.mark.slow
def test_damaged_files_are_named_by_all_commands(tmp_path: Path) -> None:
    originals = write_originals(tmp_path)
    paths = _mutated(originals, tmp_path / "files")
    results = _drive(paths, tmp_path / "arrays", ["train_clgnet", "reconstruct"], timeout=1800)
    assert len(results) == 1080


@pytest.mark.parametrize("name", ["kspace: terabytes of slices", "header: laughs", "bomb"])
def test_the_commands_themselves(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole command lines end with one line and exit status 1, and write nothing."""
    original = write_originals(tmp_path)["plain"]
    for split in ("train", "val"):
        (tmp_path / "data" / f"singlecoil_{split}").mkdir(parents=True)
        copy = tmp_path / "data" / f"singlecoil_{split}" / "a.h5"
        copy.write_bytes(original.read_bytes())
    made = dict(make_hostile(original, tmp_path))
    made[name].replace(copy)
    run = ["--data_path", str(tmp_path / "data"), "--default_root_dir", str(tmp_path / "run")]
    assert train_clgnet([*SMALL, *QUIET, *run]) == 1
    folders = ["--data_path", str(copy.parent), "--output_path", str(tmp_path / "out")]
    assert reconstruct(["--model", "zero_filled", *folders, *MASK]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(errors) == 2
    assert all(str(copy) in error for error in errors)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "out").exists()


def test_links_of_the_file_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link to a volume is a volume; one to nothing is an error that says so."""
    original = write_originals(tmp_path)["plain"]
    folder = tmp_path / "singlecoil_val"
    folder.mkdir()
    (folder / "a.h5").symlink_to(original)
    flags = ["--data_path", str(folder), "--output_path", str(tmp_path / "out"), *MASK]
    assert reconstruct(["--model", "zero_filled", *flags]) == 0
    assert (tmp_path / "out" / "a.h5").is_file()
    (folder / "b.h5").symlink_to(tmp_path / "nowhere.h5")
    assert reconstruct(["--model", "zero_filled", *flags]) == 1
    assert f"b.h5: a link to {tmp_path / 'nowhere.h5'}, which does not" in capsys.readouterr().err
