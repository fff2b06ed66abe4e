"""NumPy arrays, `.npy` and `.npz`: k-space or images, their axes named on the command line."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import fastmri
import numpy as np
import numpy.typing as npt
from fastmri.data.transforms import tensor_to_complex_np, to_tensor

from fastmri_clgnet.convert import kspace_arguments, simulate
from fastmri_clgnet.convert.conventions import CONVENTIONS, to_fastmri
from fastmri_clgnet.convert.volume import Source, Volume, sampled_columns
from fastmri_clgnet.errors import InputError, words

AXES = ("slice", "coil", "row", "column", "complex")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this source."""
    parser.add_argument(
        "--axes",
        nargs="+",
        choices=AXES,
        required=True,
        help="the array's axes in their order; rows are the readout, columns the phase encodings, "
        "complex is an axis of two, real and imaginary part. Without 'slice' a file is one slice, "
        "without 'coil' the data is single-coil",
    )
    parser.add_argument(
        "--kind",
        choices=("kspace", "image"),
        default="kspace",
        help="complex images are transformed as they are; magnitude images get a simulated phase "
        "and noise",
    )
    parser.add_argument(
        "--convention",
        choices=CONVENTIONS,
        default="centred",
        help="of k-space, in NumPy's words. centred: fftshift(fft2(ifftshift(image))), as fastMRI; "
        "plain: fft2(image), not centred; shifted: fftshift(fft2(image))",
    )
    parser.add_argument("--key", help="array of an .npz file; by default the only one, or 'kspace'")
    kspace_arguments.add_arguments(parser)
    simulate.add_arguments(parser)


def read(path: Path, name: str, args: argparse.Namespace) -> Volume:
    """Read one volume.

    Args:
        path: `.npy` or `.npz`.
        name: The volume's name, which seeds the simulation of magnitude images.
        args: All flags.

    Returns:
        The volume.

    Raises:
        InputError: If the array is not what the flags say.
    """
    array = in_order(path, load_array(path, args.key), args.axes)
    size = kspace_arguments.chosen_size(path, args, *array.shape[-2:])
    if args.kind == "kspace":
        if not np.iscomplexobj(array):
            raise InputError(
                f"{path}: k-space of type {array.dtype}; expected complex numbers, or an axis "
                "'complex' of real and imaginary parts (--kind image for images)"
            )
        kspace = to_fastmri(array, args.convention, args.norm)
        return Volume(kspace, size, sampled_columns(path, kspace))
    if np.iscomplexobj(array):
        kspace = np.empty(array.shape, np.complex64)
        for i, one in enumerate(array):
            transformed = fastmri.fft2c(to_tensor(one.astype(np.complex128)))
            kspace[i] = tensor_to_complex_np(transformed)
        return Volume(kspace, size, attributes={"source": "k-space of complex images"})
    if "coil" in args.axes:
        raise InputError(f"{path}: coil images without phase; expected complex ones")
    kspace, attributes = simulate.simulate_kspace(not_negative(path, array), name, args)
    return Volume(kspace, size, attributes=attributes)


def not_negative(path: Path, magnitude: npt.NDArray) -> npt.NDArray[np.float64]:
    """Check magnitude images; interpolation may have left them slightly below zero.

    Args:
        path: The file, for the error.
        magnitude: (slices, height, width).

    Returns:
        The same as float64, 0 where they were below.

    Raises:
        InputError: If a value is not finite, or further below 0 than 1 % of the largest.
    """
    magnitude = magnitude.astype(np.float64)
    if not np.isfinite(magnitude).all():
        raise InputError(f"{path}: the images hold NaN or Inf")
    if magnitude.max() <= 0 or magnitude.min() < -0.01 * magnitude.max():
        raise InputError(
            f"{path}: values from {magnitude.min():g} to {magnitude.max():g}; expected magnitude "
            "images, which are not negative (neither normalised to mean 0 nor CT)"
        )
    return magnitude.clip(min=0)


def in_order(path: Path, array: npt.NDArray, axes: list[str]) -> npt.NDArray:
    """Put an array's axes into fastMRI's order.

    Args:
        path: The file, for the error.
        array: With as many axes as are named.
        axes: Their names, of `AXES`.

    Returns:
        (slices, [coils,] rows, columns), complex if there is an axis 'complex'.

    Raises:
        InputError: If names and array do not fit.
    """
    if len(set(axes)) < len(axes) or not {"row", "column"} <= set(axes):
        raise InputError(f"--axes {words(axes)}: expected row and column, and each name once")
    if array.ndim != len(axes):
        raise InputError(
            f"{path}: an array of shape {array.shape} has {array.ndim} axes, but --axes "
            f"{words(axes)} names {len(axes)}"
        )
    array = array.transpose([axes.index(axis) for axis in AXES if axis in axes])
    if "complex" in axes:
        if array.shape[-1] != 2 or np.iscomplexobj(array):
            raise InputError(
                f"{path}: expected real numbers and an axis 'complex' of 2, got {array.shape[-1]} "
                f"and {array.dtype}"
            )
        array = array[..., 0] + 1j * array[..., 1]
    return array if "slice" in axes else array[None]


def load_array(path: Path, key: str | None = None) -> npt.NDArray:
    """Read an array, and never a pickle.

    Args:
        path: `.npy` or `.npz`.
        key: Which of an `.npz` file; by default the only one, or 'kspace'.

    Returns:
        The array.

    Raises:
        InputError: If it cannot be read, or is empty.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        array = loaded if isinstance(loaded, np.ndarray) else _member(path, loaded, key)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a NumPy array that can be read ({error})") from error
    if 0 in array.shape:
        raise InputError(f"{path}: an empty array, of shape {array.shape}")
    return array


def _member(path: Path, archive: np.lib.npyio.NpzFile, key: str | None) -> npt.NDArray:
    with archive:
        keys = list(archive)
        default = keys[0] if len(keys) == 1 else "kspace"
        if (key or default) not in keys:
            raise InputError(f"{path}: holds {words(keys)}; name one of them with --key")
        array: npt.NDArray = archive[key or default]
    return array


SOURCE = Source("NumPy arrays of k-space or images", (".npy", ".npz"), add_arguments, read)
