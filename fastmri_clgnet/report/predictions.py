"""The reconstructions of a report: those that are there, and those that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.metrics import Target
from fastmri_clgnet.reconstruction.job import Job
from fastmri_clgnet.reconstruction.run import reconstruct
from fastmri_clgnet.report.sources import MADE, Source
from fastmri_clgnet.training.models import MODELS, ZERO_FILLED


def prediction_folder(
    source: Source, targets: Sequence[Target], challenge: str, device: str
) -> Path:
    """The folder of a source's reconstructions, made where a run has none of these volumes.

    Args:
        source: A run or a folder of reconstructions.
        targets: The references.
        challenge: "singlecoil" or "multicoil".
        device: Where to reconstruct.

    Returns:
        The folder. A run's own reconstructions/ is taken if it has all volumes; otherwise its best
        checkpoint reconstructs them with the run's mask.

    Raises:
        InputError: If a run has neither.
    """
    if not source.is_run:
        return source.path
    own = source.path / "reconstructions"
    if all((own / target.path.name).is_file() for target in targets):
        return own
    model = source.settings.get("model")
    if source.checkpoint is None and model != ZERO_FILLED:
        raise InputError(
            f"{source.path}: neither reconstructions of {targets[0].path.parent} nor a checkpoint "
            "to make them with"
        )
    folder = source.path / MADE
    data = targets[0].path.parent
    reconstruct(
        Job(source.checkpoint, model, data, challenge, folder, source.mask), device, overwrite=False
    )
    return folder


def zero_filled_folder(
    mask: dict[str, Any], targets: Sequence[Target], challenge: str, folder: Path, device: str
) -> Path:
    """Make the zero-filled images of the references' volumes.

    Args:
        mask: mask_type, accelerations and center_fractions.
        targets: The references.
        challenge: "singlecoil" or "multicoil".
        folder: Where to.
        device: Where to compute.

    Returns:
        The folder.
    """
    data = targets[0].path.parent
    reconstruct(Job(None, ZERO_FILLED, data, challenge, folder, mask), device, overwrite=True)
    return folder


ZERO_FILLED_LABEL = MODELS[ZERO_FILLED].label
