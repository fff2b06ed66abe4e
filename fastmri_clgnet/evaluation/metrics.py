"""fastMRI's metrics for every volume in folders of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fastmri.evaluate import METRIC_FUNCS

from fastmri_clgnet.errors import InputError, failure
from fastmri_clgnet.evaluation.results import VolumeMetrics
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.formats.hdf5 import get_dataset, open_hdf5
from fastmri_clgnet.formats.number_types import as_float32, is_real
from fastmri_clgnet.parallel import map_files
from fastmri_clgnet.slice_quality import MIN_SSIM_SIZE, slice_quality, squares


def _images(path: Path, key: str) -> npt.NDArray[np.float32]:
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
    target = _images(target_path, TARGET_KEYS[challenge])
    prediction = _images(prediction_path, "reconstruction")
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


def volume_metrics(
    target: npt.NDArray[np.float32], prediction: npt.NDArray[np.float32]
) -> tuple[dict[str, float], list[float]]:
    """Compute the host's metrics of a volume (slices, height, width), and its slices' SSIM."""
    target, prediction = squares(target, prediction)
    # the host's SSIM of a volume is the mean over its slices
    maximum = target.max()
    ssim = [slice_quality(*pair, maximum)[1] for pair in zip(target, prediction, strict=True)]
    values = {
        name: float(np.mean(ssim)) if name == "SSIM" else float(function(target, prediction))
        for name, function in METRIC_FUNCS.items()
    }
    return values, ssim


def _evaluate_one(job: tuple[Path, str, str, Path, str]) -> VolumeMetrics | str:
    """Return the metrics of one file, or the message of its error."""
    target, acquisition, method, folder, challenge = job
    try:
        pair = read_pair(target, folder / target.name, challenge)
        return VolumeMetrics(method, target.name, acquisition, *volume_metrics(*pair))
    except Exception as error:
        return failure(folder / target.name, error)


def evaluate_folders(
    targets: Mapping[Path, str],
    predictions: Mapping[str, Path],
    challenge: str,
    num_processes: int,
) -> tuple[list[VolumeMetrics], list[str]]:
    """Compute the metrics of every reference for every method, in several processes.

    Args:
        targets: Acquisition of each reference, by its file.
        predictions: Folder of each method's submission files, by its label.
        challenge: Kind of data.
        num_processes: Processes that share the files.

    Returns:
        The metrics, and one message for each file that cannot be evaluated.
    """
    jobs = [
        (target, name, method, folder, challenge)
        for method, folder in predictions.items()
        for target, name in targets.items()
    ]
    results = map_files(_evaluate_one, jobs, num_processes, "Evaluating")
    volumes = [result for result in results if isinstance(result, VolumeMetrics)]
    return volumes, [result for result in results if isinstance(result, str)]
