"""The reconstructions of a report: those that are there, and those that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmri_clgnet.data import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.metrics import Target
from fastmri_clgnet.reconstruct import reconstruct
from fastmri_clgnet.pl_modules.registry import MODELS, ZERO_FILLED
from fastmri_clgnet.report.sources import MADE, Source


def _mask(settings: dict[str, Any] | None) -> Mask | None:
    if settings is None:
        return None
    accelerations, fractions = settings["accelerations"], settings["center_fractions"]
    return Mask(settings["mask_type"], tuple(accelerations), tuple(fractions))


def _prediction_folder(
    source: Source, targets: Sequence[Target], challenge: str, device: str
) -> Path:
    """The folder of a source's reconstructions, made by a run's checkpoint.

    Args:
        source: A run or a folder of reconstructions.
        targets: The references.
        challenge: "singlecoil" or "multicoil".
        device: Where to reconstruct.

    Returns:
        The folder. The best checkpoint of a run reconstructs the volumes with the run's mask,
        where it has not yet; a run without a checkpoint has its own reconstructions/ taken.

    Raises:
        InputError: If a run has neither.
    """
    if not source.is_run:
        return source.path
    model = source.settings.get("model")
    if source.checkpoint is None and model != ZERO_FILLED:
        own = source.path / "reconstructions"
        if all((own / target.path.name).is_file() for target in targets):
            return own
        raise InputError(
            f"{source.path}: neither reconstructions of {targets[0].path.parent} nor a checkpoint "
            "to make them with"
        )
    folder = source.path / MADE
    data = targets[0].path.parent
    # the folder is the report's own: what a checkpoint of earlier epochs made there is outdated
    reconstruct(
        data,
        folder,
        source.checkpoint,
        model=model,
        challenge=challenge,  # type: ignore[arg-type]
        mask=_mask(source.mask),
        device=device,
        overwrite="different",
    )
    return folder


def find_predictions(
    sources: Sequence[Source],
    targets: Sequence[Target],
    challenge: str,
    zero_filled: Path | None,
    device: str,
) -> tuple[dict[str, Path], list[str]]:
    """The folders to compare, zero-filled images first.

    Args:
        sources: Of the report.
        targets: The references.
        challenge: "singlecoil" or "multicoil".
        zero_filled: Where to make zero-filled images, with the first mask that is known; None
            does without.
        device: Where to reconstruct.

    Returns:
        Folders by label, and notes on what is left out.

    Raises:
        InputError: If a run has neither reconstructions nor a checkpoint.
    """
    found = {
        source.label: _prediction_folder(source, targets, challenge, device) for source in sources
    }
    label = MODELS[ZERO_FILLED].label
    if zero_filled is None or label in found:
        return found, []
    mask = next((source.mask for source in sources if source.mask is not None), None)
    if mask is None:
        return found, [
            "No zero-filled images: the reconstructions do not say their mask (those of "
            "fastmri_clgnet.reconstruct do)."
        ]
    data = targets[0].path.parent
    try:
        reconstruct(
            data,
            zero_filled,
            model=ZERO_FILLED,
            challenge=challenge,  # type: ignore[arg-type]
            mask=_mask(mask),
            device=device,
        )
    except InputError as error:
        return found, [f"No zero-filled images: {error}"]
    return {label: zero_filled, **found}, []
