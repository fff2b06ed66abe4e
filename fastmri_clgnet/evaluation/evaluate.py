"""fastMRI's metrics of reconstructions, with confidence intervals and paired differences."""

from __future__ import annotations

import csv as csv_files
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

from fastmri_clgnet.data.folders import list_files
from fastmri_clgnet.errors import InputError, need_package, words
from fastmri_clgnet.evaluation.results import (
    COLUMNS,
    DEFAULT_METRICS,
    Convention,
    Metric,
    Summaries,
    VolumeMetrics,
    caution,
    summary_cells,
)
from fastmri_clgnet.files import atomic_path, write_json
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.formats.hdf5 import open_hdf5, plain
from fastmri_clgnet.tables import format_table


@dataclass(frozen=True)
class Evaluation:
    """Metrics of reconstructions; `str()` gives the tables that the command prints.

    Example:
        >>> nothing = Evaluation({}, ["OUT"], [], {}, {}, failures=["OUT/a.h5: no such file"])
        >>> print(nothing)
        No volume could be evaluated.
    """

    columns: ClassVar[Mapping[str, str]] = COLUMNS  # headings of the metrics that are shown

    settings: dict[str, Any]  # the arguments of `evaluate`, by name
    methods: list[str]  # the labels; the others are compared with the first
    volumes: list[VolumeMetrics]  # one per volume and method
    summaries: Summaries  # by group ("all" or an acquisition), method and metric
    differences: Summaries  # of (method - first method), over the volumes that both have
    failures: list[str]  # one message for each file that could not be evaluated

    def __str__(self) -> str:
        if not self.volumes:
            return "No volume could be evaluated."
        level = 100 * self.settings["confidence"]
        parts = [
            f"Mean over volumes [{level:g}% confidence interval, bootstrap over volumes, "
            f"{self.settings['resamples']} resamples]",
            format_table(summary_cells(self.summaries, columns=self.columns), n_left=2),
        ]
        if any(self.differences.values()):
            parts.append(f"Paired differences: method - {self.methods[0]}")
            cells = summary_cells(self.differences, "+", self.columns)
            parts.append(format_table(cells, n_left=2))
        if (text := caution(self.summaries, self.differences)) is not None:
            parts.append(text)
        return "\n\n".join(parts)

    def save_json(self, path: Path) -> None:
        """Write settings, summaries, paired differences, volumes and failures."""
        contents = asdict(self)
        del contents["methods"]  # the summaries name them
        text = json.dumps(contents, default=os.fspath)
        # of equal images the PSNR is infinite, which JSON has not
        write_json(path, json.loads(text, parse_constant=lambda _: None))

    def save_csv(self, path: Path) -> None:
        """Write one line per volume and method, in full precision."""
        names = list(self.volumes[0].values) if self.volumes else []
        with atomic_path(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv_files.writer(file)
            writer.writerow(["method", "file", "acquisition", "slices", *names])
            for one in self.volumes:
                numbers = [repr(one.values[name]) for name in names]
                writer.writerow(
                    [one.method, one.file, one.acquisition, len(one.slice_ssim), *numbers]
                )


def evaluate(
    target_path: Path | str,
    predictions_path: Sequence[Path | str],
    challenge: Challenge,
    *,
    metrics: Sequence[Metric] = DEFAULT_METRICS,
    convention: Convention = "fastmri",
    labels: list[str] | None = None,
    acquisition: str | None = None,
    acceleration: int | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    num_processes: int = 1,
) -> Evaluation:
    """Compute NMSE, PSNR (dB) and SSIM of reconstructions, as `python -m fastmri.evaluate` does.

    fastMRI's own functions are used. Bootstrap confidence intervals over volumes, for each
    acquisition, and paired differences between several folders are added. Files that cannot be
    evaluated are reported, and the others are evaluated. Other metrics can be chosen.

    Args:
        target_path: Folder of fastMRI's fully sampled files.
        predictions_path: Folders of submission files; all others are compared with the first.
        challenge: Kind of data.
        metrics: Which, and in which order. haarpsi and gmsd are the library piq's (extra: metrics).
            hfen is the high-frequency error norm relative to the reference's. residual is how far
            the images are from the measured samples, relative to these, with the phase of the fully
            sampled k-space, since submission files hold magnitudes.
        convention: fastmri takes each volume as a whole, with its largest value; slice takes each
            slice with its own, and then the mean over slices.
        labels: Names of the folders; by default the parts of their paths that differ.
        acquisition: Evaluate only volumes of this acquisition, such as AXT2.
        acceleration: Evaluate only volumes whose attribute 'acceleration' has this value.
        confidence: Level of the intervals.
        resamples: Bootstrap samples.
        seed: Seed of the bootstrap.
        num_processes: Processes that share the files.

    Returns:
        Metrics of the volumes, their means and differences, and what could not be evaluated.

    Example:
        >>> import fastmri
        >>> import numpy as np
        >>> from fastmri_clgnet.data import write_fastmri_file
        >>> image = np.random.default_rng(0).random((2, 48, 48), np.float32)
        >>> write_fastmri_file("VAL/a.h5", image.astype(np.complex64), image)
        >>> fastmri.save_reconstructions({"a.h5": 1.1 * image}, Path("OUT"))
        >>> found = evaluate("VAL", ["OUT"], "singlecoil")
        >>> round(found.summaries["all"]["OUT"]["NMSE"].mean, 4)
        0.01

    Raises:
        InputError: If no reference can be read, or arguments do not fit.
    """
    metrics = list(dict.fromkeys(metrics))
    settings = dict(locals())
    for name, given, kind in (
        ("metrics", metrics, Metric),
        ("convention", [convention], Convention),
        ("challenge", [challenge], Challenge),
    ):
        if not given or not {*given} <= {*get_args(kind)}:
            raise InputError(f"{name} {words(given)}: expected {', '.join(get_args(kind))}")
    if {"haarpsi", "gmsd"} & {*metrics}:
        need_package("piq", "metrics", "haarpsi and gmsd need")
    check_bootstrap(confidence, resamples, seed, num_processes)
    folders = [Path(folder) for folder in predictions_path]
    names = folder_labels(folders, labels)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; expected submission files")
    targets, failures = _choose_targets(Path(target_path), acquisition, acceleration)

    from fastmri_clgnet.evaluation.metrics import evaluate_folders  # which needs torch
    from fastmri_clgnet.evaluation.statistics import summarise_methods  # and SciPy

    predictions = dict(zip(names, folders, strict=True))
    volumes, more = evaluate_folders(
        targets, predictions, challenge, num_processes, metrics, convention
    )
    summaries, differences = summarise_methods(volumes, names, confidence, resamples, seed)
    failures = list(dict.fromkeys([*failures, *more]))
    return Evaluation(settings, names, volumes, summaries, differences, failures)


def _choose_targets(
    folder: Path, acquisition: str | None, acceleration: int | None
) -> tuple[dict[Path, str], list[str]]:
    """Return the acquisition of each reference to evaluate, and messages on unreadable files."""
    targets, failures, seen = {}, [], set()
    for path in list_files(folder):
        try:
            with open_hdf5(path) as file:
                attributes = {name: plain(value) for name, value in file.attrs.items()}
        except InputError as error:
            failures.append(str(error))
            continue
        name = str(attributes.get("acquisition", "unknown"))
        seen.add(f"{name}, acceleration {attributes.get('acceleration', 'unknown')}")
        given = str(attributes.get("acceleration"))  # a number, or its text
        if acquisition in (None, name) and (acceleration is None or given == str(acceleration)):
            targets[path] = name
    if not seen:
        raise InputError("; ".join(failures[:3]))
    if not targets:
        raise InputError(
            f"{folder}: no volume of this acquisition and acceleration; found: "
            f"{'; '.join(sorted(seen))}"
        )
    return targets, failures


def check_bootstrap(confidence: float, resamples: int, seed: int, num_processes: int) -> None:
    """Raise an `InputError` if these arguments of `evaluate` do not fit."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: expected a level such as 0.95")
    if resamples < 1 or num_processes < 1:
        raise InputError(
            f"resamples {resamples}, num_processes {num_processes}: expected 1 or more"
        )
    if seed < 0:
        raise InputError(f"seed {seed}: expected 0 or more")


def folder_labels(folders: Sequence[Path], labels: Sequence[str] | None = None) -> list[str]:
    """Return a name for each folder: the given one, or the part of its path that differs."""
    if labels is not None:
        if len(labels) != len(folders) or len(set(labels)) < len(labels):
            raise InputError("labels: expected a different name for each run or folder")
        return [*labels]
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        raise InputError("a folder of predictions is given twice")
    if len(folders) == 1:
        return [folders[0].resolve().name]
    start = _common(parts)
    end = _common([part[:start:-1] for part in parts])
    return ["/".join(part[start : len(part) - end]) or part[-1] for part in parts]


def _common(parts: Sequence[tuple[str, ...]]) -> int:
    """Count the leading elements that all have in common."""
    columns = list(zip(*parts, strict=False))
    return next((i for i, column in enumerate(columns) if len(set(column)) > 1), len(columns))
