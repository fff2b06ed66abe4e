"""MATLAB files: of SciPy up to version 7, and of version 7.3 as MATLAB lays them out in HDF5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Matlab
from tests.conversion.host import assert_good, assert_host_gives, blobs, fft2c

IMAGES = np.abs(blobs(0, 3, 32, 24)).transpose(1, 2, 0)  # rows, columns, slices
TRAIN = ["--from", "matlab", "--split", "1", "0", "0", "--num_workers", "1"]


def save_7_3(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As MATLAB does: a block in front, axes reversed, complex numbers as pairs of fields."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            values = array.T
            if np.iscomplexobj(array):
                values = np.empty(array.T.shape, [("real", "f8"), ("imag", "f8")])
                values["real"], values["imag"] = array.T.real, array.T.imag
            file[name] = values
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
        file["text"] = np.ones((9, 5), np.uint16)
        file["text"].attrs["MATLAB_class"] = np.bytes_("char")
        file["none"] = np.zeros(2, np.uint64)
        file["none"].attrs["MATLAB_empty"] = 1
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


VERSIONS: dict[str, Callable[[Path, dict[str, Any]], object]] = {
    "5": savemat,
    "7": lambda path, arrays: savemat(path, arrays, do_compression=True),
    "7.3": save_7_3,
}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_only_array_of_a_file_is_images(version: str, tmp_path: Path) -> None:
    """Beside numbers, vectors and text; rows, columns and slices as MATLAB has them."""
    (tmp_path / "in").mkdir()
    beside = {"TR": np.ones((1, 1)), "voxel": np.ones((1, 3))}
    VERSIONS[version](tmp_path / "in/a.mat", {"head": IMAGES, **beside})
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN, "--noise", "0"]) == 0
    expected = {"a.h5": IMAGES.transpose(2, 0, 1)}
    assert_host_gives(tmp_path / "out" / "singlecoil_train", expected, 2e-6)
    assert_good(tmp_path / "out")


@pytest.mark.parametrize("version", VERSIONS)
def test_kspace_of_several_coils(version: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    images = blobs(0, 3, 2, 32, 24)
    stored = {"k": fft2c(images).transpose(2, 3, 1, 0), "other": IMAGES}
    VERSIONS[version](tmp_path / "in/a.mat", stored)
    flags = [*TRAIN, "--key", "k", "--kind", "kspace", "--axes", "row", "column", "coil", "slice"]
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *flags]) == 0
    rss = np.sqrt((np.abs(images) ** 2).sum(axis=1))
    assert_host_gives(tmp_path / "out" / "multicoil_train", {"a.h5": rss}, 2e-6)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_arrays_in_structs_and_of_8_bits(version: str, tmp_path: Path) -> None:
    path, values = tmp_path / "a.mat", (255 * IMAGES / IMAGES.max()).astype(np.uint8)
    if version == "5":
        savemat(path, {"s": {"head": {"x": values}, "TE": 3.0}, "c": np.array([{}, 1], object)})
    else:
        with h5py.File(path, "w") as file:  # MATLAB puts what cells hold into #refs#
            file["s/head/x"], file["s/TE"], file["#refs#/a"] = values.T, 3.0, values
    scan = Matlab(noise=0).read(path, (0,))
    np.testing.assert_allclose(scan.images(), values.transpose(2, 0, 1), atol=1e-4)
    assert scan.notes[0].startswith("8-bit images")
    assert Matlab(key="s.head.x").read(path, (0,)).kspace.shape == (3, 32, 24)
    with pytest.raises(InputError, match=r"holds no array 'x', but s\.head\.x 32x24x3; give one"):
        Matlab(key="x").read(path, (0,))


def cut(version: str, n_bytes: int) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        VERSIONS[version](path, {"head": IMAGES})
        path.write_bytes(path.read_bytes()[:n_bytes])

    return write


def holding(**arrays: Any) -> Callable[[Path], object]:
    return lambda path: savemat(path, arrays)


REFUSED: dict[str, tuple[Callable[[Path], object], Matlab, str]] = {
    "two": (holding(a=IMAGES, b=IMAGES[..., 0]), Matlab(), "a 32x24x3, b 32x24; .* as key"),
    "none": (holding(t=3, name="x"), Matlab(), "expected an array of images or k-space, got t 1x1"),
    "complex": (holding(k=1j * IMAGES), Matlab(), "k is complex: give kind kspace or kind image"),
    "axes of k-space": (
        holding(k=1j * IMAGES), Matlab(kind="kspace"), "k 32x24x3 has 3 axes; name them"
    ),
    "four axes": (holding(a=np.ones((32, 24, 3, 2))), Matlab(), "a 32x24x3x2 has 4 axes; name"),
    "frames": (
        holding(a=1j * np.ones((32, 24, 3, 2, 4))), Matlab(),
        r"a 32x24x3x2x4 has 5 axes; expected at most row column coil slice: save one frame, such",
    ),
    "frames of 7.3": (
        lambda path: save_7_3(path, {"a": 1j * np.ones((32, 24, 3, 2, 4))}),
        Matlab(axes=("row", "column", "coil", "slice"), kind="kspace"), "a 32x24x3x2x4 has 5 axes",
    ),
    "slices first": (
        holding(a=np.ones((3, 32, 24))), Matlab(), "a 3x32x24 may have its slices first; name"
    ),
    "other axes": (
        holding(a=IMAGES), Matlab(axes=("row", "column")), "has 3 axes, but axes row column names 2"
    ),
    "k-space of images": (holding(a=IMAGES), Matlab(kind="kspace"), "expected complex numbers"),
    "coils of complex images": (
        holding(a=1j * IMAGES[..., 0]), Matlab(kind="image", coils=4), "omit coils"
    ),
    "text": (lambda path: path.write_text("text"), Matlab(), "not a MATLAB file that can be read"),
    "empty": (lambda path: path.touch(), Matlab(), "not a MATLAB file that can be read"),
    "half of 5": (cut("5", 5000), Matlab(), "not a MATLAB file that can be read"),
    "half of 7": (cut("7", 5000), Matlab(), "not a MATLAB file that can be read"),
    "half of 7.3": (cut("7.3", 5000), Matlab(), "damaged or truncated"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_one_error(kind: str, tmp_path: Path) -> None:
    writer, reader, message = REFUSED[kind]
    writer(tmp_path / "a.mat")
    with pytest.raises(InputError, match=rf"a\.mat: .*{message}"):
        reader.read(tmp_path / "a.mat", (0,))
