"""ISMRMRD raw files: lines, calibration, centre and limits; matrices that contradict the lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
import pytest
from ismrmrd.hdf5 import acquisition_dtype, acquisition_header_dtype

from fastmri_clgnet import read_scan
from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import IsmrmrdRaw, Scan
from fastmri_clgnet.formats.fastmri import n_central_columns
from fastmri_clgnet.formats.header import ismrmrd_header
from fastmri_clgnet.formats.read_scan import Reading
from tests.conversion.host import assert_good, assert_host_gives, blobs, fft2c, ifft2c

ROWS, COLUMNS, SIZE = 64, 192, 32
CALIBRATION = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION
BOTH = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING


@pytest.fixture(scope="module")
def kspace() -> np.ndarray:
    """A slice of two coils, as complex64."""
    return fft2c(blobs(0, 1, 2, ROWS, COLUMNS)).astype(np.complex64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scan.mrd"


def write(
    path: Path,
    kspace: np.ndarray,
    numbers: dict[int, int] | Iterable[int],
    *,
    flags: Mapping[int, tuple[int, ...]] | None = None,
    limits: tuple[int, int] = (COLUMNS - 1, COLUMNS // 2),
    encoded: tuple[int, int] = (ROWS, COLUMNS),
    encoded_mm: tuple[float, float] = (128.0, 192.0),
    recon: tuple[int, int] = (SIZE, COLUMNS),
    recon_mm: tuple[float, float] = (64.0, 192.0),
    trajectory: str = "cartesian",
    calibration: str | None = None,
    group: str = "dataset",
    **readout: Any,
) -> None:
    """Write a file.

    Args:
        path: The file; a group of the same name is replaced.
        kspace: (slices, coils, rows, columns).
        numbers: Which columns are measured, and the number of each.
        flags: Of columns.
        limits: Maximum and centre of the header's encoding limits.
        encoded: The header's matrix.
        encoded_mm: Its field of view.
        recon: The header's matrix of the image.
        recon_mm: Its field of view.
        trajectory: Its trajectory.
        calibration: Its mode of calibration.
        group: Name in the file.
        readout: Attributes of every readout.
    """
    numbers = numbers if isinstance(numbers, dict) else {n: n for n in numbers}
    document = ismrmrd.xsd.CreateFromDocument(ismrmrd_header((ROWS, COLUMNS), (SIZE, COLUMNS)))
    encoding = document.encoding[0]
    encoding.trajectory = ismrmrd.xsd.trajectoryType(trajectory)
    for space, size, mm in (
        (encoding.encodedSpace, encoded, encoded_mm),
        (encoding.reconSpace, recon, recon_mm),
    ):
        space.matrixSize.x, space.matrixSize.y = size
        space.fieldOfView_mm.x, space.fieldOfView_mm.y, space.fieldOfView_mm.z = *mm, 4.0
    encoding.encodingLimits.kspace_encoding_step_1 = ismrmrd.xsd.limitType(
        minimum=0, maximum=limits[0], center=limits[1]
    )
    if calibration is not None:
        factors = ismrmrd.xsd.accelerationFactorType(
            kspace_encoding_step_1=3, kspace_encoding_step_2=1
        )
        encoding.parallelImaging = ismrmrd.xsd.parallelImagingType(
            accelerationFactor=factors,
            calibrationMode=ismrmrd.xsd.calibrationModeType(calibration),
        )
    records = []
    for i, one in enumerate(kspace):
        for column, number in numbers.items():
            line = ismrmrd.Acquisition.from_array(np.ascontiguousarray(one[:, :, column]))
            line.center_sample = one.shape[1] // 2
            line.idx.slice, line.idx.kspace_encode_step_1 = i, number
            for flag in (flags or {}).get(column, ()):
                line.set_flag(flag)
            for name, value in readout.items():
                setattr(line, name, value[i])
            record = np.empty(1, acquisition_dtype)
            record[0]["head"] = np.frombuffer(line.getHead(), acquisition_header_dtype)[0]
            record[0]["data"] = line.data.view(np.float32).ravel()
            record[0]["traj"] = np.empty(0, np.float32)
            records.append(record)
    with h5py.File(path, "a") as file:
        text = np.array([document.toXML("utf-8").encode()], h5py.special_dtype(vlen=bytes))
        file.create_dataset(f"{group}/xml", data=text, dtype=h5py.special_dtype(vlen=bytes))
        data = file.create_dataset(f"{group}/data", (len(records),), acquisition_dtype)
        if records:  # at once: ismrmrd's own writer takes milliseconds for each
            data[:] = np.concatenate(records)


def sampled(volume: Scan) -> list[int]:
    return np.flatnonzero(volume.sampled()).tolist()


def write_by_library(path: Path, kspace: np.ndarray, averages: int) -> None:
    """Lines 3 to 17 in reversed order, after noise and before a second encoding, by `ismrmrd`."""
    header = ismrmrd_header(kspace.shape[-2:], (16, 20), (3, 18), (2.0, 1.5))
    document = ismrmrd.xsd.CreateFromDocument(header)
    document.measurementInformation = ismrmrd.xsd.measurementInformationType(
        patientPosition="HFS", protocolName="t2_tse"
    )
    path.parent.mkdir()
    with ismrmrd.Dataset(str(path), mode="w") as dataset:
        dataset.write_xml_header(document.toXML("utf-8").encode())
        noise = ismrmrd.Acquisition.from_array(np.ones((kspace.shape[1], 7), np.complex64))
        noise.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        dataset.append_acquisition(noise)
        for i in reversed(range(len(kspace))):
            for column in reversed(range(3, 18)):
                for average in range(averages):
                    factor = (1.5, 0.5)[average]
                    samples = (factor * kspace[i, :, :, column]).astype(np.complex64)
                    readout = ismrmrd.Acquisition.from_array(samples)
                    readout.center_sample = samples.shape[1] // 2
                    readout.idx.slice, readout.idx.average = i, average
                    readout.idx.kspace_encode_step_1 = column - 3
                    dataset.append_acquisition(readout)
        readout.encoding_space_ref = 1
        dataset.append_acquisition(readout)


@pytest.mark.parametrize("n_coils", [1, 2])
def test_readouts_become_slices(n_coils: int, tmp_path: Path) -> None:
    """Averages, zero-filled edges; the readout stays oversampled and the image is cut."""
    kspace = fft2c(blobs(0, 2, n_coils, 32, 20))
    kspace[..., 18:] = kspace[..., :3] = 0
    write_by_library(tmp_path / "in" / "a.h5", kspace, averages=2)
    flags = ["--split", "1", "0", "0", "--num_workers", "1", "--from", "ismrmrd"]
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *flags]) == 0
    rss = np.sqrt((np.abs(ifft2c(kspace)) ** 2).sum(axis=1))[:, 8:24]
    folder = tmp_path / "out" / ("singlecoil_train" if n_coils == 1 else "multicoil_train")
    assert_host_gives(folder, {"a.h5": rss}, 2e-6)
    assert_good(tmp_path / "out")
    with h5py.File(folder / "a.h5") as file:
        assert file["kspace"].shape[-2:] == (32, 20)
        assert file.attrs["acquisition"] == "t2_tse"
        notes = str(file.attrs["notes"])
        assert "1 lines of the header's other encodings are left out" in notes
        assert "1 readouts of noise, navigators and other measurements are left out" in notes
        header = ismrmrd.xsd.CreateFromDocument(file["ismrmrd_header"][()])
    space = header.encoding[0].reconSpace
    assert (space.matrixSize.x, space.fieldOfView_mm.x, space.fieldOfView_mm.y) == (16, 32, 30)
    limit = header.encoding[0].encodingLimits.kspace_encoding_step_1
    assert (limit.maximum, limit.center) == (14, 7)


@pytest.mark.parametrize(("factor", "n_lines"), [(3, 49), (2, 29)])
@pytest.mark.parametrize("flags", [(CALIBRATION,), (CALIBRATION, BOTH), (BOTH,)])
def test_contiguous_central_lines(
    factor: int, n_lines: int, flags: tuple[int, ...], path: Path, kspace: np.ndarray
) -> None:
    """Calibration lines of either flag stand in the k-space: 49 at R=3, 29 at R=2."""
    centre = COLUMNS // 2
    central = range(centre - n_lines // 2, centre + n_lines // 2 + 1)
    regular = range(centre % factor, COLUMNS, factor)
    outside = next(n for n in range(central[-1] + 1, COLUMNS) if n not in regular)
    assert outside - central[-1] <= 2
    columns = sorted({*regular, *central})
    both = [column for column in regular if column in central]
    # lines of both kinds once, those that only calibrate beside them
    kinds = {n: flags if n not in both else (BOTH,) for n in central}
    write(path, kspace, columns, flags=kinds)
    scan = read_scan(path)
    assert sampled(scan) == columns
    np.testing.assert_array_equal(scan.kspace[..., columns], kspace[..., columns])
    found = n_central_columns(scan.sampled())
    assert found >= n_lines and f"{found} calibration lines" in str(scan)
    assert found <= n_lines + 2  # regular lines that adjoin
    assert f"every {factor} lines" in str(scan)
    # the file without its calibration has one central line
    write(path.with_name("bare.mrd"), kspace, regular)
    assert n_central_columns(read_scan(path.with_name("bare.mrd")).sampled()) == 1


EVERY_THIRD, CENTRAL = range(1, COLUMNS, 3), range(90, 103)


@pytest.mark.parametrize("flags", [(CALIBRATION,), (CALIBRATION, BOTH), (BOTH,)])
def test_calibration_lines_yield_to_lines_of_the_image(
    flags: tuple[int, ...], path: Path, kspace: np.ndarray
) -> None:
    """Lines for calibration and imaging are lines of the image, and are averaged with others."""
    two = np.concatenate([3 * kspace, kspace], axis=-1)  # the image's lines behind
    numbers = {**{n: n for n in CENTRAL}, **{COLUMNS + n: n for n in EVERY_THIRD}}
    write(path, two, numbers, flags=dict.fromkeys(CENTRAL, flags))
    scan = read_scan(path)
    columns = sorted({*EVERY_THIRD, *CENTRAL})
    assert sampled(scan) == columns
    factors = np.where(np.isin(columns, EVERY_THIRD), 1, 3)
    if BOTH in flags:
        factors = np.where(np.isin(columns, EVERY_THIRD) & np.isin(columns, CENTRAL), 2, factors)
    np.testing.assert_allclose(
        scan.kspace[..., columns], factors * kspace[..., columns], rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("mode", ["separate", "external"])
def test_calibration_of_another_scan_is_left_out(mode: str, path: Path, kspace: np.ndarray) -> None:
    two = np.concatenate([3 * kspace, kspace], axis=-1)
    numbers = {**{n: n for n in CENTRAL}, **{COLUMNS + n: n for n in EVERY_THIRD}}
    flags = dict.fromkeys(CENTRAL, (CALIBRATION,))
    write(path, two, numbers, flags=flags, calibration=mode)
    scan = read_scan(path)
    assert sampled(scan) == list(EVERY_THIRD)
    np.testing.assert_array_equal(scan.kspace[..., EVERY_THIRD], kspace[..., EVERY_THIRD])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contrast": 1}, r"holds several of contrast \(0 1\); choose one, such as contrast 0"),
        ({"kspace_encode_step_2": 1}, "three-dimensional"),
        ({"slice": 1}, "different phase encodings"),
    ],
)
def test_what_is_ambiguous_or_other_is_refused(
    change: dict[str, int], message: str, path: Path, kspace: np.ndarray
) -> None:
    write(path, kspace, range(COLUMNS))
    with ismrmrd.Dataset(str(path), mode="r+") as dataset:
        readout = dataset.read_acquisition(COLUMNS - 1)
        for name, value in change.items():
            setattr(readout.idx, name, value)
        dataset.write_acquisition(readout, COLUMNS - 1)
    with pytest.raises(InputError, match=f"scan.mrd: .*{message}"):
        read_scan(path)


@pytest.mark.parametrize("first", [72, 24])
def test_centre_by_energy_where_the_limits_give_the_middle(
    first: int, path: Path, kspace: np.ndarray
) -> None:
    """Five eighths and seven eighths of the lines, numbered from 0."""
    numbers = {column: column - first for column in range(first, COLUMNS)}
    middle = len(numbers) // 2
    write(path, kspace, numbers, limits=(len(numbers) - 1, middle))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace[..., first:], kspace[..., first:])
    assert sampled(scan) == list(numbers)
    said = f"line {middle} is the centre of k-space, the energy line {96 - first}, which is used"
    assert any(said in note for note in scan.notes)


def test_a_centre_within_two_lines_is_the_headers(path: Path, kspace: np.ndarray) -> None:
    """What was measured in part, with an echo that is off by two lines: nothing is moved."""
    numbers = {column: column - 72 for column in range(72, COLUMNS)}
    write(path, kspace, numbers, limits=(119, 26))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace[..., 70:190], kspace[..., 72:])
    assert not any("energy" in note for note in scan.notes)


@pytest.mark.parametrize("factor", [4, 8])
def test_a_centre_between_lines_is_the_headers(factor: int, path: Path, kspace: np.ndarray) -> None:
    """No central line was measured, so that the energy is beside it."""
    columns = range(96 % factor + factor // 2, COLUMNS, factor)
    write(path, kspace, columns)
    assert sampled(read_scan(path)) == list(columns)


def test_a_full_kspace_stays_where_it_fits(path: Path, kspace: np.ndarray) -> None:
    """An echo four lines off the centre, as off-resonance makes it: the lines fill the matrix."""
    moved = np.roll(kspace, 4, axis=-1)
    write(path, moved, range(COLUMNS))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, moved)
    assert any("kept, since the lines fill the matrix of 192" in note for note in scan.notes)


@pytest.mark.parametrize(("offset", "centre"), [(1, 96), (-1, 96), (1, 97)])
def test_limits_from_one(offset: int, centre: int, path: Path, kspace: np.ndarray) -> None:
    """Lines numbered from 1 with limits from 0, the other way round, and both from 1."""
    if offset < 0:
        numbers, limits = range(COLUMNS), (COLUMNS, 97)
        write(path, kspace, numbers, limits=limits)
    else:
        write(path, kspace, {n: n + 1 for n in range(COLUMNS)}, limits=(COLUMNS, centre))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert any("counts from 1" in note for note in scan.notes) == (centre == 96 or offset < 0)


def test_shots_that_overshoot(path: Path, kspace: np.ndarray) -> None:
    """200 lines of a matrix of 192; the four on either side are beyond it."""
    wide = np.concatenate([kspace[..., :4], kspace, kspace[..., -4:]], axis=-1)
    write(path, wide, range(200), limits=(199, 100))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    said = "8 lines beyond the header's matrix of 192 lines are left out (of numbers 0 to 199"
    assert any(said in note for note in scan.notes)
    path.unlink()
    write(path, wide, {0: 300, **{n: n for n in range(4, 196)}}, limits=(199, 100))
    with pytest.raises(InputError, match="in column 296 does not fit into the header's 64 x 192"):
        read_scan(path)


def test_a_matrix_of_the_scanners_interpolation(path: Path, kspace: np.ndarray) -> None:
    """Twice as many rows and columns as were measured, of the same field of view."""
    write(path, kspace, range(COLUMNS), limits=(191, 96), encoded=(2 * ROWS, 2 * COLUMNS),
          recon=(2 * SIZE, 2 * COLUMNS))  # fmt: skip
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert scan.recon_size == (SIZE, COLUMNS) and scan.pixel_mm == (2.0, 1.0)
    assert any("has 128 rows, but readouts have 64 samples" in note for note in scan.notes)


def test_oversampling_that_was_removed(path: Path, kspace: np.ndarray) -> None:
    """The header still has it: readouts have the image's samples and field of view."""
    short = kspace[..., ::2, :]
    write(path, short, range(COLUMNS))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, short)
    assert scan.recon_size == (SIZE, COLUMNS) and scan.pixel_mm == (2.0, 1.0)
    assert any("without oversampling" in note for note in scan.notes)


