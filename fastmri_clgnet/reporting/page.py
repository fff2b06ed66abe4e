"""The report's page: fills the template, which escapes all text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from fastmri_clgnet import __version__
from fastmri_clgnet.evaluation.evaluate import Evaluation
from fastmri_clgnet.evaluation.results import caution, summary_cells
from fastmri_clgnet.reporting.curves import draw_curves, read_curves
from fastmri_clgnet.reporting.shown import Shown
from fastmri_clgnet.reporting.slices import colour_bar, data_address, make_frames
from fastmri_clgnet.reporting.sources import Source
from fastmri_clgnet.run_folder import TENSORBOARD


def _asset(name: str) -> str:
    return (resources.files("fastmri_clgnet.reporting") / name).read_text(encoding="utf-8")


def _data_set(
    sources: Sequence[Source], target_path: Path | None, evaluation: Evaluation | None
) -> dict[str, str]:
    """Describe the evaluated references."""
    if evaluation is None:
        return {}
    slices = {volume.file: len(volume.slice_ssim) for volume in evaluation.volumes}
    acquisitions = Counter(
        {volume.file: volume.acquisition for volume in evaluation.volumes}.values()
    )
    facts = {
        "folder": str(target_path),
        "volumes": str(len(slices)),
        "slices": str(sum(slices.values())),
        "acquisitions": ", ".join(f"{name} ({n})" for name, n in sorted(acquisitions.items())),
    }
    for source in sources:
        if source.mask is not None:
            facts[f"mask, {source.label}"] = "; ".join(
                f"{name.replace('_', ' ')} {list(value) if isinstance(value, tuple) else value}"
                for name, value in asdict(source.mask).items()
            )
    return facts


def render(
    title: str,
    command: str,
    sources: Sequence[Source],
    target_path: Path | None,
    shown: Shown,
    limit: int,
) -> str:
    """Return the page: HTML that needs no other file, with a policy that forbids all requests.

    The slices take at most `limit` bytes.
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
        for source in sources
        if source.settings
    }
    runs = [source for source in sources if source.is_run]
    curves = draw_curves({run.label: read_curves(run.path / TENSORBOARD) for run in runs})
    commands = [source.command(target_path) for source in sources]
    evaluation = shown.evaluation
    return environment.from_string(_asset("template.html")).render(
        title=title,
        notes=shown.notes,
        data_set=_data_set(sources, target_path, evaluation),
        tables=_tables(sources, evaluation),
        caution=evaluation and caution(evaluation.summaries, evaluation.differences),
        metrics=[] if evaluation is None else evaluation.volumes,
        first=sources[0].label if sources else None,  # otherwise all names are hidden
        choices=shown.choices,
        volumes=shown.volumes,
        frames=make_frames(shown.choices, shown.volumes, limit),
        settings=settings,
        commands=list(dict.fromkeys(filter(None, [*commands, command]))),
        curves=data_address(curves.encode(), "image/svg+xml") if curves else None,
        colour_bar=colour_bar(),
        style=Markup(_asset("style.css")),
        script=Markup(script),
        script_digest=digest,
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        versions={
            "fastmri_clgnet": __version__,
            **{name: version(name) for name in ("fastmri", "torch", "pytorch-lightning")},
        },
    )


def _tables(sources: Sequence[Source], evaluation: Evaluation | None) -> list[dict[str, Any]]:
    """Return the metric tables, each with a caption, a header and rows."""
    tables: dict[str, list[list[str]]] = {}
    if evaluation is None:
        for source in sources:
            if logged := source.logged():
                head = ["method", *(name.upper() for name in next(iter(logged.values())))]
                rows = [
                    [method, *(f"{value:.4g}" for value in values.values())]
                    for method, values in logged.items()
                ]
                caption = f"{source.label}: validation at the end of the training"
                tables[caption] = [head, *rows]
    else:
        level = evaluation.settings["confidence"]
        interval = f"[{100 * level:g}% confidence interval: bootstrap over volumes]"
        tables[f"Mean over volumes {interval}"] = summary_cells(evaluation.summaries)
        if any(evaluation.differences.values()):
            caption = f"Paired differences: method - {evaluation.methods[0]} {interval}"
            tables[caption] = summary_cells(evaluation.differences, sign="+")
    return [
        {"caption": caption, "head": head, "rows": rows}
        for caption, (head, *rows) in tables.items()
    ]
