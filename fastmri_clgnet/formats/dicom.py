"""DICOM series of magnitude images: their k-space is simulated, and said to be.

A volume is a series (SeriesInstanceUID) of a folder. Where the series has several images at a
position, such as two echoes, the first header field that tells them apart divides it into volumes.
Slices are sorted along the normal of the image plane.

References:
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.2.html
"""

from __future__ import annotations

import contextlib
import fnmatch
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.formats.simulate import EIGHT_BITS, Simulation

if TYPE_CHECKING:
    from pydicom import Dataset

_SUFFIXES = (".dcm", ".dicom", ".ima")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# what tells images at one position apart, the most telling first
_DIVIDING = (
    "ImageType", "EchoTime", "InversionTime", "FlipAngle", "DiffusionBValue",
    "TemporalPositionIdentifier", "TriggerTime", "AcquisitionNumber",
)  # fmt: skip
# by ImageType
_OTHERS = {
    "P": "a phase image", "PHASE MAP": "a phase image", "R": "a real part",
    "I": "an imaginary part", "MOSAIC": "a mosaic of slices",
}  # fmt: skip
_LOSSY = ("JPEG Baseline", "JPEG Extended", "Near-Lossless")  # in names of transfer syntaxes
_SAME_MM = 1e-3
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, kw_only=True)
class Dicom(Simulation):
    """DICOM series of magnitude images (extra: dicom), with simulated phase and noise.

    Files are known by their contents, whatever their names. Those without an image are left out.

    Args:
        series: Only series whose description (SeriesDescription) fits, such as 'T2*'; by default
            all.

    Example:
        >>> from pydicom import examples
        >>> path = examples.get_path("mr")  # one slice
        >>> scan = Dicom().read(Path(path), seed=(0,))
        >>> scan.kspace.shape, scan.pixel_mm
        ((1, 64, 64), (0.3125, 0.3125))
    """

    series: str | None = None
    name: ClassVar[str] = "dicom"
    suffixes: ClassVar[tuple[str, ...]] = ("",)

    def volumes(self, paths: Sequence[Path]) -> Mapping[Path, tuple[Path, ...]]:
        """The files of each volume, by its path; see `Reader`."""
        series: dict[tuple[Path, str], list[tuple[Path, Dataset]]] = defaultdict(list)
        found: dict[Path, tuple[Path, ...]] = {}
        seen = set()
        for path in tqdm(paths, "Reading headers", unit="file", delay=2, leave=False):
            if not _is_dicom(path):
                continue
            try:
                header = _header(path)
            except InputError:
                found[path] = (path,)  # which says why when it is read
                continue
            if not header.get("Rows"):
                continue
            description = _text(header, "SeriesDescription")
            seen.add(description)
            if self.series is None or fnmatch.fnmatch(description, self.series):
                series[path.parent, _text(header, "SeriesInstanceUID")].append((path, header))
        if self.series is not None and seen and not series:
            raise InputError(f"series {self.series}: fits none of {', '.join(sorted(seen))}")
        in_folder: dict[Path, list[tuple[str, tuple[Path, ...]]]] = defaultdict(list)
        for (folder, _), members in series.items():
            for label, part in _divided(members):
                in_folder[folder].append((label, tuple(path for path, _ in part)))
        for folder, parts in in_folder.items():
            for label, files in parts:
                name = folder if len(parts) == 1 else folder / label
                if len(files) == 1:
                    name = files[0].with_suffix("") if _named(files[0]) else files[0]
                while name in found:
                    name = name.with_name(f"{name.name}_")
                found[name] = files
        return found

    def read(self, path: Path | Sequence[Path], seed: Sequence[int]) -> Scan:
        """Read a volume: a file, the only one of a folder, or some files; see `Reader`."""
        if not isinstance(path, Path):
            files = list(path)
        elif path.is_dir():
            volumes = self.volumes(sorted(each for each in path.iterdir() if each.is_file()))
            if len(volumes) != 1:
                held = ", ".join(name.name for name in volumes) or "none"
                raise InputError(f"{path}: expected one DICOM series, got {held}; give its files")
            files = list(*volumes.values())
        else:
            files = [path]
        where = files[0] if len(files) == 1 else files[0].parent
        frames = [frame for file in files for frame in _frames(file)]
        first = frames[0]
        for frame in frames:
            if frame.values.shape != first.values.shape:
                raise InputError(
                    f"{frame.path}: an image of {_size(frame)} pixels, but {first.path.name} of "
                    f"the same series has {_size(first)}; put them into folders of their own"
                )
        frames, notes = _sorted(where, frames)
        values = np.stack([frame.values for frame in frames])
        if first.is_inverted:
            values = values.max() - values
        notes += list(dict.fromkeys(note for frame in frames for note in frame.notes))
        return self.simulated(where, values, seed, first.pixel_mm, first.description, notes)


