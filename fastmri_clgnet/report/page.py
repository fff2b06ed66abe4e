"""The report's page: what is put into the template, which escapes all text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import fastmri
import pytorch_lightning
import torch
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import fastmri_clgnet
from fastmri_clgnet.evaluation.metrics import VolumeMetrics
from fastmri_clgnet.evaluation.statistics import Summaries
from fastmri_clgnet.evaluation.tables import table_rows
from fastmri_clgnet.report.images import colour_bar, data_address
from fastmri_clgnet.report.panels import Frames
from fastmri_clgnet.report.sources import Source


class Contents(NamedTuple):
    """Everything that a report says.

    Args:
        title: The heading.
        command: How this report was made.
        sources: Its methods.
        target_path: The references, if they were found.
        notes: What is missing or went wrong, a sentence each.
        curves: Training curves, SVG.
        volumes: Metrics of every volume and method.
        summaries: Their means.
        differences: Paired differences from the first method.
        logged: metrics.json of each run by label, where no images were evaluated.
        panels: Chosen slices, of `make_frames`.
        frames: Images for the sliders, of `make_frames`.
        confidence: Level of the intervals.
    """

    title: str
    command: str
    sources: Sequence[Source]
    target_path: Path | None
    notes: Sequence[str]
    curves: str | None
    volumes: Sequence[VolumeMetrics]
    summaries: Summaries
    differences: Summaries
    logged: dict[str, Any]
    panels: Sequence[dict[str, Any]]
    frames: Frames
    confidence: float


def _asset(name: str) -> str:
    return (resources.files("fastmri_clgnet.report") / name).read_text(encoding="utf-8")


def _data_set(contents: Contents) -> dict[str, str]:
    """Facts about the references that were evaluated."""
    slices = {volume.file: len(volume.slice_ssim) for volume in contents.volumes}
    acquisitions = Counter(
        {volume.file: volume.acquisition for volume in contents.volumes}.values()
    )
    facts = {
        "folder": str(contents.target_path),
        "volumes": str(len(slices)),
        "slices": str(sum(slices.values())),
        "acquisitions": ", ".join(f"{name} ({n})" for name, n in sorted(acquisitions.items())),
    }
    for source in contents.sources:
        if source.mask is not None:
            facts[f"mask, {source.label}"] = "; ".join(
                f"{name.replace('_', ' ')} {value}" for name, value in source.mask.items()
            )
    return facts


def render(contents: Contents) -> str:
    """Make the page.

    Args:
        contents: What it says.

    Returns:
        HTML that needs no other file and asks for none: its policy forbids every request.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = _asset("viewer.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    settings = {
        source.label: yaml.safe_dump(source.settings, sort_keys=False)
        if source.is_run
        else json.dumps(source.settings, indent=2)
        for source in contents.sources
        if source.settings
    }
    commands = [source.command(contents.target_path) for source in contents.sources]
    return environment.from_string(_asset("template.html")).render(
        contents=contents,
        data_set=_data_set(contents) if contents.volumes else {},
        settings=settings,
        commands=[*dict.fromkeys(command for command in commands if command), contents.command],
        curves=data_address(contents.curves.encode(), "image/svg+xml") if contents.curves else None,
        tables=_tables(contents),
        colour_bar=colour_bar(),
        style=Markup(_asset("style.css")),
        script=Markup(script),
        script_digest=digest,
        frames=contents.frames,
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        versions={
            "fastmri_clgnet": fastmri_clgnet.__version__,
            "fastmri": fastmri.__version__,
            "torch": torch.__version__,
            "pytorch-lightning": pytorch_lightning.__version__,
        },
    )


def _tables(contents: Contents) -> list[dict[str, Any]]:
    """Metric tables: a caption, a head and rows each."""
    tables = []
    interval = f"[{contents.confidence:.0%} confidence interval: bootstrap over volumes]"
    if contents.summaries:
        head, *rows = table_rows(contents.summaries)
        tables.append({"caption": f"Mean over volumes {interval}", "head": head, "rows": rows})
    if any(contents.differences.values()):
        first = contents.sources[0].label
        head, *rows = table_rows(contents.differences, signed=True)
        caption = f"Paired differences: method - {first} {interval}"
        tables.append({"caption": caption, "head": head, "rows": rows})
    for label, methods in contents.logged.items():
        rows = [
            [name, *(f"{value:.4g}" for value in values.values())]
            for name, values in methods.items()
        ]
        head = ["method", *(name.upper() for name in next(iter(methods.values())))]
        caption = f"{label}: validation at the end of the training"
        tables.append({"caption": caption, "head": head, "rows": rows})
    return tables
