"""A report from beginning to end: reconstruct, evaluate, choose, write."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fastmri_clgnet.data.folders import challenge_of
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.evaluate import evaluate
from fastmri_clgnet.figures import Box, largest_errors, save_comparison
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.reporting.curves import draw_curves, read_curves
from fastmri_clgnet.reporting.page import Shown, render
from fastmri_clgnet.reporting.slices import (
    Choice,
    Volume,
    choose_slices,
    make_frames,
    read_volume,
)
from fastmri_clgnet.reporting.sources import Source, find_predictions, find_target_path
from fastmri_clgnet.training.train import TENSORBOARD

_TEXT_BYTES = 1_000_000  # kept free for everything but the slices


def write_report(
    sources: Sequence[Source],
    output: Path,
    *,
    target_path: Path | None,
    challenge: Challenge | None,
    slices: Sequence[str],
    figure: Path | None,
    zoom: tuple[int, int, int] | None,
    title: str,
    zero_filled: bool,
    device: str,
    num_processes: int,
    command: str,
    limit_bytes: int,
) -> tuple[int, list[str]]:
    """Write the page of a command, and its figure; the other arguments are those of `report`.

    Slices are thinned out until the page fits into so many bytes. Returns its size, and what could
    not be evaluated.
    """
    references = find_target_path(sources, target_path)
    shown = Shown(["The data of the first run is not where its settings say: no images are shown."])
    if references is not None:
        shown = _evaluate(
            sources, references, challenge, slices, zero_filled, device, num_processes
        )
        if figure is not None:
            choice = shown.choices[0] if slices else shown.choices[1]
            _save_figure(figure, shown.volumes[choice.file], choice, zoom)
    elif figure is not None or slices:
        raise InputError(
            "figure, slices: the data of the first run is not where its settings say; give "
            "target_path, the folder of its fully sampled files"
        )
    curves = {
        source.label: read_curves(source.path / TENSORBOARD) for source in sources if source.is_run
    }
    page = render(
        title,
        command,
        sources,
        references,
        draw_curves(curves),
        shown,
        make_frames(shown.choices, shown.volumes, limit_bytes - _TEXT_BYTES),
    ).encode()
    with atomic_path(output) as path:
        path.write_bytes(page)
    return len(page), [] if shown.evaluation is None else shown.evaluation.failures


def _evaluate(
    sources: Sequence[Source],
    target_path: Path,
    challenge: Challenge | None,
    slices: Sequence[str],
    zero_filled: bool,
    device: str,
    num_processes: int,
) -> Shown:
    """Reconstruct what is missing, evaluate all, choose slices and read them."""
    challenge = challenge or challenge_of(target_path)
    labels = [source.label for source in sources]
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "zero_filled" if zero_filled else None
        predictions, notes = find_predictions(sources, target_path, challenge, made, device)
        # zero-filled images are shown first, but the first source is what all are compared with
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
            raise InputError(f"nothing of {labels[0]} could be evaluated: {reasons}")
        choices = choose_slices(volumes, labels[0], slices)
        images = {
            choice.file: read_volume(target_path, predictions, choice.file, challenge, volumes)
            for choice in choices
        }
    evaluation = replace(evaluation, volumes=volumes, summaries=summaries)
    return Shown([*notes, *evaluation.failures], evaluation, choices, images)


def _save_figure(
    path: Path, volume: Volume, choice: Choice, zoom: tuple[int, int, int] | None
) -> None:
    """Save one slice of all methods, with error maps below and a part enlarged."""
    target = volume.target[choice.slice_index]
    images = {name: every[choice.slice_index] for name, every in volume.reconstructions.items()}
    height, width = target.shape
    if zoom is None:
        errors = {name: np.abs(image - target) for name, image in images.items()}
        box = largest_errors(errors, max(1, width // 4))
    else:
        box = Box(*zoom)
        inside = box.row + box.size <= height and box.column + box.size <= width
        if min(zoom) < 0 or box.size < 1 or not inside:
            raise InputError(
                f"zoom {box.row} {box.column} {box.size}: not within the image of {height} x "
                f"{width} pixels"
            )
    title = f"{choice.file}, slice {choice.slice_index}"
    save_comparison(path, images, target, float(volume.target.max()), title, box)
