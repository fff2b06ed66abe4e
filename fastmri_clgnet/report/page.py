"""The report's page: what is put into the template, which escapes all text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
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
from fastmri_clgnet.evaluate import Evaluation
from fastmri_clgnet.evaluation.statistics import summary_cells
from fastmri_clgnet.report.slices import Images, colour_bar, data_address
from fastmri_clgnet.report.sources import Source


class Contents(NamedTuple):
    """Everything that a report says.

    Args:
        title: The heading.
        command: How this report was made.
        sources: Its methods.
        target_path: The references, if they were found.
        images: What was computed from images; None if the references were not found.
        curves: Training curves, SVG.
    """

    title: str
    command: str
    sources: Sequence[Source]
    target_path: Path | None
    images: Images | None
    curves: str | None


def _asset(name: str) -> str:
    return (resources.files("fastmri_clgnet.report") / name).read_text(encoding="utf-8")


def _data_set(contents: Contents, evaluation: Evaluation) -> dict[str, str]:
    """Facts about the references that were evaluated."""
    slices = {volume.file: len(volume.slice_ssim) for volume in evaluation.volumes}
    acquisitions = Counter(
        {volume.file: volume.acquisition for volume in evaluation.volumes}.values()
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
                f"{name.replace('_', ' ')} {list(value) if isinstance(value, tuple) else value}"
                for name, value in asdict(source.mask).items()
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
    images = contents.images
    note = "The data of the first run is not where its settings say: no images are shown."
    commands = [source.command(contents.target_path) for source in contents.sources]
    return environment.from_string(_asset("template.html")).render(
        contents=contents,
        notes=[note] if images is None else images.notes,
        volumes=[] if images is None else images.evaluation.volumes,
        panels=[] if images is None else images.panels,
        frames={} if images is None else images.frames,
        data_set={} if images is None else _data_set(contents, images.evaluation),
        settings=settings,
        commands=[*dict.fromkeys(command for command in commands if command), contents.command],
        curves=data_address(contents.curves.encode(), "image/svg+xml") if contents.curves else None,
        tables=_tables(contents),
        colour_bar=colour_bar(),
        style=Markup(_asset("style.css")),
        script=Markup(script),
        script_digest=digest,
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
    tables: dict[str, list[list[str]]] = {}
    if contents.images is None:
        for source in contents.sources:
            if logged := source.logged():
                head = ["method", *(name.upper() for name in next(iter(logged.values())))]
                rows = [
                    [method, *(f"{value:.4g}" for value in values.values())]
                    for method, values in logged.items()
                ]
                caption = f"{source.label}: validation at the end of the training"
                tables[caption] = [head, *rows]
    else:
        evaluation = contents.images.evaluation
        level = evaluation.settings["confidence"]
        interval = f"[{level:.0%} confidence interval: bootstrap over volumes]"
        tables[f"Mean over volumes {interval}"] = summary_cells(evaluation.summaries)
        if any(evaluation.differences.values()):
            caption = f"Paired differences: method - {evaluation.methods[0]} {interval}"
            tables[caption] = summary_cells(evaluation.differences, sign="+")
    return [
        {"caption": caption, "head": head, "rows": rows}
        for caption, (head, *rows) in tables.items()
    ]