class _Frame(NamedTuple):
    """An image of a file, and where it is."""

    path: Path
    page: int
    values: npt.NDArray[np.float64]  # (height, width), rescaled
    orientation: tuple[float, ...] | None  # directions of rows and columns
    position: tuple[float, ...] | None  # in mm, of the first pixel
    place: tuple[float, ...] | None  # along the normal, where neither of them is known
    number: tuple[float, ...] | None
    pixel_mm: tuple[float, float] | None
    description: str
    is_inverted: bool
    notes: tuple[str, ...]


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise InputError(
            "DICOM files need pydicom: pip install 'fastmri_clgnet[dicom]', or pip install pydicom"
        ) from error
    return pydicom


def _named(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


def _is_dicom(path: Path) -> bool:
    """Whether a file is, or should be, DICOM: by its first bytes, or by its name."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" or _named(path)


def _dataset(path: Path, **options: Any) -> Dataset:
    """What pydicom reads; whatever it raises is an `InputError`. Old files lack the preamble."""
    pydicom = _pydicom()
    if path.stat().st_size == 0:
        raise InputError(f"{path}: an empty file")
    try:
        data: Dataset = pydicom.dcmread(path, force=True, **options)
        if not any(key in data for key in ("SOPClassUID", "Modality", "Rows")):
            raise ValueError("no header")
    except Exception as error:  # damaged files make pydicom raise errors of many kinds
        raise InputError(f"{path}: not a DICOM file that can be read ({_reason(error)})") from error
    return data


def _header(path: Path) -> Dataset:
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
    return header


def _reason(error: Exception) -> str:
    return words(str(error).split()) or type(error).__name__


def _divided(
    members: list[tuple[Path, Dataset]], fields: Sequence[str] = _DIVIDING, label: str | None = None
) -> Iterator[tuple[str, list[tuple[Path, Dataset]]]]:
    """Volumes of a series: one image at a position, where a field of the header can divide them."""
    header = members[0][1]
    if label is None:
        words_of = re.findall(r"\w+", _text(header, "SeriesDescription"))
        number = _text(header, "SeriesNumber")
        label = "_".join(["series", *([number] if number else []), *words_of])
    places = [_place(header) for _, header in members]
    if None in places or len(set(places)) == len(places) or not fields:
        yield label, members
        return
    parts: dict[str, list[tuple[Path, Dataset]]] = defaultdict(list)
    for path, header in members:
        parts[_text(header, fields[0])].append((path, header))
    for value, part in sorted(parts.items()):
        more = "_".join([fields[0], *re.findall(r"[\w.]+", value)])
        yield from _divided(part, fields[1:], label if len(parts) == 1 else f"{label}_{more}")


def _place(header: Dataset) -> tuple[float, ...] | None:
    """Where an image of one frame is, to tell two apart."""
    position = _numbers(header.get("ImagePositionPatient"), 3)
    return None if position is None else tuple(round(each / _SAME_MM) for each in position)


def _frames(path: Path) -> Iterator[_Frame]:
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
        syntax = pydicom.uid.UID(getattr(data.file_meta, "TransferSyntaxUID", ""))
        lossy = any(each in syntax.name for each in _LOSSY)
        notes = [EIGHT_BITS] if stored.dtype.itemsize == 1 else []
        if lossy or _text(data, "LossyImageCompression") == "01":
            notes.append("DICOM images, compressed with loss")
        for i, values in enumerate(stored):
            if "ModalityLUTSequence" in data:
                rescaled = pydicom.pixels.apply_modality_lut(values, data).astype(np.float64)
            else:
                (slope,) = _numbers(_value(data, i, "RescaleSlope"), 1) or (1.0,)
                (intercept,) = _numbers(_value(data, i, "RescaleIntercept"), 1) or (0.0,)
                rescaled = values * slope + intercept
            padding = data.get("PixelPaddingValue")
            if padding is not None:
                rescaled[values == padding] = 0
            pixel = _numbers(_value(data, i, "PixelSpacing"), 2)
            yield _Frame(
                path,
                i,
                rescaled,
                _numbers(_value(data, i, "ImageOrientationPatient"), 6),
                _numbers(_value(data, i, "ImagePositionPatient"), 3),
                _numbers(_value(data, i, "SliceLocation"), 1),
                _numbers(_value(data, i, "InstanceNumber"), 1),
                None if pixel is None else (pixel[0], pixel[1]),
                _text(data, "SeriesDescription") or _text(data, "ProtocolName") or "unknown",
                data.get("PhotometricInterpretation") == "MONOCHROME1",
                tuple(notes),
            )


def _refuse(path: Path, data: Dataset) -> None:
    """Say why a file holds no magnitude image of MR, if that is so."""
    kind = _text(data, "SOPClassUID")
    modality, image_type = _text(data, "Modality"), _text(data, "ImageType").split("/")
    others = [_OTHERS[each] for each in image_type[2:] if each in _OTHERS]
    what = None
    if not any(key in data for key in _PIXELS):
        what = "no image"
    elif modality not in ("", "MR"):
        what = f"an image of modality {modality}"
    elif int(data.get("SamplesPerPixel") or 1) != 1 or not _text(
        data, "PhotometricInterpretation"
    ).startswith("MONOCHROME"):
        what = f"a colour image ({_text(data, 'PhotometricInterpretation')})"
    elif kind.startswith(_SECONDARY_CAPTURE):
        what = "a secondary capture, such as a picture of a screen"
    elif _text(data, "ComplexImageComponent") in ("PHASE", "REAL", "IMAGINARY"):
        what = f"an image of the {_text(data, 'ComplexImageComponent').lower()} part"
    elif others:
        what = others[0]
    if what is not None:
        raise InputError(
            f"{path}: {what}, expected magnitude images of MR; choose others by series, or move it"
        )


def _undecoded(decoder: Callable[..., Any], data: Dataset, error: Exception) -> str:
    """Why the pixels cannot be read, in one sentence."""
    syntax = getattr(data.file_meta, "TransferSyntaxUID", None)
    is_available = False
    with contextlib.suppress(NotImplementedError):  # of videos and the like
        is_available = syntax is None or decoder(syntax).is_available
    if not is_available:
        return (
            f"compressed as {getattr(syntax, 'name', syntax)}, which cannot be decoded here: pip "
            "install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or decompress it (gdcmconv "
            "--raw, dcmdjpeg)"
        )
    return f"its pixels cannot be read ({_reason(error)}); is it complete?"


def _sorted(where: Path, frames: list[_Frame]) -> tuple[list[_Frame], list[str]]:
    """The frames along the normal of their plane, and what is worth knowing of their order."""
    if len(frames) == 1:
        return frames, []
    known = [frame.orientation for frame in frames if frame.orientation is not None]
    if known and not np.allclose(known, known[0], atol=0.02):
        raise InputError(
            f"{where}: a series of slices in several directions, as localizers have; expected "
            "parallel slices: choose others by series, or move it"
        )
    if len(known) == len(frames) and all(frame.position is not None for frame in frames):
        normal = np.cross(known[0][:3], known[0][3:])
        places = [float(np.dot(normal, frame.position or ())) for frame in frames]
    elif all(frame.place is not None for frame in frames):
        places = [(frame.place or (0.0,))[0] for frame in frames]
    else:
        numbers = [(frame.number or (0.0,))[0] for frame in frames]
        order = sorted(range(len(frames)), key=lambda i: (numbers[i], frames[i].page))
        return [frames[i] for i in order], ["slices by their numbers: no positions are said"]
    order = sorted(range(len(frames)), key=lambda i: places[i])
    steps = np.diff([places[i] for i in order])
    if (same := int((steps < _SAME_MM).sum())) > 0:
        raise InputError(
            f"{where}: {same + 1} images at one position, which no field of their headers tells "
            "apart; put the images of each volume into a folder (of one file with several frames, "
            "first write a file for each: emf2sf of dcm4che)"
        )
    gaps = int((steps > 1.5 * np.median(steps)).sum())
    note = f"{gaps} gap(s) between slices: are files missing?"
    return [frames[i] for i in order], [note] if gaps else []


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


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """So many finite numbers of a field; None if it says anything else."""
    try:
        numbers = tuple(float(each) for each in (value if count > 1 else [value]))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _text(data: Dataset, keyword: str) -> str:
    value = data.get(keyword)
    several = not isinstance(value, str | None) and isinstance(value, Sequence)
    return "/".join(map(str, value)) if several else str("" if value is None else value).strip()


def _size(frame: _Frame) -> str:
    return f"{frame.values.shape[0]} x {frame.values.shape[1]}"
