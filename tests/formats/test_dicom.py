"""DICOM series, written by pydicom, through the command and the host."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite, examples, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

from fastmri_clgnet.conversion import Conversion, convert
from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Dicom
from tests.conversion.host import assert_good, assert_host_gives

VOLUME = np.random.default_rng(0).integers(0, 4000, (5, 32, 24)).astype(np.uint16)
VOLUME[0, 0, :2] = 0, 4000
AXIAL, CORONAL = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1)


def image(
    pixels: np.ndarray,
    place: float | None = 0,
    orientation: Sequence[float] = AXIAL,
    photometric: str = "MONOCHROME2",
    **fields: Any,
) -> Dataset:
    """A slice of an MR series at some millimetres along the normal of its plane."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = uid.MRImageStorage, uid.generate_uid()
    data.Modality, data.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M", "ND"]
    data.SeriesInstanceUID, data.SeriesNumber = "1.2.3", 3
    data.SeriesDescription, data.PixelSpacing = "T2 TSE", [0.8, 0.9]
    if place is not None:
        normal = np.cross(orientation[:3], orientation[3:])
        data.ImageOrientationPatient = [float(each) for each in orientation]
        data.ImagePositionPatient = [float(each) for each in 5.5 + place * normal]
    data.set_pixel_data(pixels, photometric, bits_stored=8 if pixels.dtype == np.uint8 else 12)
    for name, value in fields.items():
        setattr(data, name, value)
    return data


def write(path: Path, data: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, volume: np.ndarray = VOLUME, **fields: Any) -> None:
    """Names, numbers and positions in three different orders; the positions are right."""
    for i in range(len(volume)):
        name = f"IM{(3 * i) % len(volume)}"
        write(folder / name, image(volume[i], 3 * i, InstanceNumber=9 - i, **fields))


def converted(source: Path, out: Path, **options: Any) -> Conversion:
    reader = Dicom(noise=0, series=options.pop("series", None))
    return convert(source, out, reader, split=(1, 0, 0), num_workers=1, **options)


def references(conversion: Conversion) -> dict[str, np.ndarray]:
    found = {}
    for one in conversion.done:
        with h5py.File(one.path) as file:
            found[one.path.stem] = file["reconstruction_esc"][()]
    return found


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL])
def test_slices_lie_along_the_normal_with_the_headers_pixels(
    orientation: Sequence[float], tmp_path: Path
) -> None:
    """Files without endings beside others that are no images, and a DICOM file without one."""
    write_series(tmp_path / "in", orientation=orientation)
    (tmp_path / "in" / "README.txt").write_text("notes")
    report = image(VOLUME[0])
    del report.PixelData, report.Rows, report.Columns
    write(tmp_path / "in" / "DICOMDIR", report)
    command = [str(tmp_path / "in"), str(tmp_path / "out"), "--from", "dicom", "--noise", "0"]
    assert main([*command, "--split", "1", "0", "0", "--num_workers", "1"]) == 0
    folder = tmp_path / "out" / "singlecoil_train"
    assert_host_gives(folder, {"in.h5": VOLUME.astype(float)}, 2e-6)
    assert_good(tmp_path / "out")
    scan = Dicom().read(tmp_path / "in", (0,))
    assert (scan.pixel_mm, scan.acquisition, scan.notes) == ((0.8, 0.9), "T2 TSE", ())
    assert "phase and noise are simulated" in str(scan.attributes["simulated"])


def jpeg(data: Dataset) -> None:
    buffer = io.BytesIO()
    Image.fromarray(data.pixel_array).save(buffer, "JPEG")
    data.PixelData, data.LossyImageCompression = encapsulate([buffer.getvalue()]), "01"
    data.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit


def per_frame(data: Dataset) -> None:
    """An enhanced file of all slices, in another order, with a slope of each."""
    order = [3, 1, 0, 4, 2]
    data.set_pixel_data(VOLUME[order], "MONOCHROME2", bits_stored=12)
    data.SOPClassUID, data.PerFrameFunctionalGroupsSequence = uid.EnhancedMRImageStorage, []
    shared = Dataset()
    for name, fields in {"PlaneOrientation": ["ImageOrientationPatient"],
                         "PixelMeasures": ["PixelSpacing"]}.items():  # fmt: skip
        group = Dataset()
        for field in fields:
            setattr(group, field, data[field].value)
            delattr(data, field)
        setattr(shared, f"{name}Sequence", [group])
    del data.ImagePositionPatient
    data.SharedFunctionalGroupsSequence = [shared]
    for i in order:
        position, slope, frame = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, 3 * i]
        slope.RescaleSlope, slope.RescaleIntercept = 1 + i, 2
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [position], [slope]
        data.PerFrameFunctionalGroupsSequence.append(frame)


