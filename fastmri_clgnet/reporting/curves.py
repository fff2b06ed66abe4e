"""Training curves of a run, from its TensorBoard files, as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# the tags of each panel, by title; an asterisk ends a prefix
PANELS: dict[str, tuple[str, ...]] = {
    "loss": ("train_loss", "train_loss/*", "validation_loss"),
    "PSNR (dB), validation": ("val_metrics/psnr",),
    "SSIM, validation": ("val_metrics/ssim",),
    "learning rate": ("lr-*",),
}
MAX_POINTS = 500  # per curve

Curves = dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]


def read_curves(folder: Path) -> Curves:
    """Read the optimizer steps and values of all scalars in a TensorBoard folder, by tag."""
    if not folder.is_dir():
        return {}
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1})
    events.Reload()
    curves = {}
    for tag in events.Tags()["scalars"]:
        scalars = events.Scalars(tag)
        steps = np.array([scalar.step for scalar in scalars])
        order = np.argsort(steps, kind="stable")  # a continued run has several files
        curves[tag] = (steps[order], np.array([scalar.value for scalar in scalars])[order])
    return curves


def _chosen(curves: Curves, patterns: tuple[str, ...]) -> Curves:
    return {
        tag: curve
        for pattern in patterns
        for tag, curve in curves.items()
        if tag == pattern or (pattern.endswith("*") and tag.startswith(pattern[:-1]))
    }


def draw_curves(runs: Mapping[str, Curves]) -> str | None:
    """Draw the curves of all runs as SVG, one panel per kind of quantity; None without curves."""
    panels = {
        title: {
            (label, tag): curve
            for label, curves in runs.items()
            for tag, curve in _chosen(curves, patterns).items()
        }
        for title, patterns in PANELS.items()
    }
    panels = {title: lines for title, lines in panels.items() if lines}
    if not panels:
        return None
    n_rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(9, 2.8 * n_rows), layout="constrained")
    for index, (title, lines) in enumerate(panels.items()):
        axis = figure.add_subplot(n_rows, 2, index + 1)
        for (label, tag), (steps, values) in lines.items():
            chosen = np.unique(np.linspace(0, len(steps) - 1, MAX_POINTS).round().astype(int))
            name = f"{label}: {tag}" if len(runs) > 1 else tag
            marker = "." if len(chosen) < 30 else None
            axis.plot(steps[chosen], values[chosen], marker=marker, label=name, linewidth=1.2)
        axis.set(title=title, xlabel="optimizer step")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        positive = all((values > 0).all() for _, values in lines.values())
        if positive and title in ("loss", "learning rate"):
            axis.set_yscale("log")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    stream = io.StringIO()
    # keep text as text for the browser's font, and make the picture reproducible
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "curves"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
