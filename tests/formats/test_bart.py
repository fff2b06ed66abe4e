"""BART files, written by their documented layout, through the command and the host."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Bart
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
    data, header = (Bart().read(tmp_path / "in" / name, (0,)) for name in ("a.cfl", "a.hdr"))
    np.testing.assert_array_equal(data.kspace, header.kspace)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cfl"

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message):
            Bart().read(path, (0,))

    _write(path, np.ones((4, 4, 4, 2)))
    refused("bart fft -u -i 1")
    _write(path, np.ones((4, 4, 1, 2, 1, 3)))
    refused("bart slice 5 INDEX")
    header = path.with_suffix(".hdr")
    sizes = header.read_bytes()
    header.write_bytes(b"# Dimensions\n4 -4 1 -2 1 3\n")
    refused("is it complete")
    header.write_bytes(b"# Command\nk\xf6pf\n" + sizes)  # of a path in another encoding
    refused("bart slice 5 INDEX")
    path.write_bytes(path.read_bytes()[:-8])
    refused("is it complete")
    path.with_suffix(".hdr").unlink()
    refused("a.hdr: expected the header of a.cfl")