SLOPES = np.arange(1, 6)[:, None, None]


def test_values_as_pydicom_gives_them(tmp_path: Path) -> None:
    """Rescaled slice by slice, inverted, compressed, in frames; and what they are is said."""
    for i in range(5):
        own: dict[str, Any] = {"RescaleSlope": str(1 + i), "RescaleIntercept": "2"}
        write(tmp_path / "in/slopes" / f"{i}", image(VOLUME[i], 3 * i, **own))
        inverted = image(4000 - VOLUME[i], 3 * i, photometric="MONOCHROME1")
        write(tmp_path / "in/inverted" / f"{i}", inverted)
        data = image(VOLUME[i], 3 * i)
        data.compress(uid.RLELossless)
        write(tmp_path / "in/rle" / f"{i}", data)
        data = image((VOLUME[i] // 16).astype(np.uint8), 3 * i)
        jpeg(data)
        write(tmp_path / "in/jpeg" / f"{i}", data)
    padded = VOLUME.astype(float)
    padded[:, :4] = 0
    for i in range(5):  # a range of values around the image, inverted as the image is
        stored = 4000 - VOLUME[i]
        stored[:2], stored[2:4] = 4095, 4090
        padding: dict[str, Any] = {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 4090}
        data = image(stored, 3 * i, photometric="MONOCHROME1", **padding)
        write(tmp_path / "in/padded" / f"{i}", data)
    data = image(VOLUME[0])
    per_frame(data)
    write(tmp_path / "in/frames/file.dcm", data)
    data = image(VOLUME[0], None)
    data.set_pixel_data(VOLUME, "MONOCHROME2", bits_stored=12)
    write(tmp_path / "in/plain_frames/file.dcm", data)
    conversion = converted(tmp_path / "in", tmp_path / "out")
    assert conversion.failures == []
    found = references(conversion)
    lossy = found.pop("jpeg")
    assert 0 < np.abs(lossy - VOLUME // 16).mean() < 30
    expected: dict[str, np.ndarray] = {
        "slopes": VOLUME * SLOPES + 2.0, "inverted": VOLUME, "rle": VOLUME,
        "frames_file": VOLUME * SLOPES + 2.0, "plain_frames_file": VOLUME, "padded": padded,
    }  # fmt: skip
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=2e-7 * values.max())
    printed = str(conversion)
    assert "note: DICOM images, compressed with loss (jpeg.h5)" in printed
    assert "note: 8-bit images: at most 256 grey values" in printed
    assert "note: slices by their numbers: no positions are said (plain_frames_file.h5)" in printed


def test_series_and_echoes_of_a_folder_are_volumes_of_their_own(tmp_path: Path) -> None:
    for i in range(5):
        for echo in (20, 80):
            name = tmp_path / "in/p1" / f"a{i}{echo}"
            write(name, image(VOLUME[i] + np.uint16(echo), 3 * i, EchoTime=echo))
        other: dict[str, Any] = {
            "SeriesInstanceUID": "1.2.4",
            "SeriesNumber": 4,
            "SeriesDescription": "../T1/x",
        }
        write(tmp_path / "in/p1" / f"b{i}", image(VOLUME[i], 3 * i, **other))
    found = references(converted(tmp_path / "in", tmp_path / "out"))
    assert sorted(found) == [
        "p1_series_3_T2_TSE_EchoTime_20.0", "p1_series_3_T2_TSE_EchoTime_80.0", "p1_series_4_T1_x"
    ]  # fmt: skip
    values = found["p1_series_3_T2_TSE_EchoTime_80.0"]
    np.testing.assert_allclose(values, VOLUME + 80.0, atol=1e-3)
    chosen = converted(tmp_path / "in", tmp_path / "t1", series="*T1*", by="folder")
    assert list(references(chosen)) == ["p1"]
    with pytest.raises(InputError, match=r"series FLAIR: fits none of \.\./T1/x, T2 TSE"):
        converted(tmp_path / "in", tmp_path / "none", series="FLAIR")


def undecodable(folder: Path) -> None:
    data = image(VOLUME[0])
    data.PixelData = encapsulate([b"\xff\xd8" + bytes(50)])
    data.file_meta.TransferSyntaxUID = uid.JPEGLosslessSV1
    write(folder / "a", data)


def truncated(folder: Path) -> None:
    path = write(folder / "a.dcm", image(VOLUME[0]))
    path.write_bytes(path.read_bytes()[:-200])


def localizer(folder: Path) -> None:
    for i, orientation in enumerate((AXIAL, CORONAL)):
        write(folder / f"{i}", image(VOLUME[i], i, orientation))


def two_sizes(folder: Path) -> None:
    write_series(folder)
    write(folder / "a.dcm", image(VOLUME[0].T.copy(), 30))


def two_pixels(folder: Path) -> None:
    write_series(folder)
    write(folder / "a.dcm", image(VOLUME[0], 30, PixelSpacing=[0.8, 1.0]))


def one_place(folder: Path) -> None:
    for i in range(3):
        write(folder / f"{i}", image(VOLUME[i]))


def colour(folder: Path) -> None:
    data = image(VOLUME[0])
    data.set_pixel_data(np.zeros((32, 24, 3), np.uint8), "RGB", bits_stored=8)
    write(folder / "a", data)


def without_pixels(folder: Path) -> None:
    data = image(VOLUME[0])
    del data.PixelData
    write(folder / "a", data)


def one(**fields: Any) -> Callable[[Path], object]:
    return lambda folder: write(folder / "a", image(VOLUME[0], **fields))


def raw(contents: bytes) -> Callable[[Path], object]:
    def write_it(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "a.dcm").write_bytes(contents)

    return write_it


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "undecodable": (undecodable, "a: compressed as JPEG Lossless.*pip install pylibjpeg"),
    "truncated": (truncated, r"a\.dcm: its pixels cannot be read .*is it complete"),
    "empty": (raw(b""), r"a\.dcm: an empty file"),
    "text": (raw(b"text" * 99), r"a\.dcm: not a DICOM file that can be read"),
    "magic only": (raw(bytes(128) + b"DICM"), r"a\.dcm: not a DICOM file that can be read"),
    "localizer": (localizer, "bad: a series of slices in several directions"),
    "sizes": (two_sizes, r"a\.dcm: an image of 24 x 32 pixels, but .* has 32 x 24"),
    "pixels": (two_pixels, r"a\.dcm: pixels of \(0\.8, 1\.0\) mm, but .* has \(0\.8, 0\.9\)"),
    "one place": (one_place, "bad: 3 images at one position, which no field"),
    "colour": (colour, r"a: a colour image \(RGB\), expected magnitude"),
    "screen": (one(SOPClassUID=uid.SecondaryCaptureImageStorage), "a: a secondary capture"),
    "CT": (one(Modality="CT"), "a: an image of modality CT"),
    "phase": (one(ImageType=["ORIGINAL", "PRIMARY", "P"]), "a: a phase image"),
    "high bit": (one(HighBit=15), "a: pixels whose highest bit is 15 of"),
    "mosaic": (one(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "a: a mosaic of slices"),
    "no pixels": (without_pixels, "a: no image, expected magnitude"),
    "small": (
        lambda folder: write(folder / "a", image(VOLUME[0, :8, :8].copy())), "8 x 8 pixels; exp"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_others_are_refused_by_name_and_the_rest_is_converted(kind: str, tmp_path: Path) -> None:
    writer, message = REFUSED[kind]
    writer(tmp_path / "in/bad")
    write_series(tmp_path / "in/good")
    conversion = converted(tmp_path / "in", tmp_path / "out")
    assert list(references(conversion)) == ["good"]
    (failure,) = conversion.failures
    assert failure.startswith(str(tmp_path / "in"))
    with pytest.raises(InputError, match=message):
        raise InputError(failure)


def test_fields_that_make_no_sense_are_done_without(tmp_path: Path) -> None:
    """No number, too few of them, NaN; files without the preamble; a missing slice is noticed."""
    write_series(tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        contents = path.read_bytes().replace(b"0.8\\0.9 ", b"nan\\abc ")
        path.with_suffix(".dcm").write_bytes(contents[132:])
        path.unlink()
    write(tmp_path / "in" / "far.dcm", image(VOLUME[0], 40, RescaleSlope=None))
    write(tmp_path / "zeros" / "a.dcm", image(VOLUME[0], ImageOrientationPatient=[0] * 6))
    dark = image(VOLUME[1], 1, ImageOrientationPatient=[0] * 6, InstanceNumber=1)
    dark.PhotometricInterpretation = "MONOCHROME1"  # of one file only
    write(tmp_path / "zeros" / "b.dcm", dark)
    scan = Dicom(noise=0).read(tmp_path / "zeros", (0,))
    assert scan.notes == ("slices by their numbers: no positions are said",)
    np.testing.assert_allclose(scan.images(), [VOLUME[0], 4000 - VOLUME[1]], atol=1e-3)
    scan = Dicom(noise=0).read(tmp_path / "in", (0,))
    assert scan.pixel_mm is None
    assert scan.notes == ("1 gap(s) between slices: are files missing?",)
    np.testing.assert_allclose(scan.images()[:5], VOLUME, atol=1e-3)


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_files_without_preamble_and_file_meta_information(syntax: uid.UID, tmp_path: Path) -> None:
    """The data set only, whose encoding is told by its first bytes."""
    data = dcmread(examples.get_path("mr"))
    pixels = data.pixel_array
    if not syntax.is_little_endian:
        data.PixelData = pixels.byteswap().tobytes()
    data.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "a.dcm"
    dcmwrite(path, data, enforce_file_format=True)
    length = dcmread(path).file_meta.FileMetaInformationGroupLength
    path.write_bytes(path.read_bytes()[128 + 4 + 12 + length :])
    images = Dicom(noise=0).read(path, (0,)).images()
    np.testing.assert_allclose(images[0], pixels, atol=2e-7 * pixels.max())


def test_a_link_that_leads_nowhere_fails_alone(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "good")
    (tmp_path / "in" / "lost.dcm").symlink_to(tmp_path / "annex.dcm")
    conversion = converted(tmp_path / "in", tmp_path / "out")
    assert list(references(conversion)) == ["good"]
    (failure,) = conversion.failures
    assert failure.startswith(f"{tmp_path / 'in/lost.dcm'}: ") and "No such file" in failure


def test_a_file_that_cannot_be_opened_fails_alone(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "good")
    bad = tmp_path / "in" / "bad" / "IM0"
    write(bad, image(VOLUME[0]))
    opened, denied = io.open, PermissionError(13, "Permission denied")

    def denying(path: Any, *args: Any, **options: Any) -> Any:
        if str(path) == str(bad):
            raise denied
        return opened(path, *args, **options)

    with mock.patch("io.open", denying), mock.patch("builtins.open", denying):
        conversion = converted(tmp_path / "in", tmp_path / "out")
    assert list(references(conversion)) == ["good"]
    assert conversion.failures == [f"{bad}: not a DICOM file that can be read ({denied})"]


def test_a_real_brain(test_data: Path, tmp_path: Path) -> None:
    with np.load(next(test_data.glob("brain_magnitude/p*_t2w.npz"))) as file:
        volume = file["magnitude"][10:15]
    write_series(tmp_path / "in", volume)
    found = references(converted(tmp_path / "in", tmp_path / "out"))
    np.testing.assert_allclose(found["in"], volume, atol=1e-2)


def test_empty_files_among_others_are_named(tmp_path: Path) -> None:
    """As a copy leaves that broke off: the series would be shorter without a word."""
    for i in range(3):
        write(tmp_path / "in" / f"IM{i}", image(VOLUME[i], i))
    for name in ("IM3", "IM4"):
        (tmp_path / "in" / name).touch()
    converted = convert(tmp_path / "in", tmp_path / "out", Dicom(), split=(1, 0, 0), num_workers=1)
    assert [one.n_slices for one in converted.done] == [3]
    assert [failure.partition(": ")[2] for failure in converted.failures] == ["an empty file"] * 2


def test_a_named_file_without_preamble_is_read(tmp_path: Path) -> None:
    data = image(VOLUME[0])
    path = tmp_path / "IM0001"
    dcmwrite(path, data, implicit_vr=False, little_endian=True, enforce_file_format=False)
    content = path.read_bytes()
    start = content.index(b"\x08\x00\x08\x00CS")  # ImageType, the first element of the header
    path.write_bytes(content[start:])
    converted = convert(path, tmp_path / "out", Dicom(), split=(1, 0, 0), num_workers=1)
    assert [one.n_slices for one in converted.done] == [1], converted.failures
