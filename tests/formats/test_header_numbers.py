"""Headers as they are out there: numbers that are none, images that nothing separates, lines."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fastmri_clgnet import read_scan
from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.read_scan import Reading
from tests.conversion.host import blobs, fft2c, ifft2c
from tests.formats import test_ismrmrd

ROWS, COLUMNS, SIZE = 64, 48, 32
NAMESPACE = "http://www.ismrm.org/ISMRMRD"
ENCODED, RECON = ("encodedSpace", "matrixSize"), ("reconSpace", "matrixSize")
LIMITS = ("encodingLimits", "kspace_encoding_step_1")
R = ("parallelImaging", "accelerationFactor", "kspace_encoding_step_1")
NUMBERS = ["40.5", "NaN", "inf", "-1", "0", "", "text", "99999999999"]
CALIBRATION = 1 << 19  # ACQ_IS_PARALLEL_CALIBRATION


@pytest.fixture(scope="module")
def kspace() -> np.ndarray:
    """A slice of two coils, (1, coils, rows, columns) complex64."""
    return fft2c(blobs(0, 1, 2, ROWS, COLUMNS)).astype(np.complex64)


@pytest.fixture
def path(tmp_path: Path, kspace: np.ndarray) -> Path:
    """A sound ISMRMRD file: pixels of 2 mm, 48 lines, the readout oversampled."""
    path = tmp_path / "scan.mrd"
    test_ismrmrd.write(
        path, kspace, range(COLUMNS), limits=(COLUMNS - 1, COLUMNS // 2), encoded=(ROWS, COLUMNS),
        encoded_mm=(128.0, 96.0), recon=(SIZE, COLUMNS), recon_mm=(64.0, 96.0),
        calibration="embedded",
    )  # fmt: skip
    set_header(path, {R: "1"})
    return path


def image(kspace: np.ndarray, mask: np.ndarray | bool = True) -> np.ndarray:
    """Root sum of squares, by NumPy's inverse FFT, without the readout's oversampling."""
    rss: np.ndarray = np.sqrt((np.abs(ifft2c(kspace * mask)) ** 2).sum(axis=1))
    rows = rss.shape[1]
    return rss[:, (rows - SIZE) // 2 : (rows + SIZE) // 2]


def edited(text: bytes, fields: dict[tuple[str, ...], str | None]) -> bytes:
    """A header with other texts, None to remove a field; of the first encoding, or of the root."""
    root = ElementTree.fromstring(text)
    for names, value in fields.items():
        from_root = names[0] == "sequenceParameters"
        parent = root if from_root else root.find(f"{{{NAMESPACE}}}encoding")
        assert parent is not None
        for name in names[:-1]:
            child = parent.find(f"{{{NAMESPACE}}}{name}")
            if child is None:
                child = ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
            parent = child
        last = parent.find(f"{{{NAMESPACE}}}{names[-1]}")
        if last is not None:
            parent.remove(last)
        for word in [] if value is None else value.split(",") if from_root else [value]:
            ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{names[-1]}").text = word
    return ElementTree.tostring(root)


def set_header(path: Path, fields: dict[tuple[str, ...], str | None]) -> None:
    with h5py.File(path, "r+") as file:
        file["dataset/xml"][0] = edited(file["dataset/xml"][0], fields)


def set_lines(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace the readouts by those that `change` makes of them."""
    with h5py.File(path, "r+") as file:
        data, kind = change(file["dataset/data"][:]), file["dataset/data"].dtype
        del file["dataset/data"]
        file.create_dataset("dataset/data", data=data, dtype=kind)


