"""Whether k-space lies as fastMRI expects it: phase encodings in columns, centre in the middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.header import HeaderInfo

_SWAP = "swap the two last axes of the k-space, kspace.swapaxes(-2, -1)"
GAPS = 0.1  # this part of the samples between the first and last of a column may be 0
FILLED = 0.6  # of rows and columns with samples; elliptical sampling fills four fifths
WINDOW = 16  # energy is compared within an axis / WINDOW to both sides
CONCENTRATED = 0.6  # of the energy is within the window around the centre of k-space, if known
SMALLEST = 16  # rows and columns of a matrix, where no header says them
ROLLED = 0.2  # this part of the energy correlates negatively where an image is rolled by half
STRONGER = 10  # times more energy than in the middle, where the centre is elsewhere


def refuse_wrong_axes(path: Path, kspace: npt.NDArray, header: HeaderInfo | None = None) -> None:
    """Raise what `inspect_axes` says of (slices, [coils,] rows, columns), by its middle slice.

    Of volumes whose middle is zero it is the next slice with a signal.
    """
    middle = len(kspace) // 2
    order = sorted(range(len(kspace)), key=lambda i: abs(i - middle))
    shown = next((i for i in order if kspace[i].any()), middle)
    said = inspect_axes(kspace[shown], header)
    if said is not None:
        raise InputError(f"{path}: {said}")


def refuse_wrong_order(path: Path, shape: tuple[int, ...], header: HeaderInfo) -> None:
    """Raise where rows and columns are not the last axes of k-space, by the header's sizes."""
    sizes = {header.encoded, header.encoded[::-1]}
    if shape[-2:] not in sizes and any(shape[i : i + 2] in sizes for i in range(len(shape) - 2)):
        raise InputError(
            f"{path}: k-space of shape {shape}, but the header's matrix has {header.encoded[0]} "
            f"rows and {header.encoded[1]} columns, which are the last two axes in fastMRI's "
            "order (slices, [coils,] rows, columns): transpose the k-space, or correct the header"
        )


def refuse_coils_last(path: Path, shape: tuple[int, ...], remedy: str) -> None:
    """Raise where the last two axes are too few for a matrix, or for the coils before them.

    Such are arrays of coils last, (slices, rows, columns, coils), and BART's order.
    """
    fewest = min(shape[-2:])
    coils = shape[-3] if len(shape) == 4 else 0
    if fewest < min(SMALLEST, max(shape[:-2], default=0)) or fewest < coils:
        raise InputError(
            f"{path}: k-space of shape {shape}; expected (slices, [coils,] rows, columns), but the "
            f"last axes are no rows and columns: {remedy}"
        )


def inspect_axes(kspace: npt.NDArray, header: HeaderInfo | None = None) -> str | None:
    """Say what is wrong with the axes of k-space, by its sizes, its zeros and its energy.

    Sizes are compared with the header's matrix: rows and columns may have changed places. Zeros
    between the samples of a column are undersampled rows. The energy of MR data is concentrated
    around the centre of k-space, which is expected in the middle. Nothing is said where the data
    leave it open: fully sampled square matrices, noise, a centre within an eighth of the middle.

    Args:
        kspace: One slice or a few, (..., rows, columns) complex.
        header: What the file's header says, if it has one.

    Returns:
        What is wrong and what to do about it, in one sentence; None if nothing is.

    Example:
        >>> image = np.random.default_rng(0).random((64, 48))
        >>> inspect_axes(np.fft.fftshift(np.fft.fft2(image)))  # None
        >>> inspect_axes(np.fft.fft2(image)).partition(",")[0]
        'the centre of k-space is in row 0 and column 0 of 64 x 48'
    """
    rows, columns = kspace.shape[-2:]
    flat = kspace.reshape(-1, rows, columns)
    filled = np.asarray((flat != 0).any(axis=0))
    if not filled.any():
        return None
    with np.errstate(all="ignore"):  # Inf, which is refused elsewhere
        energy = (np.abs(flat).astype(np.float64) ** 2).sum(axis=0)
    return (
        (None if header is None else _swapped(filled, header))
        or _undersampled_rows(filled, flat)
        or _off_centre(energy)
    )


def rolled_by_half(kspace: npt.NDArray) -> bool:
    """Whether the image of (..., rows, columns) is rolled by half its size, in both directions.

    Neighbouring samples of k-space then have opposite signs in the mean, since their correlation is
    the image's energy, seen as a density, by its first harmonic.
    """
    found = []
    for axis in (-2, -1):
        rest, size = np.moveaxis(kspace, axis, -1), kspace.shape[axis]
        correlation = (rest[..., 1:] * rest[..., :-1].conj()).sum(dtype=np.complex128)
        energy = (np.abs(rest) ** 2).sum(dtype=np.float64) * (size - 1) / size
        found.append(correlation.real / energy if energy > 0 else 0.0)
    return max(found) < -ROLLED


