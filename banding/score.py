"""The command `python -m banding.score FOLDER`: the banding score of every reconstruction."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from banding.metrics import banding_score
from fastmri_clgnet import cli
from fastmri_clgnet.errors import InputError, failure
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.formats.hdf5 import get_dataset, open_hdf5
from fastmri_clgnet.formats.number_types import as_float32, is_real
from fastmri_clgnet.tables import format_table

KEYS = ("reconstruction", *TARGET_KEYS.values())


def read_images(path: Path) -> torch.Tensor:
    """Read the images of a submission or fastMRI file, (slices, height, width) float32."""
    with open_hdf5(path) as file:
        for key in KEYS:
            images = get_dataset(file, key, path)
            if images is not None and is_real(images.dtype):
                values = as_float32(images[()])
                if not np.isfinite(values).all():
                    raise InputError(f"{path}: {key} holds NaN or Inf")
                return torch.from_numpy(values)
        raise InputError(
            f"{path}: expected real images, one of {', '.join(KEYS)}, got {', '.join(file)}"
        )


@dataclass(frozen=True)
class Scores:
    """The banding scores of a folder; printed, a row for each volume, and the mean.

    Args:
        values: Scores by file name.
        failures: What is wrong with the files that could not be measured.

    Example:
        >>> print(Scores({"a.h5": 0.25}, []))
        a.h5   0.2500
        mean   0.2500
    """

    values: dict[str, float]
    failures: list[str]

    def __str__(self) -> str:
        if not self.values:
            return "Nothing was measured."
        rows = {**self.values, "mean": sum(self.values.values()) / len(self.values)}
        return format_table([[name, f"{score:7.4f}"] for name, score in rows.items()])


def scores(folder: Path, target_path: Path | None = None) -> Scores:
    """Measure the banding score of every volume of a folder.

    It is 0 without bands. Bands along the readout move it towards 1, bands along the phase encoding
    towards -1. Files that cannot be used are named, and the others are measured.

    Args:
        folder: Folder of submission files, such as reconstructions_val, or of fastMRI files with
            targets.
        target_path: Folder of the fully sampled volumes of the same names, which define where the
            signal is low. By default the reconstructions themselves define it.

    Returns:
        The scores, and what is wrong with the other files.

    Raises:
        InputError: If there are no files.
    """
    paths = sorted(folder.glob("*.h5"))
    if not paths:
        raise InputError(f"{folder}: no *.h5 files; expected a folder of reconstructions")
    found, failures = {}, []
    for path in tqdm(paths, "Measuring", unit="volume", delay=2, leave=False):
        try:
            reference = None if target_path is None else read_images(target_path / path.name)
            found[path.name] = banding_score(read_images(path), reference)
        except Exception as error:
            failures.append(failure(path, error))
    return Scores(found, failures)


main = partial(cli.run, scores, positional=["folder"], prog="python -m banding.score")


if __name__ == "__main__":
    sys.exit(main())
