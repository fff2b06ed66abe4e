"""The command `python -m banding.score FOLDER`: the banding score of every reconstruction."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from banding.metrics import banding_score
from fastmri_clgnet import cli
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.formats.hdf5 import get_dataset, open_hdf5
from fastmri_clgnet.tables import format_table

KEYS = ("reconstruction", *TARGET_KEYS.values())


def read_images(path: Path) -> torch.Tensor:
    """The images of a submission or fastMRI file, (slices, height, width) float32."""
    with open_hdf5(path) as file:
        for key in KEYS:
            images = get_dataset(file, key, path)
            if images is not None:
                return torch.from_numpy(images[()]).float()
        raise InputError(f"{path}: expected one of {', '.join(KEYS)}, found {', '.join(file)}")


def scores(folder: Path, target_path: Path | None = None) -> dict[str, float]:
    """Measure the banding score of every volume of a folder.

    It is 0 for no bands, towards 1 for bands along the readout, towards -1 for bands along the
    phase encoding, and NaN where nothing is of low signal.

    Args:
        folder: Folder of submission files, such as reconstructions_val, or of fastMRI files with
            targets.
        target_path: Folder of the fully sampled volumes of the same names, which say where the
            signal is low. Default: the reconstructions say it themselves.

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


def print_scores(found: Mapping[str, float]) -> None:
    """Print a row for each volume, and the mean of those that could be measured."""
    measured = [score for score in found.values() if not math.isnan(score)]
    rows = {**found, "mean": sum(measured) / len(measured) if measured else math.nan}
    print(format_table([[name, f"{score:7.4f}"] for name, score in rows.items()]))
    if len(measured) < len(found):
        names = words(name for name, score in found.items() if math.isnan(score))
        print(f"Not in the mean, {len(found) - len(measured)} without low signal: {names}")


main = partial(
    cli.run, scores, positional=["folder"], prog="python -m banding.score", then=print_scores
)


if __name__ == "__main__":
    sys.exit(main())
