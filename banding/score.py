"""The command `python -m banding.score FOLDER ...`: score and energy of bands, and SSIM."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from banding.metrics import banding_energies, score_of_energies
from fastmri_clgnet import cli
from fastmri_clgnet.errors import InputError, failure, words
from fastmri_clgnet.evaluate import print_and_save
from fastmri_clgnet.evaluation.evaluate import Evaluation, check_bootstrap, folder_labels
from fastmri_clgnet.evaluation.metrics import read_images, ssim_of_slices
from fastmri_clgnet.evaluation.results import VolumeMetrics
from fastmri_clgnet.evaluation.statistics import summarise_methods
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.formats.hdf5 import open_hdf5, plain
from fastmri_clgnet.parallel import map_files
from fastmri_clgnet.tables import format_table, format_value

KEYS = ("reconstruction", *TARGET_KEYS.values())
MEANING = (
    "Score 0 with energy 1 is as in the reference. Score 0 with more energy means noise, or bands "
    "in both directions. With less energy, regions of low signal were smoothed."
)


@dataclass(frozen=True)
class BandingScores(Evaluation):
    """Scores of reconstructions; `str()` gives the tables that the command prints.

    Example:
        >>> print(BandingScores({}, ["OUT"], [], {}, {}, failures=["OUT/a.h5: no such file"]))
        No volume could be evaluated.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "score": "banding score", "energy": "energy", "SSIM": "SSIM",
    }  # fmt: skip

    def __str__(self) -> str:
        if not self.volumes:
            return super().__str__()
        rows = [["file", "method", *self.columns.values()]]
        for one in sorted(self.volumes, key=lambda one: one.file):
            values = [format_value(text, one.values[name]) for name, text in self.columns.items()]
            rows.append([one.file, one.method, *values])
        parts = [format_table(rows, n_left=2), super().__str__(), MEANING]
        for method in self.methods:
            own = [one for one in self.volumes if one.method == method]
            if left := [one.file for one in own if math.isnan(one.values["score"])]:
                parts.append(
                    f"Left out of the means of {method}, {len(left)} of {len(own)} volumes without "
                    f"a window of low signal: {words(left)}"
                )
        return "\n\n".join(parts)


def images_of(path: Path) -> npt.NDArray[np.float32]:
    """Read the images of a submission or fastMRI file, (slices, height, width)."""
    if not path.exists():
        raise InputError(f"{path}: no such file; expected one of this name in every folder")
    with open_hdf5(path) as file:
        key = next((key for key in KEYS if key in file), None)
        if key is None:
            raise InputError(f"{path}: expected one of {', '.join(KEYS)}, got {', '.join(file)}")
    return read_images(path, key)


def measure(
    images: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]
) -> dict[str, float]:
    """Measure the score, and the energy relative to the reference's; NaN if nothing was measured.

    The reference defines where the signal is low.

    Raises a `ValueError` if shapes differ or an image is smaller than a window.
    """
    target = torch.from_numpy(reference)
    energies = banding_energies(torch.from_numpy(images), target)
    whole = float(sum(banding_energies(target, target)))
    energy = float(sum(energies)) / whole if whole > 0 else math.nan
    return {"score": score_of_energies(*energies), "energy": energy}


def _score_one(job: tuple[str, Path, Path, bool]) -> VolumeMetrics | str:
    """Return the scores of one file, or the message of its error."""
    method, path, reference_path, has_target = job
    try:
        images, reference = images_of(path), images_of(reference_path)
        values, slice_ssim = measure(images, reference), [math.nan] * len(images)
        if has_target:
            slice_ssim = ssim_of_slices(reference, images)
        with open_hdf5(reference_path) as file:
            acquisition = str(plain(file.attrs.get("acquisition", "unknown")))
    except Exception as error:
        return failure(path, error)
    values["SSIM"] = float(np.mean(slice_ssim))
    return VolumeMetrics(method, path.name, acquisition, values, slice_ssim)


def scores(
    folders: Sequence[Path | str],
    *,
    target_path: Path | str | None = None,
    labels: list[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    num_processes: int = 1,
) -> BandingScores:
    """Measure the bands of reconstructions where the signal is low: score, energy and SSIM.

    The score is 0 without bands. Bands along the readout move it towards 1, bands along the phase
    encoding towards -1. It is NaN if no window has low signal. If the score is near 0, the energy
    tells whether there are no bands or bands in both directions. Means have bootstrap intervals
    over volumes; all other folders are compared with the first, volume by volume. Files that
    cannot be used are named, and the others are measured.

    Args:
        folders: Folders of submission files, or of fastMRI files with targets, such as before and
            after a fine-tuning.
        target_path: Folder of the fully sampled volumes of the same names, which define where the
            signal is low, and whose energy is 1. By default the first folder takes their place.
        labels: Names of the folders; by default the parts of their paths that differ.
        confidence: Level of the intervals.
        resamples: Bootstrap samples.
        seed: Seed of the bootstrap.
        num_processes: Processes that share the files.

    Returns:
        Scores of the volumes, means and differences, and what is wrong with the other files.

    Example:
        >>> import fastmri
        >>> import numpy as np
        >>> image = np.random.default_rng(0).random((2, 48, 48), np.float32)
        >>> image[:, :16, :16] += 100  # the signal is low elsewhere
        >>> bands = np.arange(48) % 2
        >>> fastmri.save_reconstructions({"a.h5": image + bands}, Path("BEFORE"))
        >>> fastmri.save_reconstructions({"a.h5": image}, Path("AFTER"))
        >>> found = scores(["BEFORE", "AFTER"])
        >>> round(found.summaries["all"]["BEFORE"]["score"].mean, 1)
        1.0
        >>> found.differences["all"]["AFTER"]["energy"].mean < -0.9
        True

    Raises:
        InputError: If there are no files, or the labels do not fit.
    """
    settings = dict(locals())
    check_bootstrap(confidence, resamples, seed, num_processes)
    paths = [Path(folder) for folder in folders]
    names = folder_labels(paths, labels)
    files = sorted(path.name for path in paths[0].glob("*.h5"))
    if not files:
        raise InputError(f"{paths[0]}: no *.h5 files; expected a folder of reconstructions")
    reference = paths[0] if target_path is None else Path(target_path)
    jobs = [
        (name, path / file, reference / file, target_path is not None)
        for name, path in zip(names, paths, strict=True)
        for file in files
    ]
    results = map_files(_score_one, jobs, num_processes, "Scoring")
    volumes = [each for each in results if isinstance(each, VolumeMetrics)]
    failures = list(dict.fromkeys(each for each in results if isinstance(each, str)))
    summaries, differences = summarise_methods(volumes, names, confidence, resamples, seed)
    return BandingScores(settings, names, volumes, summaries, differences, failures)


main = partial(
    cli.run, scores, positional=["folders"], prog="python -m banding.score", then=print_and_save
)


if __name__ == "__main__":
    sys.exit(main())
