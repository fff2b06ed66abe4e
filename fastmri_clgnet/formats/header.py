"""The ISMRMRD header of fastMRI's files, an XML text: written, found in a file, and read."""

from __future__ import annotations

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


def read_header(header: bytes, path: Path) -> HeaderInfo:
    """All that the host reads of the ISMRMRD header, by its rule: the first element so nested."""

    def text(*names: str) -> str:
        element = root.find("/".join([".", *(f"/i:{name}" for name in names)]), _NAMESPACE)
        if element is None:
            raise LookupError(f"no {' '.join(names)}")
        return str(element.text)

    def number(*names: str, smallest: int = 1) -> int:
        value = int(text(*names))
        if not smallest <= value <= _LARGEST:
            raise ValueError(f"{value}, expected {smallest} to {_LARGEST}")
        return value

    try:
        root = ElementTree.fromstring(header, ElementTree.XMLParser(target=_WithoutDoctype()))
        (rows, columns, _), (height, width, _) = (
            [number("encoding", space, "matrixSize", axis) for axis in "xyz"]
            for space in ("encodedSpace", "reconSpace")
        )
        center, maximum = (
            number("encoding", "encodingLimits", "kspace_encoding_step_1", limit, smallest=0)
            for limit in ("center", "maximum")
        )
    except (ElementTree.ParseError, RuntimeError, ValueError, LookupError) as error:
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


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Refuses entities, which may multiply ("billion laughs") or name other files."""

    def doctype(self, *_: object) -> None:
        raise ValueError("a DOCTYPE may declare XML entities; remove the declaration")
