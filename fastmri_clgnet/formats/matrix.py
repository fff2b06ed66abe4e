"""The matrix that was measured, by what a header says and what the lines are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.formats.header import INTERPOLATED, Sizes, image_axis
from fastmri_clgnet.formats.orientation import STRONGER

CENTRE_TOLERANCE = 2  # lines or samples that the energy may peak beside the header's centre


class Line(NamedTuple):
    """One readout."""

    samples: npt.NDArray[np.complex64]  # (coils, samples)
    center_sample: int  # in which the echo is
    slice: int
    number: int  # of the phase encoding, from any origin
    calibrates: bool = False  # parallel imaging, and is no line of the image
    both: bool = False  # of the image, and calibrates parallel imaging
    average: int = 0


class Said(NamedTuple):
    """What a header says of the lines; None where it does not."""

    center: int | None = None  # the number of the central line
    end: int | None = None  # one past the last number
    acceleration: int | None = None  # of the phase encodings
    averages: int = 1  # of lines, or repetitions of one image
    several: tuple[str, ...] = ()  # images, such as "TE 5 10", that no counter separates


class Matrix(NamedTuple):
    """Sizes of k-space and image; pixels in millimetres, None if unknown."""

    rows: int
    columns: int
    height: int
    width: int
    pixel_height: float | None
    pixel_width: float | None


def measured_matrix(
    lines: Sequence[Line], sizes: Sizes, said: Said
) -> tuple[Matrix, list[Line], list[str]]:
    """The matrix that was measured, the lines with their echo, and where the header differs."""
    (rows, columns), (row_mm, column_mm), recon, recon_mm = sizes
    length = lines[0].samples.shape[1]
    lines, notes = _with_echo(lines, rows)
    if rows is None or rows > INTERPOLATED * length:
        read = _around(0, lines[0].center_sample, length)
        notes.append(f"the header has {rows or 'no'} rows: read as {read}, those of the readouts")
        rows = read
    numbers = [line.number for line in lines]
    first, end = min(numbers), max(numbers) + 1
    if columns is None or columns > INTERPOLATED * (end - first):
        read = _around(first, said.center, max(end, said.end or 0))
        notes.append(f"the header has {columns or 'no'} columns: read as {read}, by the lines")
        columns = read
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
    asked, recon = recon, (_sensible(recon[0], rows), _sensible(recon[1], columns))
    height, pixel_height = image_axis(rows, row_mm, recon[0], recon_mm[0])
    width, pixel_width = image_axis(columns, column_mm, recon[1], recon_mm[1])
    if None in recon:
        how = "as its field of view says" if all(recon_mm) else "as large as the matrix"
        has = "no size of the image"
        if recon != asked:
            size = " x ".join(str(n or "?") for n in asked)
            has = f"an image of {size} for a matrix of {rows} x {columns}"
        notes.append(f"the header has {has}: {height} x {width}, {how}")
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


def _sensible(pixels: int | None, encoded: int) -> int | None:
    """The image's size along an axis; None if it is more than scanners interpolate to."""
    return None if pixels is None or pixels > INTERPOLATED * encoded else pixels


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
