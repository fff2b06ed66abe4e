"""The ISMRMRD header of fastMRI's files, an XML text: written, found in a file, and read."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ElementTree
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.hdf5 import get_dataset

_LARGEST = 2**16 - 1  # ISMRMRD's sizes are of the type xs:unsignedShort
_NAMESPACE = {"i": "http://www.ismrm.org/ISMRMRD"}
INTERPOLATED = 8  # at most: pixels of an image to each that was measured, along an axis
# matrix sizes that make sense: one is what an empty field is read as elsewhere
_LEAST = {"encodedSpace": {"x": 2, "y": 2, "z": 1}, "reconSpace": {"x": 2, "y": 2, "z": 1}}


class HeaderInfo(NamedTuple):
    """What the host reads from an ISMRMRD header."""

    encoded: tuple[int, int]  # rows and columns
    recon: tuple[int, int]  # height and width of the image
    acquired: tuple[int, int]  # first measured column, and one past the last
    pixel_mm: tuple[float, float] | None  # where the header says it


def ismrmrd_header(
    encoded: tuple[int, int],
    recon: tuple[int, int],
    acquired: tuple[int, int] | None = None,
    pixel_mm: tuple[float, float] | None = None,
) -> bytes:
    """The ISMRMRD header that fastMRI reads, as XML; arguments as of `write_fastmri_file`."""
    with warnings.catch_warnings():  # of which ismrmrd shows all from its import on
        from ismrmrd import xsd  # which takes a tenth of a second

    first, end = (0, encoded[1]) if acquired is None else acquired
    height, width = pixel_mm or (0.0, 0.0)

    def space(size: tuple[int, int]) -> xsd.encodingSpaceType:
        return xsd.encodingSpaceType(
            matrixSize=xsd.matrixSizeType(x=size[0], y=size[1], z=1),
            fieldOfView_mm=xsd.fieldOfViewMm(x=size[0] * height, y=size[1] * width, z=1.0),
        )

    encoding = xsd.encodingType(
        encodedSpace=space(encoded),
        reconSpace=space(recon),
        encodingLimits=xsd.encodingLimitsType(
            kspace_encoding_step_1=xsd.limitType(
                minimum=0, maximum=end - first - 1, center=encoded[1] // 2 - first
            )
        ),
        trajectory=xsd.trajectoryType("cartesian"),
    )
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=0)
    header = xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])
    text: str = header.toXML("utf-8")
    return text.encode()


def stored_header(file: h5py.File, path: Path) -> bytes | None:
    """The XML text of a file, as text, bytes or an array of one; None if there is none."""
    item = get_dataset(file, "ismrmrd_header", path, at_once=True)
    if item is None:
        return None
    value = item[()]
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    text = value.encode() if isinstance(value, str) else value
    if not isinstance(text, bytes) or not text:
        raise InputError(
            f"{path}: expected one XML text as ismrmrd_header, got {item.shape} {item.dtype}"
        )
    return text


class Fields:
    """Numbers of a scanner's header, of any format: the one place in which they are read.

    A header may say 40.0 or nothing instead of 40, NaN, or -1. What is no such number as is
    expected counts as missing, and `notes` names field and value.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def usable(
        self, name: str, value: object, smallest: float = 0, whole: bool = False
    ) -> float | None:
        """A number from `smallest` to 65535, or None with a note; of None, a missing one, without.

        Args:
            name: What the note calls it.
            value: A number, or a text such as '40.0' and '1e2'.
            smallest: The smallest number that makes sense.
            whole: Whether it has to be whole.
        """
        if value is None:
            return None
        with suppress(TypeError, ValueError):
            number = float(value)  # type: ignore[arg-type]
            if smallest <= number <= _LARGEST and (number.is_integer() or not whole):
                return number
        kind = "a whole number" if whole else "a number"
        note = (
            f"the header's {name} is {str(value)!r}, expected {kind} from {smallest:g} to "
            f"{_LARGEST}: read without it"
        )
        if note not in self.notes:
            self.notes.append(note)
        return None


class Sizes(NamedTuple):
    """What a header says, None where it does not: rows and columns, height and width, in mm."""

    encoded: tuple[int | None, int | None]
    encoded_mm: tuple[float | None, float | None]
    recon: tuple[int | None, int | None]
    recon_mm: tuple[float | None, float | None]


class Header(Fields):
    """The fields of an ISMRMRD header, an XML text; elements are named from its first encoding.

    Raises:
        InputError: If it is no XML, or declares entities.

    Example:
        >>> header = Header(ismrmrd_header((64, 48), (32, 48)), Path("a.h5"))
        >>> header.count("encodedSpace", "matrixSize", "x"), header.number("no", "such", "field")
        (64, None)
    """

    def __init__(self, text: bytes, path: Path) -> None:
        super().__init__()
        self.root = parse(text, path)
        for element in self.root.iter():  # some programs leave the namespace out
            element.tag = f"{{{_NAMESPACE['i']}}}{element.tag.rpartition('}')[2]}"

    def first(self, *names: str) -> str | None:
        """The text of the first element so nested, counted from the root."""
        return (self.root.findtext(_path(*names), "", _NAMESPACE)).strip() or None

    def several(self, *names: str, zero: bool = False) -> list[float]:
        """The different numbers of all elements so nested, from the root; 0 only if it counts."""
        texts = [element.text for element in self.root.iterfind(_path(*names), _NAMESPACE)]
        numbers = {self.usable(" ".join(names), text or "") for text in texts}
        return sorted(n for n in numbers if n is not None and (zero or n > 0))

    def text(self, *names: str) -> str | None:
        """The text of an element of the first encoding, None if there is none."""
        encoding = self.root.find("./i:encoding", _NAMESPACE)
        element = None if encoding is None else encoding.find(_path(*names), _NAMESPACE)
        return None if element is None else (element.text or "").strip()

    def number(self, *names: str, smallest: float = 0) -> float | None:
        """A number of the first encoding, see `usable`."""
        return self.usable(" ".join(names), self.text(*names), smallest)

    def count(self, *names: str, smallest: float = 1) -> int | None:
        """A whole number of the first encoding, see `usable`."""
        number = self.usable(" ".join(names), self.text(*names), smallest, whole=True)
        return None if number is None else int(number)

    def sizes(self) -> Sizes:
        """Matrix and field of view of k-space and image; a field of view of 0 is unknown."""
        encoded, recon = (
            (
                self.count(space, "matrixSize", "x", smallest=least["x"]),
                self.count(space, "matrixSize", "y", smallest=least["y"]),
            )
            for space, least in _LEAST.items()
        )
        encoded_mm, recon_mm = (
            (
                self.number(space, "fieldOfView_mm", "x") or None,
                self.number(space, "fieldOfView_mm", "y") or None,
            )
            for space in _LEAST
        )
        return Sizes(encoded, encoded_mm, recon, recon_mm)


