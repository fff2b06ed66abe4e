"""ISMRMRD raw files, made with the `ismrmrd` library, through the command and the host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
import pytest

from fastmri_clgnet.convert import main
from fastmri_clgnet.formats import IsmrmrdRaw
from fastmri_clgnet.formats.header import ismrmrd_header
from tests.conversion.host import assert_good, assert_host_gives, blobs, fft2c

ROWS, COLUMNS, SIZE = 32, 20, 16
TRAIN = ["--split", "1", "0", "0", "--num_workers", "1", "--from", "ismrmrd"]


def _write(
    path: Path,
    kspace: np.ndarray,
    lines: Iterable[int],
    acquired: tuple[int, int] = (0, COLUMNS),
    echo: int = 0,
    averages: int = 1,
    interpolated: bool = False,
) -> None:
    """Write readouts in reversed order, after a noise measurement; `echo` rows were not sampled."""
    path.parent.mkdir(exist_ok=True)
    header = ismrmrd_header((ROWS, COLUMNS), (SIZE, COLUMNS), acquired, (2.0, 1.5))
    document = ismrmrd.xsd.CreateFromDocument(header)
    if interpolated:  # the scanner's matrix doubles, its field of view stays
        document.encoding[0].reconSpace.matrixSize.x *= 2
        document.encoding[0].reconSpace.matrixSize.y *= 2
    document.measurementInformation = ismrmrd.xsd.measurementInformationType(
        patientPosition="HFS", protocolName="t2_tse"
    )
    with ismrmrd.Dataset(str(path), mode="w") as dataset:
        dataset.write_xml_header(document.toXML("utf-8").encode())
        noise = ismrmrd.Acquisition.from_array(np.ones((kspace.shape[1], 7), np.complex64))
        noise.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        dataset.append_acquisition(noise)
        for i in reversed(range(len(kspace))):
            for column in reversed(list(lines)):
                for average in range(averages):
                    sign = 1 + 0.5 * (-1) ** average * (averages > 1)
                    samples = (sign * kspace[i, :, echo:, column]).astype(np.complex64)
                    readout = ismrmrd.Acquisition.from_array(samples)
                    readout.center_sample = ROWS // 2 - echo
                    readout.idx.slice = i
                    readout.idx.average = average
                    readout.idx.kspace_encode_step_1 = column - acquired[0]
                    dataset.append_acquisition(readout)


@pytest.mark.parametrize("n_coils", [1, 2])
def test_readouts_become_slices(n_coils: int, tmp_path: Path) -> None:
    """Averages, zero-filled edges; the readout stays oversampled and the image is cut."""
    kspace = fft2c(blobs(0, 2, n_coils, ROWS, COLUMNS))
    kspace[..., 18:] = kspace[..., :3] = 0
    _write(tmp_path / "in" / "a.h5", kspace, range(3, 18), (3, 18), averages=2)
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]) == 0
    axes = (-2, -1)
    image = np.fft.fftshift(
        np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes), norm="ortho"), axes=axes
    )
    rss = np.sqrt((np.abs(image) ** 2).sum(axis=1))[:, 8:24]
    folder = tmp_path / "out" / ("singlecoil_train" if n_coils == 1 else "multicoil_train")
    assert_host_gives(folder, {"a.h5": rss}, 2e-6)
    assert_good(tmp_path / "out")
    with h5py.File(folder / "a.h5") as file:
        assert file["kspace"].shape[-2:] == (ROWS, COLUMNS)
        assert file.attrs["acquisition"] == "t2_tse"
        header = ismrmrd.xsd.CreateFromDocument(file["ismrmrd_header"][()])
    space = header.encoding[0].reconSpace
    assert (space.matrixSize.x, space.fieldOfView_mm.x, space.fieldOfView_mm.y) == (16, 32, 30)
    limit = header.encoding[0].encodingLimits.kspace_encoding_step_1
    assert (limit.maximum, limit.center) == (14, 7)


def test_partial_echo_and_undersampling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kspace = fft2c(blobs(0, 2, 2, ROWS, COLUMNS))
    lines = [0, 3, 6, 8, 9, 10, 11, 12, 15, 18, 19]
    _write(tmp_path / "in" / "a.h5", kspace, lines, echo=4)
    command = [str(tmp_path / "in"), str(tmp_path / "out")]
    assert main([*command, *TRAIN]) == 1
    assert "acquired undersampled (11 of 20 columns)" in capsys.readouterr().err
    assert main([*command[:1], str(tmp_path / "b"), *TRAIN, "--split", "0", "0", "1"]) == 0
    assert_good(tmp_path / "b")
    with h5py.File(tmp_path / "b" / "multicoil_test" / "a.h5") as file:
        read = file["kspace"][()]
        assert np.flatnonzero(file["mask"]).tolist() == lines
    np.testing.assert_array_equal(read[..., 4:, lines], kspace[..., 4:, lines].astype("c8"))
    assert not read[..., :4, :].any()


def test_interpolation_of_the_scanner_is_left_out(tmp_path: Path) -> None:
    """Its matrix of 32 rows would keep the oversampled readout: the field of view has 16."""
    kspace = fft2c(blobs(0, 1, 2, ROWS, COLUMNS))
    _write(tmp_path / "in" / "a.h5", kspace, range(COLUMNS), interpolated=True)
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]) == 0
    with h5py.File(tmp_path / "out" / "multicoil_train" / "a.h5") as file:
        assert file["reconstruction_rss"].shape == (1, SIZE, COLUMNS)
        header = ismrmrd.xsd.CreateFromDocument(file["ismrmrd_header"][()])
    space = header.encoding[0].reconSpace
    assert (space.fieldOfView_mm.x, space.fieldOfView_mm.y) == (2 * SIZE, 1.5 * COLUMNS)


def test_readouts_of_a_second_encoding_are_left_out(tmp_path: Path) -> None:
    kspace = fft2c(blobs(0, 1, 2, ROWS, COLUMNS))
    path = tmp_path / "in" / "a.h5"
    _write(path, kspace, range(COLUMNS))
    with ismrmrd.Dataset(str(path), mode="r+") as dataset:
        other = ismrmrd.Acquisition.from_array(np.ones((2, ROWS), np.complex64))
        other.encoding_space_ref = 1
        other.center_sample = ROWS // 2
        other.idx.kspace_encode_step_1 = COLUMNS // 2
        dataset.append_acquisition(other)
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]) == 0
    with h5py.File(tmp_path / "out" / "multicoil_train" / "a.h5") as file:
        np.testing.assert_array_equal(file["kspace"][()], kspace.astype("c8"))


PLAIN = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION
BOTH = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING
EVERY_THIRD, CENTRAL = range(1, COLUMNS, 3), range(5, 15)


def _calibrate(
    path: Path,
    kspace: np.ndarray,
    flags: dict[int, tuple[int, ...]],
    mode: str | None = None,
    rows: slice = slice(None),
    **counters: int,
) -> None:
    """Write lines of some columns with flags, in front of those that are there."""
    with ismrmrd.Dataset(str(path), mode="r") as dataset:
        document = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
        lines = [dataset.read_acquisition(i) for i in range(dataset.number_of_acquisitions())]
    if mode is not None:
        factors = ismrmrd.xsd.accelerationFactorType(
            kspace_encoding_step_1=3, kspace_encoding_step_2=1
        )
        document.encoding[0].parallelImaging = ismrmrd.xsd.parallelImagingType(
            accelerationFactor=factors, calibrationMode=ismrmrd.xsd.calibrationModeType(mode)
        )
    with ismrmrd.Dataset(str(path), mode="w") as dataset:
        dataset.write_xml_header(document.toXML("utf-8").encode())
        for i, one in enumerate(kspace):
            for column, line_flags in flags.items():
                samples = one[:, rows, column].astype(np.complex64)
                line = ismrmrd.Acquisition.from_array(samples)
                line.center_sample = samples.shape[1] // 2
                line.idx.slice, line.idx.kspace_encode_step_1 = i, column
                for flag in line_flags:
                    line.set_flag(flag)
                for counter, value in counters.items():
                    setattr(line.idx, counter, value)
                dataset.append_acquisition(line)
        for line in lines:
            dataset.append_acquisition(line)


def _read_columns(path: Path) -> tuple[np.ndarray, list[int], int]:
    """k-space, sampled columns and how many of them are in one piece around the centre."""
    volume = IsmrmrdRaw().read(path, [0])
    assert volume.mask is not None
    gaps = np.flatnonzero(~volume.mask)
    centre = COLUMNS // 2
    central = gaps[gaps > centre].min() - gaps[gaps < centre].max() - 1
    return volume.kspace, np.flatnonzero(volume.mask).tolist(), int(central)


@pytest.mark.parametrize("shared", [(), (PLAIN, BOTH), (BOTH,)])
@pytest.mark.parametrize("mode", [None, "embedded"])
def test_calibration_lines_fill_the_centre(
    shared: tuple[int, ...], mode: str | None, tmp_path: Path
) -> None:
    """Every third line, and all lines of the centre; `shared` flags those that are both."""
    kspace = fft2c(blobs(0, 2, 2, ROWS, COLUMNS))
    path = tmp_path / "in" / "a.h5"
    both = [column for column in EVERY_THIRD if column in CENTRAL]
    _write(path, kspace, [column for column in EVERY_THIRD if column not in both])
    flags = {column: shared if column in both else (PLAIN,) for column in CENTRAL}
    _calibrate(path, kspace, flags, mode)
    read, columns, central = _read_columns(path)
    assert columns == sorted({*EVERY_THIRD, *CENTRAL})
    assert central == 11  # 4 to 14; 1 without the calibration
    np.testing.assert_array_equal(read[..., columns], kspace[..., columns].astype("c8"))
    # the file says how many low frequencies there are
    command = [str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN, "--split", "0", "0", "1"]
    assert main(command) == 0
    assert_good(tmp_path / "out")
    with h5py.File(tmp_path / "out" / "multicoil_test" / "a.h5") as file:
        assert file.attrs["num_low_frequency"] == 11


@pytest.mark.parametrize("flags", [(PLAIN,), (PLAIN, BOTH), (BOTH,)])
def test_calibration_lines_yield_to_lines_of_the_image(
    flags: tuple[int, ...], tmp_path: Path
) -> None:
    """Lines for calibration and imaging are lines of the image, and are averaged with others."""
    kspace = fft2c(blobs(0, 2, 2, ROWS, COLUMNS))
    path = tmp_path / "in" / "a.h5"
    _write(path, kspace, EVERY_THIRD)
    _calibrate(path, 3 * kspace, dict.fromkeys(CENTRAL, flags))
    read, columns, central = _read_columns(path)
    assert columns == sorted({*EVERY_THIRD, *CENTRAL})
    assert central == 11
    factors = np.where(np.isin(columns, EVERY_THIRD), 1, 3)
    if BOTH in flags:
        factors = np.where(np.isin(columns, EVERY_THIRD) & np.isin(columns, CENTRAL), 2, factors)
    np.testing.assert_allclose(
        read[..., columns], factors * kspace[..., columns], rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    "other",
    [{"mode": "separate"}, {"mode": "external"}, {"contrast": 1}, {"rows": slice(8, 24)}],
)
def test_calibration_of_another_scan_or_resolution_is_left_out(
    other: dict[str, Any], tmp_path: Path
) -> None:
    kspace = fft2c(blobs(0, 2, 2, ROWS, COLUMNS))
    path = tmp_path / "in" / "a.h5"
    _write(path, kspace, EVERY_THIRD)
    _calibrate(path, kspace, dict.fromkeys(CENTRAL, (PLAIN,)), **other)
    read, columns, central = _read_columns(path)
    assert columns == list(EVERY_THIRD)
    assert central == 1
    np.testing.assert_array_equal(read[..., columns], kspace[..., columns].astype("c8"))


def _change(path: Path, **values: int) -> None:
    """Change counters of the last acquisition."""
    with ismrmrd.Dataset(str(path), mode="r+") as dataset:
        last = dataset.number_of_acquisitions() - 1
        readout = dataset.read_acquisition(last)
        for name, value in values.items():
            setattr(readout.idx, name, value)
        dataset.write_acquisition(readout, last)


def test_what_is_ambiguous_or_other_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in" / "a.h5"
    kspace = fft2c(blobs(0, 1, 2, ROWS, COLUMNS))
    command = [str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]
    cases = [
        ({"contrast": 1}, "a.h5: holds several of contrast (0 1); choose one, such as contrast 0"),
        ({"kspace_encode_step_2": 1}, "a.h5: three-dimensional"),
        ({"kspace_encode_step_1": 40}, "in column 40 does not fit"),
        ({"slice": 1}, "different phase encodings"),
    ]
    for change, message in cases:
        _write(path, kspace, range(COLUMNS))
        _change(path, **change)
        assert main(command) == 1
        assert message in capsys.readouterr().err
    path.write_bytes(b"no HDF5")
    assert main(command) == 1
    assert "a.h5: not an ISMRMRD raw file" in capsys.readouterr().err
