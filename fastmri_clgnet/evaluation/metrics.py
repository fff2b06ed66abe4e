"""fastMRI's metrics for every volume in folders of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from fastmri.evaluate import METRIC_FUNCS

from fastmri_clgnet.errors import InputError, failure
from fastmri_clgnet.evaluation.measures import MEASURES
from fastmri_clgnet.evaluation.residual import relative_residuals
from fastmri_clgnet.evaluation.results import (
    COLUMNS,
    OF_SLICES,
    Convention,
    Metric,
    VolumeMetrics,
)
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.formats.hdf5 import get_dataset, open_hdf5
from fastmri_clgnet.formats.number_types import as_float32, is_real
from fastmri_clgnet.parallel import map_files
from fastmri_clgnet.slice_quality import MIN_SSIM_SIZE, slice_quality, squares


def read_images(path: Path, key: str) -> npt.NDArray[np.float32]:
    """Read the images of a file, (slices, height, width); raise an `InputError` if not finite."""
    with open_hdf5(path) as file:
        stored = get_dataset(file, key, path)
        if stored is None:
            keys = ", ".join(sorted(file)) or "nothing"
            hint = ""
            if {*TARGET_KEYS.values()} & {*file}:
                other = key in TARGET_KEYS.values()
                hint = "; is the challenge right?" if other else "; expected a submission file"
            raise InputError(f"{path}: no '{key}' (the file holds: {keys}){hint}")
        if stored.ndim != 3 or 0 in stored.shape or not is_real(stored.dtype):
            raise InputError(
                f"{path}: expected {key} (slices, height, width) of real numbers, got "
                f"{stored.shape} {stored.dtype}"
            )
        images = as_float32(stored[()])
    if not np.isfinite(images).all():
        raise InputError(f"{path}: {key} holds NaN or Inf")
    return images


def read_pair(
    target_path: Path, prediction_path: Path, challenge: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Read a reference and its reconstruction, cropped to (slices, width, width) as in fastMRI."""
    if not prediction_path.exists():
        raise InputError(
            f"{prediction_path}: no such file; expected one file per reference, of the same name"
        )
    target = read_images(target_path, TARGET_KEYS[challenge])
    prediction = read_images(prediction_path, "reconstruction")
    if not target.any():
        raise InputError(
            f"{target_path}: the reference is zero everywhere, but the metrics are relative to its "
            "energy and its largest value; remove this volume from the folder"
        )
    width = target.shape[-1]
    if target.shape[-2] < width:
        raise InputError(
            f"{target_path}: images of {target.shape[-2]} x {width} pixels cannot be cropped to "
            "squares of their width, as fastMRI's evaluation does"
        )
    if width < MIN_SSIM_SIZE:
        raise InputError(
            f"{target_path}: images {width} pixels wide, which fastMRI's SSIM cannot compare; it "
            f"needs {MIN_SSIM_SIZE}"
        )
    if len(prediction) != len(target) or min(prediction.shape[-2:]) < width:
        raise InputError(
            f"{prediction_path}: reconstruction {prediction.shape} does not fit the reference "
            f"{target.shape}: expected {len(target)} slices of {width} x {width} pixels or more, "
            "to which fastMRI's evaluation crops both; it cannot compare volumes whose k-space has "
            "fewer columns than the reference (FLAIR 203)"
        )
    return squares(target, prediction)


def ssim_of_slices(
    target: npt.NDArray[np.float32], prediction: npt.NDArray[np.float32]
) -> list[float]:
    """Compute the SSIM of a volume's slices; the host's SSIM of the volume is their mean."""
    target, prediction = squares(target, prediction)
    maximum = target.max()
    return [slice_quality(*pair, maximum)[1] for pair in zip(target, prediction, strict=True)]


def volume_metrics(
    target: npt.NDArray[np.float32], prediction: npt.NDArray[np.float32]
) -> tuple[dict[str, float], list[float]]:
    """Compute the host's metrics of a volume (slices, height, width), and its slices' SSIM."""
    target, prediction = squares(target, prediction)
    ssim = ssim_of_slices(target, prediction)
    with np.errstate(divide="ignore"):  # a perfect image has infinite PSNR
        values = {
            name: float(np.mean(ssim)) if name == "SSIM" else float(function(target, prediction))
            for name, function in METRIC_FUNCS.items()
        }
    return values, ssim


def slice_metric(
    name: str, target: npt.NDArray[np.float32], prediction: npt.NDArray[np.float32]
) -> float:
    """Mean of a metric over slices, each a volume of its own; those without signal are left out."""
    pairs = [(t[None], p[None]) for t, p in zip(target, prediction, strict=True) if t.any()]
    with np.errstate(divide="ignore"):  # a perfect image has infinite PSNR
        return float(np.mean([MEASURES[name](*pair) for pair in pairs]))


class Job(NamedTuple):
    """One reconstructed volume, and what to measure."""

    target: Path
    acquisition: str
    method: str
    folder: Path  # of the predictions
    challenge: str
    metrics: Sequence[Metric]
    convention: Convention


def _evaluate_one(job: Job) -> VolumeMetrics | str:
    """Return the metrics of one file, or the message of its error."""
    prediction = job.folder / job.target.name
    try:
        pair = read_pair(job.target, prediction, job.challenge)
        known, slice_ssim = volume_metrics(*pair)
        if "residual" in job.metrics:
            images = read_images(prediction, "reconstruction")
            both = relative_residuals(job.target, prediction, images)
            known |= zip(("residual", f"{OF_SLICES}residual"), both, strict=True)
        names = ["MSE", *(name for one in job.metrics for name in COLUMNS if name.lower() == one)]
        values: dict[str, float] = {}
        if job.convention != "slice":
            values |= {n: known[n] if n in known else MEASURES[n](*pair) for n in names}
        if job.convention != "fastmri":
            for name in names:
                key = OF_SLICES + name
                values[key] = known[key] if key in known else slice_metric(name, *pair)
        return VolumeMetrics(job.method, job.target.name, job.acquisition, values, slice_ssim)
    except Exception as error:
        return failure(prediction, error)


def evaluate_folders(
    targets: Mapping[Path, str],
    predictions: Mapping[str, Path],
    challenge: str,
    num_processes: int,
    metrics: Sequence[Metric],
    convention: Convention,
) -> tuple[list[VolumeMetrics], list[str]]:
    """Compute the metrics of every reference for every method, in several processes.

    Args:
        targets: Acquisition of each reference, by its file.
        predictions: Folder of each method's submission files, by its label.
        challenge: Kind of data.
        num_processes: Processes that share the files.
        metrics: What to measure, beside the MSE.
        convention: Of volumes or of slices.

    Returns:
        The metrics, and one message for each file that cannot be evaluated.
    """
    jobs = [
        Job(target, name, method, folder, challenge, metrics, convention)
        for method, folder in predictions.items()
        for target, name in targets.items()
    ]
    results = map_files(_evaluate_one, jobs, num_processes, "Evaluating")
    volumes = [result for result in results if isinstance(result, VolumeMetrics)]
    return volumes, [result for result in results if isinstance(result, str)]