def read_header(header: bytes, path: Path) -> HeaderInfo:
    """All that the host reads of the ISMRMRD header, by its rule: the first element so nested."""
    root = parse(header, path)

    def text(*names: str) -> str:
        element = root.find(_path(*names), _NAMESPACE)
        if element is None:
            raise LookupError(f"no {' '.join(names)}")
        return element.text or ""

    def number(*names: str, smallest: int = 1) -> int:
        value = text(*names)
        if not value.strip().lstrip("+-").isdecimal() or not smallest <= int(value) <= _LARGEST:
            raise ValueError(
                f"{' '.join(names)} is {value!r}, expected a whole number from {smallest} to "
                f"{_LARGEST}"
            )
        return int(value)

    try:
        (rows, columns, _), (height, width, _) = (
            [number("encoding", space, "matrixSize", axis, smallest=n) for axis, n in least.items()]
            for space, least in _LEAST.items()
        )
        center, maximum = (
            number("encoding", "encodingLimits", "kspace_encoding_step_1", limit, smallest=0)
            for limit in ("center", "maximum")
        )
    except (ValueError, LookupError) as error:
        raise InputError(
            f"{path}: the ismrmrd_header cannot be used ({error}); expected ISMRMRD XML with "
            "encoded and recon matrix sizes and the limits of kspace_encoding_step_1"
        ) from error
    first = columns // 2 - center
    pixel_mm = None
    with suppress(LookupError, ValueError):
        field = [float(text("encoding", "encodedSpace", "fieldOfView_mm", axis)) for axis in "xy"]
        if all(0 < millimetres < _LARGEST for millimetres in field):
            pixel_mm = (field[0] / rows, field[1] / columns)
    return HeaderInfo((rows, columns), (height, width), (first, first + maximum + 1), pixel_mm)


def usable_header(text: bytes, path: Path, rows: int, columns: int) -> tuple[HeaderInfo, list[str]]:
    """What the header says of k-space with these rows and columns, by them where it does not."""
    try:
        return read_header(text, path), []
    except InputError:
        header = Header(text, path)
    sizes = header.sizes()
    encoded = (sizes.encoded[0] or rows, sizes.encoded[1] or columns)
    axes = [image_axis(*axis) for axis in zip((rows, columns), *sizes[1:], strict=True)]
    center, maximum = (
        header.count("encodingLimits", "kspace_encoding_step_1", limit, smallest=0)
        for limit in ("center", "maximum")
    )
    acquired = (0, encoded[1])
    if center is not None and maximum is not None:
        acquired = (encoded[1] // 2 - center, encoded[1] // 2 - center + maximum + 1)
    (height, high), (width, wide) = axes
    pixel = None if high is None or wide is None else (high, wide)
    notes = [
        *header.notes,
        f"fastMRI itself cannot read this header: read as {encoded[0]} x {encoded[1]}, image "
        f"{height} x {width}, columns {acquired[0]} to {acquired[1] - 1} measured",
    ]
    return HeaderInfo(encoded, (height, width), acquired, pixel), notes


def image_axis(
    encoded: int, encoded_mm: float | None, recon: int | None, recon_mm: float | None
) -> tuple[int, float | None]:
    """Pixels of the image along one axis, and the size of one in millimetres, if known."""
    if encoded_mm is None and recon is not None and recon_mm is not None:
        encoded_mm = recon_mm / recon * encoded
    if encoded_mm is None:
        return min(recon or encoded, encoded), None
    pixel = encoded_mm / encoded
    # as it was encoded; of an interpolated matrix, the field of view settles how many there are
    within = min(max(round((recon_mm or encoded_mm) / pixel), 1), encoded)
    if recon is None:
        return within, pixel
    if recon_mm is None or recon > INTERPOLATED * within:
        return min(recon, encoded), pixel
    return (within if 2 * recon < within else min(recon, within)), pixel


def _path(*names: str) -> str:
    """The first element so nested, with others between, as the host finds it."""
    return "/".join([".", *(f"/i:{name}" for name in names)])


def parse(header: bytes, path: Path) -> ElementTree.Element:
    """The root of a header's XML, without entities."""
    try:
        header = header.strip(b"\0 \t\r\n")
        return ElementTree.fromstring(header, ElementTree.XMLParser(target=_WithoutDoctype()))
    except (ElementTree.ParseError, RuntimeError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: the ISMRMRD header cannot be used ({error}); expected XML"
        ) from error


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Refuses entities, which may multiply ("billion laughs") or name other files."""

    def doctype(self, *_: object) -> None:
        raise ValueError("a DOCTYPE may declare XML entities; remove the declaration")