def repeated(n: int, counter: str | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Every line n times, numbered by a counter."""

    def change(data: np.ndarray) -> np.ndarray:
        copies = [data.copy() for _ in range(n)]
        for i, copy in enumerate(copies):
            if counter is not None:
                copy["head"]["idx"][counter] = i
        return np.concatenate(copies)

    return change


FIELDS = [
    *((*space, axis) for space in (ENCODED, RECON) for axis in "xy"),
    *((space[0], "fieldOfView_mm", axis) for space in (ENCODED, RECON) for axis in "xy"),
    (*LIMITS, "center"), (*LIMITS, "maximum"), R,
    *(("sequenceParameters", name) for name in ("TR", "TE", "TI", "flipAngle_deg")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(((*RECON, "x"), value) for value in NUMBERS),
        *(((*ENCODED, "y"), value) for value in NUMBERS),
        *((field, value) for field in FIELDS for value in ("NaN", "-1", None)),
    ],
)
def test_a_number_that_is_none_is_done_without(
    field: tuple[str, ...], value: str | None, path: Path, kspace: np.ndarray
) -> None:
    """The image and its pixels are the same, and a note names field and value."""
    set_header(path, {field: value})
    scan = read_scan(path)
    np.testing.assert_allclose(scan.images(), image(kspace), rtol=1e-4, atol=1e-6)
    named = any(field[-1] in note and f"is {value!r}" in note for note in scan.notes)
    assert named == (value is not None)
    assert scan.pixel_mm == (2.0, 2.0)


def test_numbers_as_other_programs_write_them(path: Path, kspace: np.ndarray) -> None:
    """Also a header without a namespace, and words with a capital."""
    set_header(path, {
        (*ENCODED, "x"): "64.0", (*ENCODED, "y"): " 4.8e1 ", (*RECON, "x"): "32.", R: "1.0",
        (*LIMITS, "center"): "24.0", ("trajectory",): "Cartesian",
    })  # fmt: skip
    with h5py.File(path, "r+") as file:
        text = re.sub(rb" xmlns\S*=\"[^\"]*\"|(?<=[</])ns\d+:", b"", file["dataset/xml"][0])
        assert NAMESPACE.encode() not in text
        file["dataset/xml"][0] = text
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert (scan.recon_size, scan.pixel_mm, scan.notes) == ((SIZE, COLUMNS), (2.0, 2.0), ())


@pytest.mark.parametrize("value", ["", "1", "0", "65535", None])
def test_an_empty_matrix_of_the_image(value: str | None, path: Path, kspace: np.ndarray) -> None:
    """The field of view settles it; where there is none, the encoded matrix."""
    set_header(path, {(*RECON, axis): value for axis in "xy"})
    scan = read_scan(path)
    np.testing.assert_allclose(scan.images(), image(kspace), rtol=1e-4, atol=1e-6)
    assert ": 32 x 48, as its field of view says" in scan.notes[-1]
    set_header(path, {("reconSpace", "fieldOfView_mm", axis): None for axis in "xy"})
    scan = read_scan(path)
    assert scan.recon_size == (ROWS, COLUMNS)
    assert ": 64 x 48, as large as the matrix" in scan.notes[-1]


@pytest.mark.parametrize("value", ["40.0", "NaN", None])
@pytest.mark.parametrize("field", [(*ENCODED, "x"), (*RECON, "x"), (*LIMITS, "center")])
def test_fastmris_files(
    field: tuple[str, ...], value: str | None, tmp_path: Path, kspace: np.ndarray
) -> None:
    """A single scan is read without what fastMRI cannot read."""
    path = tmp_path / "a.h5"
    write_fastmri_file(path, kspace, recon_size=(SIZE, COLUMNS), pixel_mm=(2.0, 2.0))
    with h5py.File(path, "r+") as file:
        text = edited(file["ismrmrd_header"][()], {field: value})
        del file["ismrmrd_header"]
        file["ismrmrd_header"] = text
    scan = read_scan(path)
    np.testing.assert_allclose(scan.images(), image(kspace), rtol=1e-4, atol=1e-6)
    assert any("fastMRI itself cannot read this header" in note for note in scan.notes)


AVERAGES = ("encodingLimits", "average", "maximum")
TIMES: dict[tuple[str, ...], str | None] = {("sequenceParameters", "TE"): "5,10,15"}


@pytest.mark.parametrize(
    ("counter", "header", "averaged"),
    [
        (None, {}, False),
        ("segment", {}, False),
        ("average", {}, True),
        (None, {AVERAGES: "2"}, True),
        (None, {("encodingLimits", "repetition", "maximum"): "2"}, True),
        (None, {AVERAGES: "1"}, False),
        (None, TIMES, False),
        ("average", TIMES, False),
        (None, {**TIMES, AVERAGES: "2"}, False),
        ("average", {**TIMES, AVERAGES: "2"}, True),
        ("average", {("sequenceParameters", "TI"): "5,10,15"}, False),
        ("average", {("sequenceParameters", "flipAngle_deg"): "5,10"}, False),
        ("average", {("encodingLimits", "set", "maximum"): "2"}, False),
        ("average", {("sequenceParameters", "TE"): "5,5,0"}, True),
    ],
)
def test_only_averages_are_averaged(
    counter: str | None,
    header: dict[tuple[str, ...], str | None],
    averaged: bool,
    path: Path,
    kspace: np.ndarray,
) -> None:
    set_header(path, header)
    set_lines(path, repeated(3, counter))
    if averaged:
        scan = read_scan(path)
        np.testing.assert_allclose(scan.kspace, kspace, rtol=1e-6)
        assert "lines that were measured up to 3 times are averaged" in scan.notes
    else:
        with pytest.raises(InputError, match=r"up to 3 times.*number them as contrast \(echo\)"):
            read_scan(path)


@pytest.mark.parametrize("zero", ["0", "500"])
def test_diffusion_weightings_are_no_averages(zero: str, path: Path) -> None:
    set_header(path, {("sequenceParameters", "diffusion", "bvalue"): f"{zero},1000"})
    set_lines(path, repeated(2, "average"))
    with pytest.raises(InputError, match=f"several images .b-value {zero} 1000"):
        read_scan(path)
    set_header(path, {("sequenceParameters", "diffusion", "bvalue"): "1000",
                      ("sequenceParameters", "diffusionDimension"): "average",
                      AVERAGES: "1"})  # fmt: skip
    with pytest.raises(InputError, match="diffusion weightings, numbered as averages"):
        read_scan(path)


@pytest.mark.parametrize("counter", ["contrast", "phase", "repetition", "set"])
def test_images_that_a_counter_separates(counter: str, path: Path, kspace: np.ndarray) -> None:
    set_header(path, TIMES)
    set_lines(path, repeated(3, counter))
    with pytest.raises(InputError, match=f"holds several of {counter} .0 1 2.; choose one"):
        read_scan(path)
    chosen: dict[str, Any] = {counter: 1}
    scan = read_scan(path, Reading(**chosen))
    np.testing.assert_array_equal(scan.kspace, kspace)


@pytest.mark.parametrize("numbers", [(1,), (7,), (60000,), (1, 2), (3, 5, 7)])
def test_slices_from_any_number(numbers: tuple[int, ...], path: Path, kspace: np.ndarray) -> None:
    def change(data: np.ndarray) -> np.ndarray:
        copies = [data.copy() for _ in numbers]
        for copy, number in zip(copies, numbers, strict=True):
            copy["head"]["idx"]["slice"] = number
        return np.concatenate(copies)

    set_lines(path, change)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, np.concatenate([kspace] * len(numbers)))


@pytest.mark.parametrize("center", [SIZE // 2, 0, 10, ROWS // 2])
@pytest.mark.parametrize("first", [0, 14])
def test_readouts_without_oversampling(
    center: int, first: int, tmp_path: Path, kspace: np.ndarray
) -> None:
    """The header has it, and perhaps the echo's place; whole and partial Fourier."""
    axes = (-2,)
    images = np.fft.ifft(np.fft.ifftshift(kspace, axes), axis=-2, norm="ortho")
    images = np.fft.fftshift(images, axes)[..., SIZE // 2 : -SIZE // 2, :]
    short = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(images, axes), axis=-2, norm="ortho"), axes)
    short = short.astype(np.complex64)
    path = tmp_path / "scan.mrd"
    test_ismrmrd.write(
        path, short, {c: c - first for c in range(first, COLUMNS)},
        limits=(COLUMNS - 1 - first, COLUMNS // 2 - first), encoded=(ROWS, COLUMNS),
        encoded_mm=(128.0, 96.0), recon=(SIZE, COLUMNS), recon_mm=(64.0, 96.0),
        center_sample=[center],
    )  # fmt: skip
    scan = read_scan(path)
    measured = np.arange(COLUMNS) >= first
    np.testing.assert_allclose(scan.images(), image(short, measured), rtol=1e-4, atol=1e-6)
    assert scan.pixel_mm == (2.0, 2.0)
    assert any("readouts without oversampling" in note for note in scan.notes)
    assert any("sample 16, which is used" in note for note in scan.notes) == (center != SIZE // 2)


@pytest.mark.parametrize("header", ["1", "2", "4"])
@pytest.mark.parametrize("step", [1, 2, 4])
@pytest.mark.parametrize("central", [0, 6])
def test_an_acceleration_that_lines_contradict(
    header: str, step: int, central: int, path: Path, kspace: np.ndarray
) -> None:
    """The lines' numbers are taken, and a note says so."""
    columns = np.arange(COLUMNS)
    mask = (columns % step == 0) | (abs(columns - COLUMNS // 2) < central)
    set_header(path, {R: header})
    set_lines(path, lambda data: data[mask])
    scan = read_scan(path)
    np.testing.assert_allclose(scan.images(), image(kspace, mask), rtol=1e-4, atol=1e-6)
    said = f"the header's acceleration is {header}, that of the lines' numbers {step}"
    assert any(said in note for note in scan.notes) == (header != str(step))
    if step > 1:
        sentence = f"{mask.sum()} of 48 lines measured (net acceleration {48 / mask.sum():.2g}, "
        assert f"{sentence}every {step} lines)" in str(scan)


@pytest.mark.parametrize("central", [0, 6])
def test_lines_that_are_numbered_one_after_another(central: int, path: Path) -> None:
    """Every second line was measured: their places are unknown, wherever calibration lines are."""

    def change(data: np.ndarray) -> np.ndarray:
        middle = data[24 - central : 24 + central].copy()
        middle["head"]["flags"] |= CALIBRATION
        data = data[::2]
        data["head"]["idx"]["kspace_encode_step_1"] //= 2
        return np.concatenate([data, middle])

    set_header(path, {R: "2"})
    set_lines(path, change)
    with pytest.raises(InputError, match=r"24 lines are numbered one after another \(0 to 23\)"):
        read_scan(path)


def test_readouts_without_samples(path: Path) -> None:
    def change(data: np.ndarray) -> np.ndarray:
        data["head"]["discard_pre"] = ROWS
        return data

    set_lines(path, change)
    with pytest.raises(InputError, match=r"scan\.mrd: holds readouts without samples"):
        read_scan(path)


def test_lines_without_numbers(path: Path) -> None:
    def change(data: np.ndarray) -> np.ndarray:
        data["head"]["idx"]["kspace_encode_step_1"] = 0
        return data

    set_lines(path, change)
    with pytest.raises(InputError, match="lines were measured up to 48 times"):
        read_scan(path)


def test_partial_fourier_of_which_the_header_has_no_matrix(path: Path, kspace: np.ndarray) -> None:
    def change(data: np.ndarray) -> np.ndarray:
        data = data[14:]
        data["head"]["idx"]["kspace_encode_step_1"] -= 14
        return data

    set_header(path, {(*ENCODED, "y"): None, (*LIMITS, "center"): "10", (*LIMITS, "maximum"): "33"})
    set_lines(path, change)
    scan = read_scan(path)
    expected = image(kspace, np.arange(COLUMNS) >= 14)
    np.testing.assert_allclose(scan.images(), expected, rtol=1e-4, atol=1e-6)
    assert "fully sampled (34 of 48 lines, net acceleration 1.4)" in str(scan)
