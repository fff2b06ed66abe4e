"""The images of a report: reconstruct what is missing, evaluate, choose slices, read them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from fastmri_clgnet.data.folders import challenge_of
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.evaluate import Evaluation, evaluate
from fastmri_clgnet.figures import Box, largest_errors, save_comparison
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.reporting.slices import Choice, ShownVolume, choose_slices, read_volume
from fastmri_clgnet.reporting.sources import Source, find_predictions


class Shown(NamedTuple):
    """The results that a report computes from images."""

    notes: list[str]  # what is omitted, and why
    evaluation: Evaluation | None = None  # zero-filled images first
    choices: Sequence[Choice] = ()
    volumes: Mapping[str, ShownVolume] = MappingProxyType({})  # those of the choices, by file


def gather(
    sources: list[Source],
    target_path: Path,
    challenge: Challenge | None,
    slices: list[str],
    zero_filled: bool,
    device: str,
    num_processes: int,
    window: float = 1.0,
) -> Shown:
    """Reconstruct what is missing, evaluate all, and choose and read slices."""
    challenge = challenge or challenge_of(target_path)
    labels = [source.label for source in sources]
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "zero_filled" if zero_filled else None
        predictions, notes = find_predictions(sources, target_path, challenge, made, device)
        # zero-filled images are shown first, but all methods are compared with the first source
        names = sorted(predictions, key=lambda name: name not in labels)
        folders = [predictions[name] for name in names]
        evaluation = evaluate(
            target_path, folders, challenge, labels=names, num_processes=num_processes
        )
        order = list(predictions)
        volumes = sorted(evaluation.volumes, key=lambda volume: order.index(volume.method))
        summaries = {
            group: {name: methods[name] for name in order if name in methods}
            for group, methods in evaluation.summaries.items()
        }
        if not any(volume.method == labels[0] for volume in volumes):
            reasons = "; ".join(evaluation.failures[:3])
            raise InputError(f"{labels[0]}: no volume could be evaluated: {reasons}")
        choices = choose_slices(volumes, labels[0], slices)
        images = {
            choice.file: read_volume(
                target_path, predictions, choice.file, challenge, volumes, window
            )
            for choice in choices
        }
    evaluation = replace(evaluation, volumes=volumes, summaries=summaries)
    return Shown([*notes, *evaluation.failures], evaluation, choices, images)


def save_figure(
    path: Path, volume: ShownVolume, choice: Choice, zoom: tuple[int, int, int] | None
) -> None:
    """Save a figure of one slice by all methods, with error maps below and a part enlarged."""
    target = volume.target[choice.slice_index]
    images = {name: every[choice.slice_index] for name, every in volume.reconstructions.items()}
    height, width = target.shape
    if zoom is None:
        errors = {name: np.abs(image - target) for name, image in images.items()}
        box = largest_errors(errors, max(1, width // 4))
    else:
        box = Box(*zoom)
        inside = box.row + box.size <= height and box.column + box.size <= width
        if not inside:
            raise InputError(
                f"zoom {box.row} {box.column} {box.size}: not within the image of {height} x "
                f"{width} pixels"
            )
    title = f"{choice.file}, slice {choice.slice_index}"
    save_comparison(path, images, target, float(volume.target.max()), title, box)
