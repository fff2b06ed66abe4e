"""The command `python -m banding.score FOLDER`: the banding score of every reconstruction."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from banding.metrics import banding_score
from fastmri_clgnet.data.fastmri_file import TARGET_KEYS
from fastmri_clgnet.data.hdf5 import get_dataset, open_hdf5
from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.tables import format_table

KEYS = ("reconstruction", *TARGET_KEYS.values())


def read_images(path: Path) -> torch.Tensor:
    """Read the images of a submission file, or the reference images of a fastMRI file.

    Args:
        path: The HDF5 file.

    Returns:
        (slices, height, width) float32.

    Raises:
        InputError: If it is no such file.
    """
    with open_hdf5(path) as file:
        for key in KEYS:
            images = get_dataset(file, key, path)
            if images is not None:
                return torch.from_numpy(images[()]).float()
        raise InputError(f"{path}: expected one of {', '.join(KEYS)}, found {', '.join(file)}")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m banding.score",
        description="Print the banding score of every volume: 0 for none, towards 1 for bands "
        "along the readout, towards -1 for bands along the phase encoding.",
    )
    parser.add_argument(
        "folder",
        type=Path,
        help="Folder of submission files (reconstructions/*.h5) or of fastMRI files with targets.",
    )
    parser.add_argument(
        "--target-path",
        type=Path,
        default=None,
        help="Folder of the fully sampled volumes of the same names, which say where the signal is "
        "low. Default: the reconstructions say it themselves.",
    )
    return parser


def scores(folder: Path, target_path: Path | None = None) -> dict[str, float]:
    """Measure every volume of a folder.

    Args:
        folder: With HDF5 files of images.
        target_path: Folder of the references that say where the signal is low, if any.

    Returns:
        Scores by file name.

    Raises:
        InputError: If there are no files, or one cannot be used; names it.
    """
    paths = sorted(folder.glob("*.h5"))
    if not paths:
        raise InputError(f"{folder}: no *.h5 files; expected a folder of reconstructions")
    found = {}
    for path in tqdm(paths, "Measuring", unit="volume", delay=2, leave=False):
        reference = None if target_path is None else read_images(target_path / path.name)
        try:
            found[path.name] = banding_score(read_images(path), reference)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
    return found


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        The exit status: 0, or 1 after an error in the input.
    """
    args = build_parser().parse_args(argv)
    return exit_status(lambda: _print_scores(args))


def _print_scores(args: argparse.Namespace) -> int:
    """Print a row for each volume and the mean; gives the exit status."""
    found = scores(args.folder, args.target_path)
    found["mean"] = sum(found.values()) / len(found)
    print(format_table([[name, f"{score:7.4f}"] for name, score in found.items()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
