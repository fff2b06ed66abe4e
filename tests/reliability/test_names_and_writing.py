"""Names that lead elsewhere, and disks that are full: nothing is written outside, or by half."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.data.fastmri_file import atomic_path, plain_name
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.pl_modules import ZeroFilledModule
from fastmri_clgnet.report.sources import find_sources
from tests.helpers import MASK, QUIET, small_volume

HOSTILE = ("../x.h5", "../../../x.h5", "/tmp/x.h5", "a/b.h5", "..\\x.h5", "..", ".", "", "a\0.h5")

# a child that may write files of so many bytes; the signal would end it where a disk gives an error
LIMITED = """
import resource, signal, sys
from fastmri_clgnet import {module}
from fastmri_clgnet.{module}{main} import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
sys.exit(main(sys.argv[1:]))
"""


def _run(module: str, size: int, *flags: object, main: str = "") -> subprocess.CompletedProcess:
    code = LIMITED.format(module=module, main=main, size=size)
    command = [sys.executable, "-c", code, *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def _assert_one_error(done: subprocess.CompletedProcess, name: str) -> None:
    assert done.returncode == 1, (done.returncode, done.stderr[-2000:])
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors, done.stderr[-2000:]
    assert all("cannot be written" in error for error in errors), errors
    assert name in errors[0]
    assert "Traceback" not in done.stderr


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_samples_do_not_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the name of a file alone"):
        plain_name(name)
    module = ZeroFilledModule(0)
    root = tmp_path / "a" / "b" / "c"
    root.mkdir(parents=True)

    class Trainer:
        default_root_dir = str(root)

    module._trainer = Trainer()
    output = np.zeros((1, 4, 4), np.float32)
    module._test_outputs = [{"fname": [name], "slice": torch.zeros(1), "output": output}]
    with pytest.raises(InputError, match="expected the name of a file alone"):
        module.on_test_epoch_end()
    assert _files(tmp_path) == []


def test_plain_names_stay() -> None:
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
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from fastmri_clgnet.data import write_fastmri_file\n"
        "from fastmri_clgnet.errors import exit_status\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "k = np.ones((3, 64, 64), np.complex64)\n"
        "sys.exit(exit_status(lambda: write_fastmri_file(sys.argv[1], k) or 0))\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    _assert_one_error(done, str(path))
    assert path.read_bytes() == before
    assert _files(tmp_path) == ["a.h5"]


def test_a_full_disk_while_reconstructing(small_dataset: Path, tmp_path: Path) -> None:
    data, out = small_dataset / "singlecoil_val", tmp_path / "out"
    flags = ["--model", "zero_filled", "--data_path", data, "--output_path", out, *MASK]
    done = _run("reconstruct", 8000, *flags)
    _assert_one_error(done, str(out / "c.h5"))
    assert _files(out) == []
    done = _run("reconstruct", 10**6, *flags)
    assert done.returncode == 0, done.stderr
    before = [(out / name).read_bytes() for name in ("c.h5", "d.h5")]
    _assert_one_error(_run("reconstruct", 8000, *flags, "--overwrite"), str(out / "c.h5"))
    assert [(out / name).read_bytes() for name in ("c.h5", "d.h5")] == before


def test_a_full_disk_while_testing(small_dataset: Path, tmp_path: Path) -> None:
    flags = ["--model", "zero_filled", "--data_path", small_dataset, *QUIET, "--mode", "test"]
    root = tmp_path / "run"
    done = _run("train_clgnet", 8000, *flags, "--default_root_dir", root)
    _assert_one_error(done, str(root / "reconstructions"))
    assert [name for name in _files(root) if name.endswith(".h5")] == []


def test_a_full_disk_while_converting(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    for name in ("a", "b", "c"):
        (source / "train").mkdir(parents=True, exist_ok=True)
        np.save(source / "train" / f"{name}.npy", small_volume("singlecoil", 0)[0])
    flags = [source, out, "--from", "numpy", "--axes", "slice", "row", "column"]
    done = _run("convert", 20_000, *flags, "--num_workers", "1", main=".__main__")
    _assert_one_error(done, "a.npy")
    assert _files(out) == ["conversion.json"]
    done = _run("convert", 10**6, *flags, "--num_workers", "1", main=".__main__")
    assert done.returncode == 0, done.stderr
    assert len(_files(out / "singlecoil_train")) == 3
    with h5py.File(out / "singlecoil_train" / "a.h5") as file:
        np.testing.assert_array_equal(file["kspace"], small_volume("singlecoil", 0)[0])