def test_readouts_longer_than_the_matrix(path: Path, kspace: np.ndarray) -> None:
    write(path, kspace, range(COLUMNS), encoded=(48, COLUMNS))
    with pytest.raises(InputError, match=r"64 samples .* does not fit into the header's 48 x 192"):
        read_scan(path)


def test_slices_are_placed(path: Path, kspace: np.ndarray) -> None:
    """Readout to the left, phase encoding to the back; 5 mm between interleaved slices."""
    two = np.concatenate([kspace, 2 * kspace])
    three = np.concatenate([two, 3 * kspace])
    write(
        path, three, range(COLUMNS),
        position=[(7.0, 8.0, z) for z in (20.0, 30.0, 25.0)],
        read_dir=[(1.0, 0.0, 0.0)] * 3, phase_dir=[(0.0, 1.0, 0.0)] * 3,
        slice_dir=[(0.0, 0.0, 1.0)] * 3,
    )  # fmt: skip
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, three[[0, 2, 1]])
    assert scan.affine is not None
    np.testing.assert_allclose(np.diag(scan.affine), [-2, -1, 5, 1])
    np.testing.assert_allclose(scan.affine @ [SIZE // 2, 96, 0, 1], [-7, -8, 20, 1])


def test_measurements_are_groups(path: Path, kspace: np.ndarray) -> None:
    """The last by its number; an empty one says so."""
    write(path, kspace, range(COLUMNS), group="dataset_1")
    write(path, 2 * kspace, range(COLUMNS), group="dataset_2")
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.kspace, 2 * kspace)
    assert "measurement 2 of 2 (group 'dataset_2')" in scan.notes
    np.testing.assert_array_equal(read_scan(path, Reading(measurement=1)).kspace, kspace)
    with pytest.raises(InputError, match="no measurement 3; it holds 1: dataset_1, 2: dataset_2"):
        read_scan(path, Reading(measurement=3))
    write(path, 3 * kspace, range(COLUMNS), group="dataset_10")
    np.testing.assert_array_equal(read_scan(path).kspace, 3 * kspace)
    write(path.with_name("b.mrd"), kspace, [])
    with pytest.raises(InputError, match="an empty measurement: 'dataset' has no readouts"):
        read_scan(path.with_name("b.mrd"))


@pytest.mark.parametrize("trajectory", ["radial", "goldenangle"])
def test_other_trajectories(trajectory: str, path: Path, kspace: np.ndarray) -> None:
    write(path, kspace, range(COLUMNS), trajectory=trajectory)
    message = f"{trajectory} trajectory, expected a Cartesian .* elsewhere .mrpro, sigpy, torchkb"
    with pytest.raises(InputError, match=message):
        read_scan(path)


@pytest.mark.parametrize("name", ["dataset", "dataset/xml", "dataset/data"])
def test_links_out_of_the_file_are_refused(
    name: str, path: Path, tmp_path: Path, kspace: np.ndarray
) -> None:
    write(tmp_path / "other.mrd", kspace[:1], range(COLUMNS))
    write(path, kspace[:1], range(COLUMNS))
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink("other.mrd", name)
    with pytest.raises(InputError, match=rf"scan.mrd: '{name}' is a link to other.mrd"):
        read_scan(path)


def test_truncated(path: Path, kspace: np.ndarray) -> None:
    write(path, kspace, range(COLUMNS))
    whole = path.read_bytes()
    for length in (300, len(whole) // 2, len(whole) - 1000):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"scan.mrd: "):
            read_scan(path)


FILTERS = """
import sys, warnings
from pathlib import Path
from fastmri_clgnet.formats import IsmrmrdRaw
from fastmri_clgnet.formats.header import ismrmrd_header
before = warnings.filters[:]
assert "ismrmrd" not in sys.modules
if sys.argv[1] == "write":
    ismrmrd_header((8, 8), (8, 8))
else:
    IsmrmrdRaw().read(Path(sys.argv[1]), [0])
assert "ismrmrd" in sys.modules
left = [each for each in warnings.filters if each not in before]
assert ("default", None, Warning, None, 0) not in left, left
"""


@pytest.mark.parametrize("action", ["write", "read"])
def test_the_librarys_import_leaves_warnings_as_they_are(
    action: str, path: Path, kspace: np.ndarray
) -> None:
    """`ismrmrd` asks for all warnings of the process where it is imported."""
    write(path, kspace, range(COLUMNS))
    words = [action] if action == "write" else [str(path)]
    subprocess.run([sys.executable, "-c", FILTERS, *words], check=True)


def test_a_conversion_takes_the_last_measurement_as_reading_does(
    path: Path, kspace: np.ndarray, tmp_path: Path
) -> None:
    for number in (1, 2):
        write(path, number * kspace, range(COLUMNS), group=f"dataset_{number}")
    second = IsmrmrdRaw().read(path, (0,))
    np.testing.assert_array_equal(second.kspace, read_scan(path).kspace)
    first = IsmrmrdRaw("dataset_1").read(path, (0,))
    np.testing.assert_allclose(second.kspace, 2 * first.kspace, rtol=1e-6)
    with pytest.raises(InputError, match="those that it has: dataset_1 dataset_2"):
        IsmrmrdRaw("dataset").read(path, (0,))


def test_simultaneous_slices_are_refused(path: Path, kspace: np.ndarray) -> None:
    write(path, kspace, range(COLUMNS), calibration="embedded")
    with h5py.File(path, "r+") as file:
        text = file["dataset/xml"][0]
        many = b"<multiband><multiband_factor>2</multiband_factor></multiband></parallelImaging>"
        assert b"</parallelImaging>" in text
        file["dataset/xml"][0] = text.replace(b"</parallelImaging>", many)
    with pytest.raises(InputError, match=r"several slices measured at once \(multiband\)"):
        read_scan(path)
