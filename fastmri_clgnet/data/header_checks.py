"""Reading the ISMRMRD header of a file as the host does, once it is known to be harmless."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from fastmri.data.mri_data import et_query

from fastmri_clgnet.errors import InputError

HEADER_BYTES = 2**20  # at most; those of scanners have thousands
LARGEST = 2**16 - 1  # ISMRMRD's sizes are of the type xs:unsignedShort
_DEPTH = 32  # of nested elements, at most; ISMRMRD's have less than 10
_SIZES = [("encodedSpace", "x"), ("encodedSpace", "y"), ("encodedSpace", "z"),
          ("reconSpace", "x"), ("reconSpace", "y"), ("reconSpace", "z")]  # fmt: skip


class HeaderInfo(NamedTuple):
    """What the host reads from an ISMRMRD header.

    Args:
        encoded: Rows and columns of k-space.
        recon: Height and width of the image.
        acquired: First measured column and the one behind the last, the host's padding_left and
            padding_right.
    """

    encoded: tuple[int, int]
    recon: tuple[int, int]
    acquired: tuple[int, int]


def read_header(header: bytes, path: Path) -> HeaderInfo:
    """All that the host reads of the ISMRMRD header.

    Args:
        header: The XML text.
        path: The file, for the error.

    Raises:
        InputError: If the header declares entities or other types, is nested beyond measure, or
            does not hold sizes.
    """
    _refuse_hostile(header, path)
    try:
        root = ElementTree.fromstring(header)
        sizes = [
            _within(et_query(root, ["encoding", space, "matrixSize", axis]), 1)
            for space, axis in _SIZES
        ]
        center, maximum = (
            _within(
                et_query(root, ["encoding", "encodingLimits", "kspace_encoding_step_1", limit]), 0
            )
            for limit in ("center", "maximum")
        )
    except (ElementTree.ParseError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: the ismrmrd_header cannot be used ({error}); expected ISMRMRD XML with "
            "encoded and recon matrix sizes and the limits of kspace_encoding_step_1"
        ) from error
    first = sizes[1] // 2 - center
    return HeaderInfo((sizes[0], sizes[1]), (sizes[3], sizes[4]), (first, first + maximum + 1))


def _within(text: str, smallest: int) -> int:
    """A whole number that ISMRMRD allows."""
    value = int(text)
    if not smallest <= value <= LARGEST:
        raise ValueError(f"{value}, expected {smallest} to {LARGEST}")
    return value


def _refuse_hostile(header: bytes, path: Path) -> None:
    """Refuse what makes a short XML text long to read; whatever its encoding, expat reads it.

    Entities may multiply ("billion laughs") or name other files, and need a DOCTYPE. The host's
    search in nested elements of one name takes a time that grows with a power of their number.
    """
    if len(header) > HEADER_BYTES:
        raise InputError(f"{path}: an ismrmrd_header of {len(header):,} bytes; expected XML of KB")
    depth = 0

    def refuse_doctype(*_: object) -> None:
        raise InputError(
            f"{path}: the ismrmrd_header has a DOCTYPE, which may declare XML entities and is "
            "refused; remove the declaration"
        )

    def enter(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise InputError(f"{path}: the ismrmrd_header nests more than {_DEPTH} elements")

    def leave(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = enter, leave
    try:
        parser.Parse(header, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: the ismrmrd_header cannot be used ({error}); expected ISMRMRD XML"
        ) from error
