"""Lines of two-dimensional Cartesian k-space, as scanners write them, put in their places.

What is the same for every scanner's raw data: where the centre of k-space is, what was measured
twice, which calibration lines belong to the image, and where the slices lie in the patient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.scan import Scan

GRIDDING = "grid and reconstruct it elsewhere (mrpro, sigpy, torchkbnufft)"
THREE_DIMENSIONAL = "three-dimensional; expected slices with one phase-encoding direction"
CENTRE_TOLERANCE = 2  # lines that the energy may peak beside the header's centre
OVERSHOOT = 8  # a line may lie this fraction, 1 / 8, of the matrix beyond its edge


Readout = TypeVar("Readout")


class Line(NamedTuple):
    """One readout."""

    samples: npt.NDArray[np.complex64]  # (coils, samples)
    center_sample: int  # in which the echo is
    slice: int
    number: int  # of the phase encoding, from any origin
    calibrates: bool = False  # parallel imaging, and is no line of the image


class Placement(NamedTuple):
    """Where a slice lies, by its scanner: patient coordinates (3,), left, posterior, superior."""

    position: npt.NDArray[np.float64]  # the middle of the slice, in millimetres
    read: npt.NDArray[np.float64]  # of length 1, as the others: direction of the rows' index
    phase: npt.NDArray[np.float64]  # of the columns' index
    normal: npt.NDArray[np.float64]


class Matrix(NamedTuple):
    """Sizes of k-space and image; pixels in millimetres."""

    rows: int
    columns: int
    height: int
    width: int
    pixel_height: float
    pixel_width: float


class Sizes(NamedTuple):
    """What a header says: rows and columns, height and width, their fields of view in mm."""

    encoded: tuple[int, int]
    encoded_mm: tuple[float, float]
    recon: tuple[int, int]
    recon_mm: tuple[float, float]
    in_mm: bool = True  # False: fields of view are unknown, in pixels


def choose(
    path: Path,
    readouts: Sequence[Readout],
    wanted: Mapping[str, int | None],
    counter_of: Callable[[Readout, str], int],
    calibrates: Callable[[Readout], bool],
    separate: bool,
) -> tuple[list[Readout], list[Readout], list[str]]:
    """The image's readouts of one contrast and so on, those that only calibrate it, and notes."""
    imaging = [one for one in readouts if not calibrates(one)]
    for counter, value in wanted.items():
        values = sorted({counter_of(one, counter) for one in imaging})
        if value is None and len(values) > 1:
            raise InputError(
                f"{path}: holds several of {counter} ({words(values)}); choose one, such as "
                f"{counter} {values[0]}"
            )
        if value is not None:
            imaging = [one for one in imaging if counter_of(one, counter) == value]
            if not imaging:
                raise InputError(f"{path}: no {counter} {value}; it holds {words(values)}")
    if not imaging:
        raise InputError(f"{path}: no readouts of an image")
    same = [counter_of(imaging[0], counter) for counter in wanted]
    calibration = [
        one
        for one in readouts
        if calibrates(one) and [counter_of(one, counter) for counter in wanted] == same
    ]
    if separate and calibration:  # perhaps with another contrast
        note = f"{len(calibration)} calibration lines of a separate scan are left out"
        return imaging, [], [note]
    return imaging, calibration, []


def measured_matrix(lines: Sequence[Line], sizes: Sizes) -> tuple[Matrix, list[str]]:
    """The matrix that was measured, and notes where the header gives another one."""
    # Some headers give the size to which the scanner interpolates as the encoded one, or keep the
    # oversampled one for readouts without oversampling: both leave shorter readouts that are whole.
    (rows, columns), (row_mm, column_mm), recon, recon_mm, _ = sizes
    notes = []
    length = lines[0].samples.shape[1]
    whole = all(
        line.samples.shape[1] == length and line.center_sample == length // 2 for line in lines
    )
    if whole and 0 < length < rows:
        says = f"the header's matrix has {rows} rows, but readouts have {length} samples"
        fewer = round(columns * length / rows)
        numbers = [line.number for line in lines]
        interpolated = max(numbers) - min(numbers) < fewer  # along the lines, too
        without = 0 < recon_mm[0] < row_mm and abs(rows * recon_mm[0] / row_mm - length) < 1
        if without and not interpolated:
            row_mm = recon_mm[0]
            notes.append(f"{says}: read as readouts without oversampling")
        else:
            columns = fewer if interpolated else columns
            notes.append(
                f"{says}: read as a matrix that the scanner interpolates, of which {length} x "
                f"{columns} were measured"
            )
        rows = length
    height, pixel_height = _image_axis(rows, row_mm, recon[0], recon_mm[0])
    width, pixel_width = _image_axis(columns, column_mm, recon[1], recon_mm[1])
    return Matrix(rows, columns, height, width, pixel_height, pixel_width), notes


