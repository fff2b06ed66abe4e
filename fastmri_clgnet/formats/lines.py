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
from fastmri_clgnet.formats.header import INTERPOLATED, Sizes, image_axis
from fastmri_clgnet.formats.orientation import STRONGER, refuse_wrong_axes
from fastmri_clgnet.formats.scan import Scan, regular_step

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
    both: bool = False  # of the image, and calibrates parallel imaging
    average: int = 0


class Placement(NamedTuple):
    """Where a slice lies, by its scanner: patient coordinates (3,), left, posterior, superior."""

    position: npt.NDArray[np.float64]  # the middle of the slice, in millimetres
    read: npt.NDArray[np.float64]  # of length 1, as the others: direction of the rows' index
    phase: npt.NDArray[np.float64]  # of the columns' index
    normal: npt.NDArray[np.float64]


class Matrix(NamedTuple):
    """Sizes of k-space and image; pixels in millimetres, None if unknown."""

    rows: int
    columns: int
    height: int
    width: int
    pixel_height: float | None
    pixel_width: float | None


class Said(NamedTuple):
    """What a header says of the lines; None where it does not."""

    center: int | None = None  # the number of the central line
    end: int | None = None  # one past the last number
    acceleration: int | None = None  # of the phase encodings
    averages: int = 1  # of lines, or repetitions of one image
    several: tuple[str, ...] = ()  # images, such as "TE 5 10", that no counter separates


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


def measured_matrix(
    lines: Sequence[Line], sizes: Sizes, said: Said
) -> tuple[Matrix, list[Line], list[str]]:
    """The matrix that was measured, the lines with their echo, and where the header differs."""
    (rows, columns), (row_mm, column_mm), recon, recon_mm = sizes
    length = lines[0].samples.shape[1]
    lines, notes = _with_echo(lines, rows)
    if rows is None or rows > INTERPOLATED * length:
        says, rows = rows, _around(0, lines[0].center_sample, length)
        notes.append(f"the header has {says or 'no'} rows: read as {rows}, those of the readouts")
    numbers = [line.number for line in lines]
    first, end = min(numbers), max(numbers) + 1
    if columns is None or columns > INTERPOLATED * (end - first):
        says, columns = columns, _around(first, said.center, max(end, said.end or 0))
        notes.append(f"the header has {says or 'no'} columns: read as {columns}, by the lines")
    # Some headers give the size to which the scanner interpolates as the encoded one, or keep the
    # oversampled one for readouts without oversampling: both leave shorter readouts that are whole.
    whole = all(
        line.samples.shape[1] == length and line.center_sample == length // 2 for line in lines
    )
    if whole and 0 < length < rows:
        says = f"the header's matrix has {rows} rows, but readouts have {length} samples"
        fewer = round(columns * length / rows)
        interpolated = end - first <= fewer  # along the lines, too
        height, pixel = image_axis(rows, row_mm, recon[0], recon_mm[0])
        if height == length and not interpolated:
            row_mm = None if pixel is None else pixel * length
            notes.append(f"{says}: read as readouts without oversampling")
        else:
            columns = fewer if interpolated else columns
            notes.append(
                f"{says}: read as a matrix that the scanner interpolates, of which {length} x "
                f"{columns} were measured"
            )
        rows = length
    height, pixel_height = image_axis(rows, row_mm, recon[0], recon_mm[0])
    width, pixel_width = image_axis(columns, column_mm, recon[1], recon_mm[1])
    if None in recon:
        how = "as its field of view says" if all(recon_mm) else "as large as the matrix"
        notes.append(f"the header has no size of the image: {height} x {width}, {how}")
    for pixels, of_header, pixel, mm in (
        (height, recon[0], pixel_height, recon_mm[0]),
        (width, recon[1], pixel_width, recon_mm[1]),
    ):
        if pixel and of_header and mm and round(mm / pixel) > of_header + 1:
            notes.append(
                f"the header's image of {of_header} pixels contradicts its field of view of "
                f"{mm:g} mm ({round(mm / pixel)} pixels): {pixels} are taken"
            )
    return Matrix(rows, columns, height, width, pixel_height, pixel_width), lines, notes


