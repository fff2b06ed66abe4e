"""Evaluation results as text, JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastmri_clgnet.data.fastmri_file import atomic_path
from fastmri_clgnet.evaluation.metrics import METRICS, VolumeMetrics
from fastmri_clgnet.evaluation.statistics import Summaries, Summary

DECIMALS = {"NMSE": 4, "PSNR": 2, "SSIM": 4}
UNITS = {"PSNR": " (dB)"}


def format_summary(metric: str, summary: Summary, signed: bool = False) -> str:
    """A mean with its confidence interval, such as "0.0123 [0.0101, 0.0150]"."""

    def number(value: float) -> str:
        return f"{value:{'+' if signed else ''}.{DECIMALS[metric]}f}"

    if summary.low is None or summary.high is None:
        return number(summary.mean)
    return f"{number(summary.mean)} [{number(summary.low)}, {number(summary.high)}]"


def table_rows(summaries: Summaries, signed: bool = False) -> list[list[str]]:
    """Lay summaries out in cells.

    Args:
        summaries: By group, method and metric.
        signed: Whether to write the sign of positive values, too: differences.

    Returns:
        The head, then a row for each group and method.
    """
    rows = [["volumes", "method", "n", *(name + UNITS.get(name, "") for name in METRICS)]]
    for group, methods in summaries.items():
        for method, values in methods.items():
            cells = [format_summary(metric, values[metric], signed) for metric in METRICS]
            rows.append([group, method, str(values[METRICS[0]].n), *cells])
    return rows


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Lay cells out as text: names to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append(
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(cells)
            ).rstrip()
        )
    return "\n".join(lines)


def save_csv(path: Path, volumes: Sequence[VolumeMetrics]) -> None:
    """Write a line for each volume and method, in full precision."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = list(volumes[0].values) if volumes else list(METRICS)
        writer.writerow(["method", "file", "acquisition", "slices", *names])
        for volume in volumes:
            writer.writerow(
                [
                    volume.method,
                    volume.file,
                    volume.acquisition,
                    len(volume.slice_ssim),
                    *(repr(volume.values[name]) for name in names),
                ]
            )


def save_json(
    path: Path,
    settings: Mapping[str, Any],
    volumes: Sequence[VolumeMetrics],
    summaries: Summaries,
    differences: Summaries,
    failures: Sequence[str],
) -> None:
    """Write everything: settings, summaries, paired differences, volumes, failures."""
    contents = {
        "settings": dict(settings),
        "summaries": _plain(summaries),
        "differences": _plain(differences),
        "volumes": [volume._asdict() for volume in volumes],
        "failures": list(failures),
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(contents, indent=2, default=str) + "\n", encoding="utf-8")


def _plain(summaries: Summaries) -> dict[str, Any]:
    return {
        group: {
            method: {metric: summary._asdict() for metric, summary in values.items()}
            for method, values in methods.items()
        }
        for group, methods in summaries.items()
    }