def _image_axis(encoded: int, encoded_mm: float, recon: int, recon_mm: float) -> tuple[int, float]:
    """Pixels of the image along one axis, and the size of one in millimetres."""
    # as it was encoded; of an interpolated matrix, the field of view settles how many there are
    pixel = encoded_mm / encoded
    within = round(recon_mm / pixel) if pixel > 0 and recon_mm > 0 else recon
    return min(recon, encoded, max(within, 1)), pixel


def sort_lines(
    path: Path, lines: Sequence[Line], rows: int, columns: int, header_center: int
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.bool_], list[str]]:
    """Put lines into k-space, averaged: (slices, coils, rows, columns), sampled columns, notes."""
    imaging = [line for line in lines if not line.calibrates]
    shape = imaging[0].samples.shape
    calibration = [line for line in lines if line.calibrates and line.samples.shape == shape]
    n_coils, n_slices = shape[0], 1 + max(line.slice for line in imaging)
    used = [*imaging, *calibration]
    center, notes = _center(used, columns, header_center)

    kspace = np.zeros((n_slices, n_coils, rows, columns), np.complex64)
    counts = np.zeros((n_slices, columns), int)
    beyond, missing_rows = set(), 0
    for group in (imaging, calibration):
        taken = counts > 0  # by the image, between whose lines those that calibrate go
        for line in group:
            length = line.samples.shape[1]
            # a partial echo starts after the first row; a whole one fills all
            first = 0 if length == rows else rows // 2 - line.center_sample
            column = line.number + columns // 2 - center
            fits = 0 <= first <= rows - length and len(line.samples) == n_coils
            overshoot = max(-column, column - columns + 1)
            if group is calibration:
                if not fits or overshoot > 0 or line.slice >= n_slices or taken[line.slice, column]:
                    continue
            elif not fits or overshoot * OVERSHOOT > columns:
                raise InputError(
                    f"{path}: a readout of {len(line.samples)} channels and {length} samples from "
                    f"row {first} in column {column} does not fit into the header's {rows} x "
                    f"{columns} and {n_coils} channels"
                )
            if overshoot > 0:
                beyond.add(line.number)
                continue
            kspace[line.slice, :, first : first + length, column] += line.samples
            counts[line.slice, column] += 1
            missing_rows = max(missing_rows, first, rows - first - length)
    sampled = np.asarray((counts > 0).any(axis=0))
    if not sampled.any() or not counts[:, sampled].all():
        raise InputError(
            f"{path}: the slices have different phase encodings; is the acquisition complete?"
        )
    kspace /= np.maximum(counts, 1)[:, None, None]
    if beyond:
        notes.append(
            f"{len(beyond)} lines beyond the header's matrix of {columns} lines are left out (of "
            f"numbers {_span(imaging)}, with the centre at {center})"
        )
    if counts.max() > 1:
        notes.append(f"lines that were measured up to {counts.max()} times are averaged")
    if missing_rows:
        notes.append(f"asymmetric echo: {missing_rows} of {rows} rows were not measured")
    low, high = np.flatnonzero(sampled)[[0, -1]]
    before, after = columns // 2 - low, high - columns // 2
    if abs(before - after) > columns // 16:
        notes.append(f"partial Fourier: columns {low} to {high} of {columns} were measured")
    return kspace, sampled, notes