def _around(first: int, center: int | None, end: int) -> int:
    """The size of an axis of which this range, with this centre, was measured."""
    middle = (first + end) // 2
    if center is None or not first <= center < end or abs(center - middle) <= 1:
        return end - first
    return 2 * max(center - first, end - center)


def _with_echo(lines: Sequence[Line], rows: int | None) -> tuple[list[Line], list[str]]:
    """Short readouts with their echo where most energy is, if the file has it elsewhere."""
    length, center = lines[0].samples.shape[1], lines[0].center_sample
    same = [line for line in lines if line.samples.shape[1] == length]
    if length == rows or length == 0 or any(line.center_sample != center for line in same):
        return list(lines), []
    energy = np.sum([(np.abs(line.samples) ** 2).sum(axis=0) for line in same], axis=0)
    near = max(CENTRE_TOLERANCE, length // 16)

    def around(place: int) -> float:
        return float(energy[max(place - near, 0) : max(place + near + 1, 0)].sum())

    peak = int(np.argmax(energy))
    if abs(peak - center) <= near or around(peak) < STRONGER * around(center):
        return list(lines), []
    if abs(peak - length // 2) <= near:
        peak = length // 2
    note = (
        f"the file says that sample {center} is the echo, the energy sample {peak}, which is used"
    )
    return [
        line._replace(center_sample=peak) if line.samples.shape[1] == length else line
        for line in lines
    ], [note]


def sort_lines(
    path: Path, lines: Sequence[Line], rows: int, columns: int, said: Said
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.bool_], list[str]]:
    """Put lines into k-space, averaged: (slices, coils, rows, columns), sampled columns, notes."""
    imaging = [line for line in lines if not line.calibrates]
    shape = imaging[0].samples.shape
    slices = {number: i for i, number in enumerate(slice_numbers(imaging))}
    calibration = [
        line
        for line in lines
        if line.calibrates and line.samples.shape == shape and line.slice in slices
    ]
    n_coils, n_slices = shape[0], len(slices)
    used = [*imaging, *calibration]
    center, notes = _center(used, columns, columns // 2 if said.center is None else said.center)
    notes += _acceleration(path, used, columns, said)

    kspace = np.zeros((n_slices, n_coils, rows, columns), np.complex64)
    counts = np.zeros((n_slices, columns), int)
    beyond, missing_rows = set(), 0
    for group in (imaging, calibration):
        taken = counts > 0  # by the image, between whose lines those that calibrate go
        for line in group:
            place, length = slices[line.slice], line.samples.shape[1]
            # a partial echo starts after the first row; a whole one fills all
            first = 0 if length == rows else rows // 2 - line.center_sample
            column = line.number + columns // 2 - center
            fits = 0 <= first <= rows - length and len(line.samples) == n_coils
            overshoot = max(-column, column - columns + 1)
            if group is calibration:
                if not fits or overshoot > 0 or taken[place, column]:
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
            kspace[place, :, first : first + length, column] += line.samples
            counts[place, column] += 1
            missing_rows = max(missing_rows, first, rows - first - length)
    sampled = np.asarray((counts > 0).any(axis=0))
    if not sampled.any() or not counts[:, sampled].all():
        raise InputError(
            f"{path}: the slices have different phase encodings; is the acquisition complete?"
        )
    notes += _averages(path, imaging, said)
    kspace /= np.maximum(counts, 1)[:, None, None]
    if beyond:
        notes.append(
            f"{len(beyond)} lines beyond the header's matrix of {columns} lines are left out (of "
            f"numbers {_span(imaging)}, with the centre at {center})"
        )
    if missing_rows:
        notes.append(f"asymmetric echo: {missing_rows} of {rows} rows were not measured")
    low, high = np.flatnonzero(sampled)[[0, -1]]
    before, after = columns // 2 - low, high - columns // 2
    if abs(before - after) > max(columns // 16, regular_step(np.flatnonzero(sampled)) or 1):
        notes.append(f"partial Fourier: columns {low} to {high} of {columns} were measured")
    return kspace, sampled, notes


def slice_numbers(lines: Sequence[Line]) -> list[int]:
    """The numbers of the image's slices, from any origin, in order."""
    return sorted({line.slice for line in lines if not line.calibrates})


def _averages(path: Path, imaging: Sequence[Line], said: Said) -> list[str]:
    """What is averaged; an error where lines that were measured again may be other images."""
    repeats: dict[tuple[int, int, bool], list[int]] = {}
    for line in imaging:
        repeats.setdefault((line.slice, line.number, line.both), []).append(line.average)
    most = max(map(len, repeats.values()))
    if most == 1:
        return []
    labelled = all(len(set(averages)) == len(averages) for averages in repeats.values())
    named = said.averages >= most
    several = words(said.several)
    if (labelled and named) if several else (labelled or named):
        return [f"lines that were measured up to {most} times are averaged"]
    lists = f", and the header lists several images ({', '.join(said.several)})"
    raise InputError(
        f"{path}: lines were measured up to {most} times{lists if several else ''}, but no counter "
        "says which image they belong to, and neither counters nor header call all of them "
        "averages: number them as contrast (echo), phase, repetition or set, and choose one, such "
        "as contrast 0; or number them as averages of one image"
    )


def _acceleration(path: Path, lines: Sequence[Line], columns: int, said: Said) -> list[str]:
    """How the lines' acceleration contradicts the header's; an error where it is left open."""
    numbers = np.unique([line.number for line in lines])
    consecutive = len(numbers) == numbers[-1] - numbers[0] + 1
    if said.acceleration is None or len(numbers) == 1:
        return []
    if consecutive and 1 < said.acceleration <= 1.1 * columns / len(numbers):
        raise InputError(
            f"{path}: the header's {columns} lines are accelerated by {said.acceleration}, but the "
            f"{len(numbers)} lines are numbered one after another ({_span(lines)}), so that their "
            f"places are unknown: number every line by its place (kspace_encode_step_1 in steps of "
            f"{said.acceleration}), or remove the acceleration from the header"
        )
    step = 1 if consecutive else regular_step(numbers)
    if step in (None, said.acceleration):
        return []
    return [
        f"the header's acceleration is {said.acceleration}, that of the lines' numbers {step}, "
        "which is taken"
    ]


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
    said: Said,
    places: Mapping[int, Placement],
    thickness_mm: float,
    acquisition: str,
    notes: Sequence[str],
) -> Scan:
    """Make a volume of lines: slices in the order in which they lie, and their geometry."""
    matrix, lines, of_matrix = measured_matrix(lines, sizes, said)
    kspace, sampled, more = sort_lines(path, lines, matrix.rows, matrix.columns, said)
    refuse_wrong_axes(path, kspace)
    first, end = (int(place) for place in np.flatnonzero(sampled)[[0, -1]] + [0, 1])
    placements = [places.get(number) for number in slice_numbers(lines)]
    order = slice_order(placements)
    if order != sorted(order):
        kspace = kspace[order]
        more.append("slices are sorted by their position")
    size = (matrix.height, matrix.width)
    pixel, affine = None, None
    if matrix.pixel_height is not None and matrix.pixel_width is not None:
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
    if not all(abs(np.linalg.norm(vector) - 1) <= 1e-3 for vector in first[1:]):  # or NaN
        return None
    step = first.normal * thickness_mm
    if len(known) > 1:
        step = (last.position - first.position) / (len(known) - 1)
        if not np.linalg.norm(step) >= 1e-3:
            return None
    # the middle of the slice is the pixel of the Fourier transform's origin
    origin = [n // 2 - (n - size) // 2 for n, size in zip(kspace_size, recon_size, strict=True)]
    down, across = first.read * pixel_mm[0], first.phase * pixel_mm[1]
    corner = first.position - down * origin[0] - across * origin[1]
    affine = np.eye(4)
    affine[:3] = np.stack([down, across, step, corner], axis=1)
    affine[:2] *= -1  # left, posterior to right, anterior
    return affine if np.isfinite(affine).all() else None
