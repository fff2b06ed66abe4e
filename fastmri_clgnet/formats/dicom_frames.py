"""The magnitude images of one DICOM file, and where they are."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, need_package, words
from fastmri_clgnet.formats.simulate import EIGHT_BITS

if TYPE_CHECKING:
    from pydicom import Dataset

_SUFFIXES = (".dcm", ".dicom", ".ima")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# by ImageType
_OTHERS = {
    "P": "a phase image", "PHASE MAP": "a phase image", "R": "a real part",
    "I": "an imaginary part", "MOSAIC": "a mosaic of slices",
}  # fmt: skip
_LOSSY = ("JPEG Baseline", "JPEG Extended", "Near-Lossless")  # in names of transfer syntaxes
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class Frame(NamedTuple):
    """An image of a file, and where it is."""

    path: Path
    page: int
    values: npt.NDArray[np.float64]  # (height, width), rescaled
    is_padded: npt.NDArray[np.bool_]  # the pixels around the image, if any
    orientation: tuple[float, ...] | None  # directions of rows and columns
    position: tuple[float, ...] | None  # in mm, of the first pixel
    place: tuple[float, ...] | None  # along the normal, where neither of them is known
    number: tuple[float, ...] | None
    pixel_mm: tuple[float, float] | None
    description: str
    is_inverted: bool
    notes: tuple[str, ...]


def _pydicom() -> Any:
    return need_package("pydicom", "dicom", "DICOM files need")


def is_named(path: Path) -> bool:
    """Whether a file's name says that it is DICOM."""
    return path.suffix.lower() in _SUFFIXES


def is_dicom(path: Path) -> bool:
    """Whether a file is, or should be, DICOM: by its first bytes, or by its name.

    One that cannot be read may be: reading it says why.
    """
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM" or is_named(path)
    except OSError:
        return True


def _dataset(path: Path, **options: Any) -> Dataset:
    """What pydicom reads; whatever it raises is an `InputError`.

    Old files lack the preamble, and what stands before the header: how the pixels are stored.
    """
    pydicom = _pydicom()
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: an empty file")
    try:
        data: Dataset = pydicom.dcmread(path, force=True, **options)
        if not any(key in data for key in ("SOPClassUID", "Modality", "Rows")):
            raise ValueError("no header")
        if not data.file_meta.get("TransferSyntaxUID"):
            implicit, little = data.original_encoding
            explicit = "ExplicitVRLittleEndian" if little else "ExplicitVRBigEndian"
            syntax = getattr(pydicom.uid, "ImplicitVRLittleEndian" if implicit else explicit)
            data.file_meta.TransferSyntaxUID = syntax
    except Exception as error:  # damaged files make pydicom raise errors of many kinds
        raise InputError(f"{path}: not a DICOM file that can be read ({_reason(error)})") from error
    return data


