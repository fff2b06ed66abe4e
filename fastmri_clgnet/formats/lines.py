"""Lines of two-dimensional Cartesian k-space, as scanners write them, put in their places.

What is the same for every scanner's raw data: where the centre of k-space is, what was measured
twice, and which calibration lines belong to the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.header import Sizes
from fastmri_clgnet.formats.matrix import CENTRE_TOLERANCE, Line, Said, measured_matrix
from fastmri_clgnet.formats.orientation import refuse_wrong_axes
from fastmri_clgnet.formats.placement import Placement, image_affine, slice_order
from fastmri_clgnet.formats.scan import Scan, regular_step

GRIDDING = "grid and reconstruct it elsewhere (mrpro, sigpy, torchkbnufft)"
SIMULTANEOUS_SLICES = "several slices measured at once (multiband), which are not separated here"
THREE_DIMENSIONAL = "three-dimensional; expected slices with one phase-encoding direction"
OVERSHOOT = 8  # a line may lie this fraction, 1 / 8, of the matrix beyond its edge


Readout = TypeVar("Readout")


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
    notes += _acceleration(path, imaging, used, columns, said)

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


def _acceleration(
    path: Path, imaging: Sequence[Line], used: Sequence[Line], columns: int, said: Said
) -> list[str]:
    """How the lines' acceleration contradicts the header's; an error where it is left open.

    That is where the image's own lines are numbered one after another, wherever those that
    calibrate are.
    """
    numbers = np.unique([line.number for line in imaging])
    consecutive = len(numbers) == numbers[-1] - numbers[0] + 1
    if said.acceleration is None or len(numbers) == 1:
        return []
    if consecutive and 1 < said.acceleration <= 1.1 * columns / len(numbers):
        raise InputError(
            f"{path}: the header's {columns} lines are accelerated by {said.acceleration}, but the "
            f"{len(numbers)} lines are numbered one after another ({_span(imaging)}), so that "
            "their places are unknown: number every line by its place (kspace_encode_step_1 in "
            f"steps of {said.acceleration}), or remove the acceleration from the header"
        )
    numbers = np.unique([line.number for line in used])
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
    if any(0 in line.samples.shape for line in lines):
        raise InputError(f"{path}: holds readouts without samples; export the scan again")
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
