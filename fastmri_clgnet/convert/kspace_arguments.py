"""Flags that the sources of plain k-space arrays share."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastmri_clgnet.convert.conventions import NORMS
from fastmri_clgnet.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the FFT's normalisation and the size of the image."""
    parser.add_argument(
        "--norm",
        choices=NORMS,
        default="ortho",
        help="normalisation of the FFT, in NumPy's words: settles the scale of the images",
    )
    parser.add_argument(
        "--recon_size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="pixels of the image, cut from the middle, such as half the rows where the readout "
        "(down the rows) was oversampled twice; by default the rows and columns of the k-space",
    )


def chosen_size(path: Path, args: argparse.Namespace, rows: int, columns: int) -> tuple[int, int]:
    """The size of the image that --recon_size asks for.

    Args:
        path: The file, for the error.
        args: With recon_size.
        rows: Of the k-space.
        columns: Of the k-space.

    Returns:
        Height and width.

    Raises:
        InputError: If it does not fit.
    """
    height, width = args.recon_size or (rows, columns)
    if not (0 < height <= rows and 0 < width <= columns):
        raise InputError(
            f"{path}: --recon_size {height} {width} does not fit into k-space of {rows} rows and "
            f"{columns} columns"
        )
    return height, width