def header_of(path: Path, names: Iterable[str]) -> Dataset:
    """Some fields of a file's header; all are decoded, so that damage is found, but not kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that nobody reads
        header = _dataset(path, stop_before_pixels=True)
        try:
            for _ in header:  # which decodes it
                pass
        except Exception as error:
            raise InputError(
                f"{path}: not a DICOM file that can be read ({_reason(error)})"
            ) from error
    kept: Dataset = _pydicom().Dataset()
    for name in names:
        if name in header:
            kept.add(header[name])
    return kept


def _reason(error: Exception) -> str:
    return words(str(error).split()) or type(error).__name__


def frames_of(path: Path) -> Iterator[Frame]:
    """The images of a file, rescaled; refuses what is no magnitude image of MR."""
    pydicom = _pydicom()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = _dataset(path)
        _refuse(path, data)
        try:
            stored = data.pixel_array
        except Exception as error:
            raise InputError(
                f"{path}: {_undecoded(pydicom.pixels.get_decoder, data, error)}"
            ) from error
        if stored.ndim == 2:
            stored = stored[None]
        syntax = pydicom.uid.UID(data.file_meta.TransferSyntaxUID)
        lossy = any(each in syntax.name for each in _LOSSY)
        notes = [EIGHT_BITS] if stored.dtype.itemsize == 1 else []
        if lossy or text_of(data, "LossyImageCompression") == "01":
            notes.append("DICOM images, compressed with loss")
        for i, values in enumerate(stored):
            if "ModalityLUTSequence" in data:
                rescaled = pydicom.pixels.apply_modality_lut(values, data).astype(np.float64)
            else:
                (slope,) = numbers_of(_value(data, i, "RescaleSlope"), 1) or (1.0,)
                (intercept,) = numbers_of(_value(data, i, "RescaleIntercept"), 1) or (0.0,)
                rescaled = values * slope + intercept
            padding, padded = data.get("PixelPaddingValue"), np.zeros(values.shape, bool)
            if padding is not None:
                low, high = sorted((padding, data.get("PixelPaddingRangeLimit", padding)))
                padded = (values >= low) & (values <= high)
            pixel = numbers_of(_value(data, i, "PixelSpacing"), 2)
            yield Frame(
                path,
                i,
                rescaled,
                padded,
                _directions(_value(data, i, "ImageOrientationPatient")),
                numbers_of(_value(data, i, "ImagePositionPatient"), 3),
                numbers_of(_value(data, i, "SliceLocation"), 1),
                numbers_of(_value(data, i, "InstanceNumber"), 1),
                None if pixel is None else (pixel[0], pixel[1]),
                text_of(data, "SeriesDescription") or text_of(data, "ProtocolName") or "unknown",
                data.get("PhotometricInterpretation") == "MONOCHROME1",
                tuple(notes),
            )


def _refuse(path: Path, data: Dataset) -> None:
    """Say why a file holds no magnitude image of MR, if that is so."""
    kind = text_of(data, "SOPClassUID")
    modality, image_type = text_of(data, "Modality"), text_of(data, "ImageType").split("/")
    others = [_OTHERS[each] for each in image_type[2:] if each in _OTHERS]
    what = None
    if not any(key in data for key in _PIXELS):
        what = "no image"
    elif modality not in ("", "MR"):
        what = f"an image of modality {modality}"
    elif int(data.get("SamplesPerPixel") or 1) != 1 or not text_of(
        data, "PhotometricInterpretation"
    ).startswith("MONOCHROME"):
        what = f"a colour image ({text_of(data, 'PhotometricInterpretation')})"
    elif kind.startswith(_SECONDARY_CAPTURE):
        what = "a secondary capture, such as a picture of a screen"
    elif text_of(data, "ComplexImageComponent") in ("PHASE", "REAL", "IMAGINARY"):
        what = f"an image of the {text_of(data, 'ComplexImageComponent').lower()} part"
    elif others:
        what = others[0]
    elif (high := data.get("HighBit")) is not None and high + 1 != data.get("BitsStored"):
        what = f"pixels whose highest bit is {high} of {data.get('BitsStored')} stored bits"
    if what is not None:
        raise InputError(
            f"{path}: {what}, expected magnitude images of MR; choose others by series, or move it"
        )


def _undecoded(decoder: Callable[..., Any], data: Dataset, error: Exception) -> str:
    """Why the pixels cannot be read, in one sentence."""
    syntax = data.file_meta.TransferSyntaxUID
    is_available = False
    with contextlib.suppress(NotImplementedError):  # of videos and the like
        is_available = decoder(syntax).is_available
    if not is_available:
        return (
            f"compressed as {getattr(syntax, 'name', syntax)}, which cannot be decoded here: pip "
            "install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or decompress it (gdcmconv "
            "--raw, dcmdjpeg)"
        )
    return f"its pixels cannot be read ({_reason(error)}); is it complete?"


def _value(data: Dataset, index: int, keyword: str) -> Any:
    """A field of a frame: of the frame itself, of all frames, or of the file."""
    frames, shared = (
        data.get(f"{name}FunctionalGroupsSequence") or () for name in ("PerFrame", "Shared")
    )
    for group in (*frames[index : index + 1], *shared[:1]):
        for element in group:
            if element.VR == "SQ" and element.value and keyword in element.value[0]:
                return element.value[0].get(keyword)
    return data.get(keyword)


def _directions(value: Any) -> tuple[float, ...] | None:
    """The directions of rows and columns; None if they span no plane, such as zeros."""
    numbers = numbers_of(value, 6)
    return numbers if numbers and np.cross(numbers[:3], numbers[3:]).any() else None


def numbers_of(value: Any, count: int) -> tuple[float, ...] | None:
    """So many finite numbers of a field; None if it says anything else."""
    try:
        numbers = tuple(float(each) for each in (value if count > 1 else [value]))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def text_of(data: Dataset, keyword: str) -> str:
    """A field as text, its values joined by '/'; empty if there is none."""
    value = data.get(keyword)
    several = not isinstance(value, str | None) and isinstance(value, Sequence)
    return "/".join(map(str, value)) if several else str("" if value is None else value).strip()


def size_of(frame: Frame) -> str:
    """Height and width, for a message."""
    return f"{frame.values.shape[0]} x {frame.values.shape[1]}"
