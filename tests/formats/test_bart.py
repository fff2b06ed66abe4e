"""BART files, written by their documented layout, through the command and the host."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastmri_clgnet.convert import main
from tests.conversion.host import assert_good, assert_host_gives, blobs, fft2c

TRAIN = ["--split", "1", "0", "0", "--num_workers", "1", "--from", "bart"]


def _write(path: Path, array: np.ndarray) -> None:
    """Write `.cfl` and `.hdr`; dimensions in BART's order, the first running fastest."""
    path.parent.mkdir(exist_ok=True)
    sizes = " ".join(map(str, [*array.shape, *[1] * (16 - array.ndim)]))
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{sizes} \n# Command\nphantom -k out\n")
    array.astype("<c8").ravel(order="F").tofile(path)


@pytest.mark.parametrize("readout", [0, 1])
@pytest.mark.parametrize("n_coils", [1, 3])
def test_slices_and_coils(readout: int, n_coils: int, tmp_path: Path) -> None:
    """The plane of a slice may stand in dimensions 0 and 1, or 1 and 2."""
    images = blobs(0, 2, n_coils, 18, 15)
    kspace = fft2c(images).transpose(2, 3, 1, 0)  # row, column, coil, slice
    plane = (18, 15, 1) if readout == 0 else (1, 18, 15)
    _write(tmp_path / "in" / "a.cfl", kspace.reshape(*plane, n_coils, *[1] * 9, 2))
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]) == 0
    rss = np.sqrt((np.abs(images) ** 2).sum(axis=1))
    challenge = "singlecoil" if n_coils == 1 else "multicoil"
    assert_host_gives(tmp_path / "out" / f"{challenge}_train", {"a.h5": rss}, 2e-6)
    assert_good(tmp_path / "out")


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in" / "a.cfl"
    command = [str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]
    _write(path, np.ones((4, 4, 4, 2)))
    assert main(command) == 1
    assert "bart fft -u -i 1" in capsys.readouterr().err
    _write(path, np.ones((4, 4, 1, 2, 1, 3)))
    assert main(command) == 1
    assert "bart slice 5 INDEX" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-8])
    assert main(command) == 1
    assert "is it complete?" in capsys.readouterr().err
    path.with_suffix(".hdr").unlink()
    assert main(command) == 1
    assert "a.hdr: expected the header of a.cfl" in capsys.readouterr().err
