"""NIfTI volumes of magnitude images: their k-space is simulated, and said to be."""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import numpy as np

from fastmri_clgnet.convert import simulate
from fastmri_clgnet.convert.numpy_arrays import not_negative
from fastmri_clgnet.convert.volume import Source, Volume
from fastmri_clgnet.errors import InputError

# axes of (right, anterior, superior) that are slices, rows and columns
PLANES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this source."""
    parser.add_argument(
        "--plane",
        choices=tuple(PLANES),
        default="axial",
        help="of the slices, by the file's orientation",
    )
    simulate.add_arguments(parser)


def read(path: Path, name: str, args: argparse.Namespace) -> Volume:
    """Read one volume and simulate its k-space.

    Slices are shown as radiologists do: anterior or superior up, the patient's right on the left.

    Args:
        path: `.nii` or `.nii.gz`.
        name: The volume's name, which seeds the simulation.
        args: All flags.

    Returns:
        The volume, with attributes that say what was simulated.

    Raises:
        InputError: If it is not one volume of magnitude images, or nibabel is not installed.
    """
    try:
        import nibabel
        from nibabel.filebasedimages import ImageFileError
    except ImportError as error:
        raise InputError(
            "NIfTI files need nibabel: pip install 'fastmri_clgnet[nifti]', or pip install nibabel"
        ) from error
    try:
        image = nibabel.as_closest_canonical(nibabel.load(path))
        values = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError) as error:
        raise InputError(f"{path}: not a NIfTI file that can be read ({error})") from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    numbers = np.issubdtype(values.dtype, np.number) and not np.iscomplexobj(values)
    if values.ndim != 3 or 0 in values.shape or not numbers:
        raise InputError(
            f"{path}: expected one volume of magnitude images, got {values.shape} {values.dtype}"
        )
    axes = PLANES[args.plane]
    slices = values.transpose(axes)[:, ::-1, ::-1]
    kspace, attributes = simulate.simulate_kspace(not_negative(path, slices), name, args)
    pixel = [float(image.header.get_zooms()[axis]) for axis in axes]
    size = (slices.shape[1], slices.shape[2])
    return Volume(kspace, size, pixel_mm=(pixel[1], pixel[2]), attributes=attributes)


SOURCE = Source(
    "NIfTI volumes of magnitude images, with simulated phase and noise",
    (".nii", ".nii.gz"),
    add_arguments,
    read,
)
