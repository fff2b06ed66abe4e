"""A report from beginning to end: find, reconstruct, evaluate, choose, write."""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastmri_clgnet.data.fastmri_file import atomic_path
from fastmri_clgnet.data.volumes import challenge_of
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.metrics import VolumeMetrics, evaluate_folders, find_targets
from fastmri_clgnet.evaluation.statistics import (
    Bootstrap,
    paired_differences,
    summarise_methods,
)
from fastmri_clgnet.figures import Box, largest_errors, save_comparison
from fastmri_clgnet.report.curves import draw_curves, read_curves
from fastmri_clgnet.report.page import Contents, render
from fastmri_clgnet.report.panels import Frames, make_frames
from fastmri_clgnet.report.predictions import find_predictions
from fastmri_clgnet.report.slices import Choice, Volume, choose_slices, read_volume
from fastmri_clgnet.report.sources import Source, find_sources, find_target_path
from fastmri_clgnet.training.run import TENSORBOARD

LIMIT_BYTES = 10_000_000
_TEXT_BYTES = 1_000_000  # kept free for everything but the slices


class Evaluated(NamedTuple):
    """What was computed from images.

    Args:
        volumes: Metrics of every volume and method, zero-filled images first.
        panels: Chosen slices.
        frames: Images for the sliders.
        notes: What is left out, and why.
        failures: What could not be evaluated, file by file.
    """

    volumes: list[VolumeMetrics]
    panels: list[dict[str, Any]]
    frames: Frames
    notes: list[str]
    failures: list[str]


def build_report(args: argparse.Namespace, arguments: Sequence[str]) -> list[str]:
    """Make the page, and the figure if one is asked for; print where they are.

    Args:
        args: Of `fastmri_clgnet.report.__main__`.
        arguments: The command line, which the page quotes.

    Returns:
        What could not be evaluated, file by file; the page says it, too.

    Raises:
        InputError: If there is nothing to report about.
    """
    sources = find_sources(args.paths, args.labels)
    target_path = find_target_path(sources, args.target_path)
    if target_path is not None:
        evaluated = _evaluate(args, sources, target_path)
    elif args.figure is not None or args.slices:
        raise InputError(
            "--figure, --slices: the data of the first run is not where its settings say; give "
            "--target-path, the folder of its fully sampled files"
        )
    else:
        note = "The data of the first run is not where its settings say: no images are shown."
        evaluated = Evaluated([], [], {}, [note], [])
    curves = {
        source.label: read_curves(source.path / TENSORBOARD) for source in sources if source.is_run
    }
    # the table begins with the zero-filled images, the differences are from the first source
    bootstrap = Bootstrap()
    names = [source.label for source in sources]
    shown = list(dict.fromkeys(volume.method for volume in evaluated.volumes))
    compared = [*names, *(name for name in shown if name not in names)]
    page = render(
        Contents(
            title=args.title,
            command=f"python -m fastmri_clgnet.report {shlex.join(arguments)}",
            sources=sources,
            target_path=target_path,
            notes=[*evaluated.notes, *evaluated.failures],
            curves=draw_curves(curves),
            volumes=evaluated.volumes,
            summaries=summarise_methods(evaluated.volumes, shown, bootstrap),
            differences=paired_differences(evaluated.volumes, compared, bootstrap),
            logged={} if evaluated.volumes else _logged(sources),
            panels=evaluated.panels,
            frames=evaluated.frames,
            confidence=bootstrap.confidence,
        )
    )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(args.output) as path:
        path.write_text(page, encoding="utf-8")
    megabytes = len(page.encode()) / 1e6
    print(f"Report: {args.output} ({megabytes:.1f} MB)")
    if megabytes * 1e6 > LIMIT_BYTES:
        print(f"It is larger than {LIMIT_BYTES / 1e6:g} MB: ask for fewer --slices or methods")
    return evaluated.failures


def _evaluate(args: argparse.Namespace, sources: Sequence[Source], target_path: Path) -> Evaluated:
    """Evaluate all sources and choose and encode slices."""
    targets, unreadable = find_targets(target_path)
    challenge = args.challenge or challenge_of(target_path)
    with tempfile.TemporaryDirectory() as temporary:
        predictions, notes = find_predictions(
            sources,
            targets,
            challenge,
            None if args.no_zero_filled else Path(temporary) / "zero_filled",
            args.device,
        )
        volumes, failures = evaluate_folders(targets, predictions, challenge, args.num_processes)
        failures = [*unreadable, *failures]
        first = sources[0].label
        if not any(volume.method == first for volume in volumes):
            raise InputError(f"nothing of {first} could be evaluated: {'; '.join(failures[:3])}")
        choices = choose_slices(volumes, first, args.slices)
        images = {
            choice.file: read_volume(target_path, predictions, choice.file, challenge)
            for choice in choices
        }
    if args.figure is not None:
        choice = choices[0] if args.slices else choices[1]
        _save_figure(args.figure, images[choice.file], choice, args.zoom)
        print(f"Figure: {args.figure}")
    frames, panels = make_frames(choices, images, LIMIT_BYTES - _TEXT_BYTES)
    return Evaluated(volumes, panels, frames, notes, failures)


def _save_figure(path: Path, volume: Volume, choice: Choice, zoom: Box | None) -> None:
    """Save one slice of all methods, with error maps below and a part enlarged."""
    target = volume.target[choice.slice_index]
    images = {name: every[choice.slice_index] for name, every in volume.reconstructions.items()}
    height, width = target.shape
    if zoom is None:
        errors = {name: np.abs(image - target) for name, image in images.items()}
        zoom = largest_errors(errors, max(1, width // 4))
    elif (
        min(zoom) < 0
        or zoom.size < 1
        or zoom.row + zoom.size > height
        or zoom.column + zoom.size > width
    ):
        raise InputError(
            f"--zoom {zoom.row} {zoom.column} {zoom.size}: not within the image of {height} x "
            f"{width} pixels"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    title = f"{choice.file}, slice {choice.slice_index}"
    save_comparison(path, images, target, float(volume.target.max()), title, zoom)


def _logged(sources: Sequence[Source]) -> dict[str, Any]:
    """metrics.json of each run that has one."""
    found = {}
    for source in sources:
        path = source.path / "metrics.json"
        if source.is_run and path.is_file():
            try:
                found[source.label] = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"{path}: not JSON ({error})") from error
    return found