def _center(lines: Sequence[Line], columns: int, header: int) -> tuple[int, list[str]]:
    """The number of the central line, the header's or that of the most energy, and notes."""
    numbers, groups = np.unique([line.number for line in lines], return_inverse=True)
    energy = np.bincount(groups, [np.vdot(line.samples, line.samples).real for line in lines])
    place = int(np.argmax(energy / np.bincount(groups)))
    peak = int(numbers[place]) if energy.any() else header
    # between lines that were left out the centre may be one of them
    tolerance = max([CENTRE_TOLERANCE, *np.diff(numbers[max(place - 1, 0) : place + 2])])

    def outside(center: int) -> int:
        places = numbers + columns // 2 - center
        return int(((places < 0) | (places >= columns)).sum())

    if abs(peak - header) <= tolerance:
        # limits that count from 1 where lines count from 0, or the other way round
        for shift in (0, 1, -1):
            if outside(header + shift) == 0 and abs(peak - header - shift) <= tolerance:
                if shift == 0:
                    return header, []
                return header + shift, [
                    f"the header's central line {header} would put lines {_span(lines)} outside "
                    f"of its matrix of {columns}: read with line {header + shift} in the centre "
                    "(one of the two counts from 1)"
                ]
        return header, []
    # headers of partial Fourier acquisitions may give the middle of what was acquired
    what = f"the header says that line {header} is the centre of k-space, the energy line {peak}"
    if outside(peak) > outside(header):
        return header, [f"{what}; kept, since the lines fill the matrix of {columns} only so"]
    return peak, [f"{what}, which is used"]


def _span(lines: Sequence[Line]) -> str:
    numbers = [line.number for line in lines]
    return f"{min(numbers)} to {max(numbers)}"


def make_scan(
    path: Path,
    lines: Sequence[Line],
    sizes: Sizes,
    header_center: int | None,
    places: Mapping[int, Placement],
    thickness_mm: float,
    acquisition: str,
    notes: Sequence[str],
) -> Scan:
    """Make a volume of lines: slices in the order in which they lie, and their geometry."""
    matrix, of_matrix = measured_matrix(lines, sizes)
    center = matrix.columns // 2 if header_center is None else header_center
    kspace, sampled, more = sort_lines(path, lines, matrix.rows, matrix.columns, center)
    first, end = (int(place) for place in np.flatnonzero(sampled)[[0, -1]] + [0, 1])
    placements = [places.get(i) for i in range(len(kspace))]
    order = slice_order(placements)
    if order != sorted(order):
        kspace = kspace[order]
        more.append("slices are sorted by their position")
    size = (matrix.height, matrix.width)
    pixel, affine = None, None
    if sizes.in_mm and min(matrix.pixel_height, matrix.pixel_width) > 0:
        pixel = (matrix.pixel_height, matrix.pixel_width)
        affine = image_affine(
            [placements[i] for i in order],
            (matrix.rows, matrix.columns),
            size,
            pixel,
            thickness_mm,
        )
    return Scan(
        kspace[:, 0] if kspace.shape[1] == 1 else kspace,
        size,
        None if sampled[first:end].all() else sampled,
        acquisition,
        pixel,
        acquired=(first, end) if first <= matrix.columns // 2 < end else None,
        affine=affine,
        notes=(*notes, *of_matrix, *more),
    )


def slice_order(placements: Sequence[Placement | None]) -> list[int]:
    """The slices in the order in which they lie; as they are where that is not known."""
    as_they_are = list(range(len(placements)))
    known = [one for one in placements if one is not None]
    if len(known) < len(placements) or not known:
        return as_they_are
    along = np.array([one.position @ known[0].normal for one in known])
    steps = np.diff(along)
    if (np.abs(np.diff(np.sort(along))) < 1e-3).any() or (steps > 0).all() or (steps < 0).all():
        return as_they_are
    return np.argsort(along, kind="stable").tolist()


def image_affine(
    placements: Sequence[Placement | None],
    kspace_size: tuple[int, int],
    recon_size: tuple[int, int],
    pixel_mm: tuple[float, float],
    thickness_mm: float,
) -> npt.NDArray[np.float64] | None:
    """From the image's (row, column, slice, 1) to right, anterior, superior; None if unknown."""
    known = [one for one in placements if one is not None]
    if len(known) < len(placements) or not known:
        return None
    first, last = known[0], known[-1]
    if any(abs(np.linalg.norm(vector) - 1) > 1e-3 for vector in first[1:]):
        return None
    step = first.normal * thickness_mm
    if len(known) > 1:
        step = (last.position - first.position) / (len(known) - 1)
        if np.linalg.norm(step) < 1e-3:
            return None
    # the middle of the slice is the pixel of the Fourier transform's origin
    origin = [n // 2 - (n - size) // 2 for n, size in zip(kspace_size, recon_size, strict=True)]
    down, across = first.read * pixel_mm[0], first.phase * pixel_mm[1]
    corner = first.position - down * origin[0] - across * origin[1]
    affine = np.eye(4)
    affine[:3] = np.stack([down, across, step, corner], axis=1)
    affine[:2] *= -1  # left, posterior to right, anterior
    return affine