def _swapped(filled: npt.NDArray[np.bool_], header: HeaderInfo) -> str | None:
    """Rows in the place of columns, by the header."""
    rows, columns = filled.shape
    encoded_rows, encoded_columns = header.encoded
    lengths = (encoded_rows, header.recon[0])  # of readouts, with or without oversampling
    turned = rows == encoded_columns and columns in lengths and rows not in lengths
    if turned or (rows != columns and (columns, rows) == header.encoded):
        return (
            f"k-space of {rows} rows and {columns} columns, but the header's matrix has "
            f"{encoded_rows} rows (readout) and {encoded_columns} columns (phase encodings): "
            f"{_SWAP}, or correct the header"
        )
    # of square matrices rows may be empty where the header says that columns are
    first, end = header.acquired
    places = np.arange(columns)
    outside = (places < first) | (places >= end)
    if (
        rows == columns == encoded_columns
        and outside.any()
        and filled[:, outside].any(axis=0).all()
        and not filled[outside].any()
    ):
        return (
            f"by the header only columns {first} to {end - 1} of {columns} were measured, but all "
            f"columns of the k-space are filled, and only rows {first} to {end - 1}: {_SWAP}, or "
            "correct the header"
        )
    return None


def _undersampled_rows(filled: npt.NDArray[np.bool_], flat: npt.NDArray) -> str | None:
    """Zeros between the samples of a column, which a readout does not leave."""
    inside = filled[filled.any(axis=1)][:, filled.any(axis=0)]
    columns = filled[:, filled.any(axis=0)]
    span = np.maximum.accumulate(columns) & np.maximum.accumulate(columns[::-1])[::-1]
    gaps = 1 - columns.sum() / span.sum()
    if (gaps <= GAPS or _is_quantised(flat)) and inside.mean() >= FILLED:
        return None
    if inside.all() and filled.any(axis=0).all():
        return (
            f"only {len(inside)} of {len(filled)} rows are sampled, but all columns: rows are the "
            f"readout here, columns the phase encodings: {_SWAP}"
        )
    (top, *_, bottom), (left, *_, right) = (
        np.flatnonzero(filled.any(axis=axis)).tolist() * 2 for axis in (1, 0)
    )
    part = filled[top : bottom + 1, left : right + 1].mean()
    return (
        f"only {part:.0%} of the k-space is sampled, in two dimensions (such "
        "as Poisson-disc, or every second row and column), but the masks here are columns: use "
        "fully sampled volumes, or reconstruct this one elsewhere (mrpro, sigpy, torchkbnufft)"
    )


def _is_quantised(flat: npt.NDArray) -> bool:
    """Whether zeros are rounded values: then one part of a sample is 0 as often as both are."""
    real, imaginary = flat.real == 0, flat.imag == 0
    one = min(int((real & ~imaginary).sum()), int((imaginary & ~real).sum()))
    return 4 * one > int((real & imaginary).sum())


def _off_centre(energy: npt.NDArray[np.float64]) -> str | None:
    """The centre of k-space far from the middle."""
    rows, columns = energy.shape
    found = [_centre(energy.sum(axis=1 - axis)) for axis in (0, 1)]
    if found == [rows // 2, columns // 2]:
        return None
    return (
        f"the centre of k-space is in row {found[0]} and column {found[1]} of {rows} x {columns}, "
        f"by its energy; expected row {rows // 2} and column {columns // 2}, as "
        "np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image))) has it: shift it, and fill what "
        "was not measured with zeros (of arrays: give convention plain, for np.fft.fft2(image))"
    )


def _centre(profile: npt.NDArray[np.float64]) -> int:
    """Where most of the energy along an axis is; the middle if that is not clear."""
    size = len(profile)
    half = max(size // WINDOW, 1)
    around = np.convolve(np.pad(profile, half, mode="wrap"), np.ones(2 * half + 1), "valid")
    place, middle = int(np.argmax(around)), size // 2
    clear = around[place] > max(CONCENTRATED * profile.sum(), STRONGER * around[middle])
    if not clear or abs(place - middle) <= 2 * half:
        return middle
    near = np.arange(place - half, place + half + 1) % size
    return int(near[np.argmax(profile[near])])
