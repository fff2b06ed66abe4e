"""Siemens raw data, written with `twixtools`' own structures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fastmri_clgnet import read_scan
from fastmri_clgnet.conversion.convert import convert
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Scan, Twix
from fastmri_clgnet.formats.read_scan import Reading
from tests.conversion.host import assert_good, blobs, fft2c
from tests.formats.twix_files import COLUMNS, ROWS, SIZE, Readout, lines, write

PATREF, BOTH = "PATREFSCAN", "PATREFANDIMASCAN"
NOISE = Readout(np.ones((2, 32)), 0, flags=("NOISEADJSCAN",))


@pytest.fixture
def kspace() -> np.ndarray:
    """Two slices of two coils, each complex64."""
    return fft2c(blobs(0, 2, 2, ROWS, COLUMNS)).astype(np.complex64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "meas.dat"


def sampled(volume: Scan) -> list[int]:
    return np.flatnonzero(volume.sampled()).tolist()


def test_readouts_become_slices(path: Path, kspace: np.ndarray) -> None:
    """Noise, phase correction and navigators are left out; the readout stays oversampled."""
    others = [
        NOISE,
        *(Readout(9 * kspace[0, :, :, 1], 20, flags=(flag,)) for flag in ("PHASCOR", "noname60")),
    ]
    write(path, [*others, *reversed(lines(kspace))])
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert (scan.mask, scan.recon_size, scan.pixel_mm) == (None, (SIZE, COLUMNS), (2.0, 2.0))
    assert scan.kind == "Siemens TWIX" and scan.acquisition == "t2_tse"
    assert any("3 readouts of noise" in note for note in scan.notes)
    assert "2 slices, 2 coils, k-space 64 x 40, image 32 x 40" in str(scan)
    assert "fully sampled" in str(scan) and "Doe" not in str(scan)


def test_a_name_needs_no_suffix(path: Path, kspace: np.ndarray) -> None:
    write(path, lines(kspace))
    for name in ("meas", "meas."):
        scan = read_scan(path.rename(path.with_name(name)))
        path = path.with_name(name)
        np.testing.assert_array_equal(scan.kspace, kspace)
        assert scan.name == name


def test_repeated_lines_and_averages_are_averaged(path: Path, kspace: np.ndarray) -> None:
    again = [Readout(3 * one.samples, one.line, one.slice, counters={"Ave": 1})
             for one in lines(kspace, [7, 8])]  # fmt: skip
    write(path, [*lines(kspace), *again])
    scan = read_scan(path)
    np.testing.assert_allclose(scan.kspace[..., 7:9], 2 * kspace[..., 7:9], rtol=1e-6)
    np.testing.assert_array_equal(scan.kspace[..., 9:], kspace[..., 9:])
    assert any("up to 2 times are averaged" in note for note in scan.notes)


@pytest.mark.parametrize("flags", [(PATREF,), (PATREF, BOTH)])
def test_calibration_lines_fill_the_centre(
    flags: tuple[str, ...], path: Path, kspace: np.ndarray
) -> None:
    """Every third line and 12 central ones; those of both kinds belong to the image."""
    every_third, central = range(2, COLUMNS, 3), range(14, 26)
    shared = [column for column in every_third if column in central]
    write(
        path,
        [
            *lines(3 * kspace, shared, flags=flags),
            *lines(kspace, [column for column in central if column not in shared], flags=(PATREF,)),
            *lines(kspace, every_third),
        ],
    )
    scan = read_scan(path)
    assert sampled(scan) == sorted({*every_third, *central})
    expected = kspace.copy()
    if BOTH in flags:  # two lines of the image, averaged
        expected[..., shared] *= 2
    np.testing.assert_allclose(scan.kspace[..., sampled(scan)], expected[..., sampled(scan)], 1e-6)
    assert "every 3 lines), 13 calibration lines" in str(scan)


def test_separate_calibration_is_left_out(path: Path, kspace: np.ndarray) -> None:
    calibration = lines(5 * kspace, range(14, 26), flags=(PATREF,))
    write(path, [*calibration, *lines(kspace, range(2, COLUMNS, 3))], sPat__ucRefScanMode=4)
    scan = read_scan(path)
    assert sampled(scan) == list(range(2, COLUMNS, 3))
    assert any("24 calibration lines of a separate scan" in note for note in scan.notes)


def test_calibration_of_another_contrast_or_resolution_is_left_out(
    path: Path, kspace: np.ndarray
) -> None:
    other = lines(5 * kspace, range(14, 26), flags=(PATREF,), counters={"Eco": 1})
    coarse = [
        Readout(one.samples[:, 16:48], one.line, one.slice, (PATREF,), center_sample=16)
        for one in lines(5 * kspace, range(14, 26))
    ]
    write(path, [*other, *coarse, *lines(kspace, range(2, COLUMNS, 3))])
    scan = read_scan(path)
    assert sampled(scan) == list(range(2, COLUMNS, 3))
    np.testing.assert_array_equal(scan.kspace[..., 2::3], kspace[..., 2::3])


def test_partial_fourier_has_its_centre_where_the_energy_is(path: Path, kspace: np.ndarray) -> None:
    """28 of 40 lines, numbered from 0; the header gives the middle of what was acquired."""
    measured = [
        Readout(one[:, :, column], column - 12, i, center_line=14)
        for i, one in enumerate(kspace)
        for column in range(12, COLUMNS)
    ]
    write(path, measured)
    scan = read_scan(path)
    assert sampled(scan) == list(range(12, COLUMNS)) and scan.mask is None
    np.testing.assert_array_equal(scan.kspace[..., 12:], kspace[..., 12:])
    assert any("line 14 is the centre of k-space, the energy line 8, which" in note
               for note in scan.notes)  # fmt: skip
    assert any("partial Fourier: columns 12 to 39 of 40" in note for note in scan.notes)
    assert "fully sampled (28 of 40 lines, net acceleration 1.4)" in str(scan)


def test_asymmetric_echo_and_cut_samples(path: Path, kspace: np.ndarray) -> None:
    echo = [
        Readout(
            np.pad(one.samples[:, 20:], ((0, 0), (3, 2)), constant_values=99),
            one.line, one.slice, center_sample=ROWS // 2 - 20 + 3, cut=(3, 2),
        )
        for one in lines(kspace)
    ]  # fmt: skip
    write(path, echo)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace[..., 20:, :], kspace[..., 20:, :])
    assert not scan.kspace[..., :20, :].any()
    assert any("asymmetric echo: 20 of 64 rows" in note for note in scan.notes)


def test_slices_lie_in_order_and_are_placed(path: Path, kspace: np.ndarray) -> None:
    """Interleaved slices; phase encoding to the left, readout to the front of the patient."""
    three = fft2c(blobs(1, 3, 2, ROWS, COLUMNS)).astype(np.complex64)
    heights = [0.0, 10.0, 5.0]  # by the order of their measurement
    readouts = lines(three)
    for one in readouts:
        one.position = (1.0, 2.0, heights[one.slice])
    write(path, readouts)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, three[[0, 2, 1]])
    assert scan.affine is not None
    # columns: row (posterior), column (left), slice (superior), middle of the first slice
    np.testing.assert_allclose(
        scan.affine @ [SIZE // 2, COLUMNS // 2, 0, 1], [-1.0, -2.0, 0.0, 1.0], atol=1e-6
    )
    expected = np.array([[0, -2, 0], [-2, 0, 0], [0, 0, 5]], float)
    np.testing.assert_allclose(scan.affine[:3, :3], expected, atol=1e-6)


def test_one_of_several_images_is_chosen(path: Path, kspace: np.ndarray) -> None:
    write(path, [*lines(kspace), *lines(2 * kspace, counters={"Eco": 1})])
    with pytest.raises(InputError, match=r"holds several of contrast \(0 1\); choose one"):
        read_scan(path)
    np.testing.assert_array_equal(read_scan(path, Reading(contrast=1)).kspace, 2 * kspace)


def test_the_last_measurement_is_read(path: Path, kspace: np.ndarray) -> None:
    write(path, [NOISE], lines(2 * kspace), lines(kspace))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert "measurement 3 of 3" in scan.notes[0]
    np.testing.assert_array_equal(read_scan(path, Reading(measurement=2)).kspace, 2 * kspace)
    with pytest.raises(InputError, match="no readouts of an image"):
        read_scan(path, Reading(measurement=1))
    with pytest.raises(InputError, match="no measurement 4; it holds 1: "):
        read_scan(path, Reading(measurement=4))


def test_phase_oversampling_is_cut_off(path: Path, kspace: np.ndarray) -> None:
    """40 lines over 80 mm, of which the image has 64 mm."""
    changes = {"sKSpace.dPhaseOversamplingForDialog": 0.25,
               "sSliceArray.asSlice[0].dPhaseFOV": 64.0}  # fmt: skip
    write(path, lines(kspace), **changes)
    scan = read_scan(path)
    assert scan.kspace.shape[-1] == COLUMNS
    assert scan.recon_size == (SIZE, 32) and scan.pixel_mm == (2.0, 2.0)


def test_a_header_of_another_protocol(path: Path, kspace: np.ndarray) -> None:
    """As Pulseq sequences leave it: the matrix is what was measured."""
    write(path, lines(kspace, center_line=0), rows=24, columns=16, sKSpace__lBaseResolution=12)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert (scan.recon_size, scan.pixel_mm, scan.affine) == ((ROWS, COLUMNS), None, None)
    assert "matrix of 24 x 16 contradicts 64 samples and 40 lines" in scan.notes[0]
    assert "image 64 x 40, pixel size unknown" in str(scan)


@pytest.mark.parametrize(("trajectory", "name"), [(2, "radial"), (4, "spiral")])
def test_other_trajectories_are_refused(
    trajectory: int, name: str, path: Path, kspace: np.ndarray
) -> None:
    write(path, lines(kspace), sKSpace__ucTrajectory=trajectory)
    message = f"{name} trajectory, expected a Cartesian .* elsewhere .mrpro, sigpy, torchkbnufft"
    with pytest.raises(InputError, match=message):
        read_scan(path)


def test_simultaneous_slices_are_refused(path: Path, kspace: np.ndarray) -> None:
    write(path, lines(kspace), sSliceAcceleration__lMultiBandFactor=2)
    with pytest.raises(InputError, match=r"several slices measured at once \(multiband\)"):
        read_scan(path)


@pytest.mark.parametrize(
    ("readout", "message"),
    [
        (Readout(np.ones((3, ROWS)), 5), "3 channels and 64 samples .* and 2 channels"),
        (Readout(np.ones((2, ROWS)), 5, counters={"Par": 1}), "three-dimensional"),
        (Readout(np.ones((2, ROWS)), 5, flags=("REFLECT",)), "both directions"),
        (Readout(np.ones((2, ROWS)), 5, slice=2), "different phase encodings"),
    ],
)
def test_other_readouts_are_refused(
    readout: Readout, message: str, path: Path, kspace: np.ndarray
) -> None:
    write(path, [*lines(kspace), readout])
    with pytest.raises(InputError, match=message):
        read_scan(path)


def test_truncated_files_are_refused(path: Path, kspace: np.ndarray) -> None:
    """At every place: the list of measurements, the header, in and between readouts."""
    write(path, lines(kspace))
    whole = path.read_bytes()
    for length in (5, 100, 10_240, 10_300, 12_000, len(whole) // 2, len(whole) - 600):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"meas.dat: .*(truncated|damaged|not Siemens)"):
            read_scan(path)
    # the size of the measurement is not always in the list
    readout = 192 + 2 * (32 + 8 * ROWS)
    no_size = whole[: 8 + 16] + bytes(8) + whole[8 + 24 :]
    start = len(whole) - len(whole) % readout
    for length in (start // 2, start // 2 + 100, start // 2 + 300):
        path.write_bytes(no_size[:length])
        with pytest.raises(InputError, match=r"meas.dat: truncated"):
            read_scan(path)
    path.write_bytes(no_size)
    np.testing.assert_array_equal(read_scan(path).kspace, kspace)


def test_empty_and_other_files(path: Path, kspace: np.ndarray) -> None:
    write(path, [])
    with pytest.raises(InputError, match="no readouts of an image"):
        read_scan(path)
    path.write_bytes(b"no TWIX" * 99)
    with pytest.raises(InputError, match=r"not Siemens raw data \(TWIX\)"):
        read_scan(path)


def test_says_what_to_install(
    path: Path, kspace: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, lines(kspace))
    monkeypatch.setitem(sys.modules, "twixtools", None)
    with pytest.raises(InputError, match=r"pip install 'fastmri_clgnet\[siemens\]'"):
        read_scan(path)


def test_a_folder_of_scans_is_converted(tmp_path: Path, kspace: np.ndarray) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.dat", lines(kspace))
    done = convert(tmp_path / "in", tmp_path / "out", Twix(), split=(1, 0, 0), num_workers=1)
    assert not done.failures
    assert_good(tmp_path / "out")


@pytest.mark.parametrize("value", ["NaN", "-1", "0", '""', "text", "99999999999"])
@pytest.mark.parametrize(
    "name",
    [
        "sKSpace.lBaseResolution", "sKSpace.ucTrajectory", "sPat.ucRefScanMode",
        "sPat.lAccelFactPE", "lAverages", "lContrasts", "sSliceArray.asSlice[0].dReadoutFOV",
        "sSliceArray.asSlice[0].dPhaseFOV", "sSliceArray.asSlice[0].dThickness", "rows", "columns",
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_done_without(
    name: str, value: str, path: Path, kspace: np.ndarray
) -> None:
    write(path, lines(kspace), **{name: value})
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert scan.recon_size == (SIZE, COLUMNS)
    known = name.startswith("sSliceArray") or value == "0"
    assert scan.notes or known  # a field of view of 0 is an unknown one


@pytest.mark.parametrize(
    ("counter", "header", "averaged"),
    [
        (None, {}, False),
        ("Ida", {}, False),
        ("Ave", {}, True),
        (None, {"lAverages": 2}, True),
        ("Ave", {"lContrasts": 2}, False),
    ],
)
def test_only_averages_are_averaged(
    counter: str | None, header: dict[str, int], averaged: bool, path: Path, kspace: np.ndarray
) -> None:
    again = lines(kspace, counters={} if counter is None else {counter: 1})
    write(path, [*lines(kspace), *again], **header)
    if averaged:
        np.testing.assert_allclose(read_scan(path).kspace, kspace, rtol=1e-6)
    else:
        with pytest.raises(InputError, match="lines were measured up to 2 times"):
            read_scan(path)


def test_slices_from_one_and_an_acceleration_that_lines_contradict(
    path: Path, kspace: np.ndarray
) -> None:
    moved = [Readout(one.samples, one.line, one.slice + 1) for one in lines(kspace)]
    write(path, moved, sPat__lAccelFactPE=3)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert "the header's acceleration is 3, that of the lines' numbers 1" in scan.notes[0]
    every_third = [
        Readout(one.samples, one.line // 3) for one in lines(kspace[:1], range(0, 40, 3))
    ]
    write(path, every_third, sPat__lAccelFactPE=3)
    with pytest.raises(InputError, match="14 lines are numbered one after another"):
        read_scan(path)
