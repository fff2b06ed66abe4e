"""DICOM series of magnitude images: their k-space is simulated, and said to be.

A volume is a series (SeriesInstanceUID) of a folder. Where the series has several images at a
position, such as two echoes, the first header field that tells them apart divides it into volumes.
Slices are sorted along the normal of the image plane.

References:
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.2.html
"""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from tqdm import tqdm

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.dicom_frames import (
    Frame,
    frames_of,
    header_of,
    is_dicom,
    is_named,
    numbers_of,
    size_of,
    text_of,
)
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.formats.simulate import Simulation

if TYPE_CHECKING:
    from pydicom import Dataset

# what tells images at one position apart, the most telling first
_DIVIDING = (
    "ImageType", "EchoTime", "InversionTime", "FlipAngle", "DiffusionBValue",
    "TemporalPositionIdentifier", "TriggerTime", "AcquisitionNumber",
)  # fmt: skip
_SERIES = ("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "ImagePositionPatient", "Rows")
_SAME_MM = 1e-3


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
        seen, empty = set(), list[Path]()
        for path in tqdm(paths, "Reading headers", unit="file", delay=2, leave=False):
            if path.is_file() and path.stat().st_size == 0:  # as of a copy that broke off
                empty.append(path)
                continue
            if not is_dicom(path) and len(paths) > 1:
                continue
            try:
                header = header_of(path, (*_SERIES, *_DIVIDING))
            except InputError:
                found[path] = (path,)  # which says why when it is read
                continue
            if not header.get("Rows"):
                continue
            description = text_of(header, "SeriesDescription")
            seen.add(description)
            if self.series is None or fnmatch.fnmatch(description, self.series):
                series[path.parent, text_of(header, "SeriesInstanceUID")].append((path, header))
        if seen or len(paths) == 1:
            found |= {path: (path,) for path in empty}
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
                    name = files[0].with_suffix("") if is_named(files[0]) else files[0]
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
        frames = [frame for file in files for frame in frames_of(file)]
        first = frames[0]
        for frame in frames:
            if frame.values.shape != first.values.shape:
                raise InputError(
                    f"{frame.path}: an image of {size_of(frame)} pixels, but {first.path.name} of "
                    f"the same series has {size_of(first)}; put them into folders of their own"
                )
            sizes = [one.pixel_mm for one in (first, frame) if one.pixel_mm is not None]
            if sizes and not np.allclose(sizes[0], sizes[-1], rtol=1e-3):
                raise InputError(
                    f"{frame.path}: pixels of {frame.pixel_mm} mm, but {first.path.name} of the "
                    f"same series has {first.pixel_mm} mm; put them into folders of their own"
                )
        frames, notes = _sorted(where, frames)
        values = np.stack([frame.values for frame in frames])
        padded = np.stack([frame.is_padded for frame in frames])
        inverted = [frame.is_inverted for frame in frames]
        values[inverted] = values.max(where=~padded, initial=-np.inf) - values[inverted]
        values[padded] = 0
        notes += list(dict.fromkeys(note for frame in frames for note in frame.notes))
        return self.simulated(where, values, seed, first.pixel_mm, first.description, notes)


def _divided(
    members: list[tuple[Path, Dataset]], fields: Sequence[str] = _DIVIDING, label: str | None = None
) -> Iterator[tuple[str, list[tuple[Path, Dataset]]]]:
    """Volumes of a series: one image at a position, where a field of the header can divide them."""
    header = members[0][1]
    if label is None:
        words_of = re.findall(r"\w+", text_of(header, "SeriesDescription"))
        number = text_of(header, "SeriesNumber")
        label = "_".join(["series", *([number] if number else []), *words_of])
    places = [_place(header) for _, header in members]
    if None in places or len(set(places)) == len(places) or not fields:
        yield label, members
        return
    parts: dict[str, list[tuple[Path, Dataset]]] = defaultdict(list)
    for path, header in members:
        parts[text_of(header, fields[0])].append((path, header))
    for value, part in sorted(parts.items()):
        more = "_".join([fields[0], *re.findall(r"[\w.]+", value)])
        yield from _divided(part, fields[1:], label if len(parts) == 1 else f"{label}_{more}")


def _place(header: Dataset) -> tuple[float, ...] | None:
    """Where an image of one frame is, to tell two apart."""
    position = numbers_of(header.get("ImagePositionPatient"), 3)
    return None if position is None else tuple(round(each / _SAME_MM) for each in position)


def _sorted(where: Path, frames: list[Frame]) -> tuple[list[Frame], list[str]]:
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
