"""Pictures of reconstructions and their reference, with error maps on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.ndimage import uniform_filter

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.slice_quality import slice_quality


class Box(NamedTuple):
    """A square of an image."""

    row: int
    column: int
    size: int


def largest_errors(errors: Mapping[str, npt.NDArray[np.float32]], size: int) -> Box:
    """Return the square with the largest sum of the methods' errors, (height, width)."""
    total = np.sum(list(errors.values()), axis=0, dtype=np.float64)
    size = min(size, *total.shape)
    start, (height, width) = size // 2, total.shape
    means = uniform_filter(total, size, mode="constant")
    # windows that lie within the image
    means = means[start : height - size + start + 1, start : width - size + start + 1]
    row, column = np.unravel_index(int(np.argmax(means)), means.shape)
    return Box(int(row), int(column), size)


def _show(axis: Axes, image: npt.NDArray[np.float32], zoom: Box | None, **options: Any) -> Any:
    """Show an image without ticks; enlarge a part of it in the lower right corner."""
    axis.set(xticks=[], yticks=[])
    shown = axis.imshow(image, **options)
    if zoom is not None:
        inset = axis.inset_axes((0.58, 0.0, 0.42, 0.42), xticks=[], yticks=[])
        rows = slice(zoom.row, zoom.row + zoom.size)
        inset.imshow(image[rows, zoom.column : zoom.column + zoom.size], **options)
        axis.add_patch(
            Rectangle(
                (zoom.column - 0.5, zoom.row - 0.5), zoom.size, zoom.size, fill=False, color="cyan"
            )
        )
        for spine in inset.spines.values():
            spine.set_color("cyan")
    return shown


def comparison(
    reconstructions: Mapping[str, npt.NDArray[np.float32]],
    target: npt.NDArray[np.float32],
    max_value: float,
    title: str = "",
    zoom: Box | None = None,
    aspect: float = 1.0,
) -> Figure:
    """Draw one slice: all reconstructions and the target above, absolute errors below."""
    errors = {name: np.abs(target - image) for name, image in reconstructions.items()}
    white = float(np.percentile(target, 99.5))
    scale = max(float(np.percentile(error, 99.5)) for error in errors.values()) or 1.0
    n_columns = len(reconstructions) + 1
    figure = Figure(figsize=(2.7 * n_columns + 0.7, 6.0), layout="constrained", dpi=130)
    axes = figure.subplots(2, n_columns, squeeze=False)
    for column, (name, image) in enumerate([*reconstructions.items(), ("target", target)]):
        above, below = axes[:, column]
        _show(above, image, zoom, cmap="gray", vmin=0, vmax=white, aspect=aspect)
        above.set_title(name, parse_math=False)
        if name in errors:
            psnr, ssim = slice_quality(target, image, max_value)
            above.set_xlabel(f"{psnr:.2f} dB, SSIM {ssim:.3f}")
            shown = _show(
                below, errors[name], zoom, cmap="inferno", vmin=0, vmax=scale, aspect=aspect
            )
            below.set_xlabel(f"error of {name}", parse_math=False)
        else:
            below.axis("off")
    scale_bar = axes[1, -1].inset_axes((0.05, 0.05, 0.07, 0.9))
    figure.colorbar(shown, cax=scale_bar, label="absolute error")
    figure.suptitle(title, fontsize="medium", parse_math=False)
    return figure


def images_row(
    images: Mapping[str, npt.NDArray[np.float32]], title: str = "", aspect: float = 1.0
) -> Figure:
    """Draw images side by side on one grey scale, up to the first one's 99.5th percentile."""
    white = float(np.percentile(next(iter(images.values())), 99.5)) or 1.0
    figure = Figure(figsize=(3.2 * len(images) + 0.2, 3.8), layout="constrained", dpi=130)
    axes = figure.subplots(1, len(images), squeeze=False)[0]
    for axis, (name, image) in zip(axes, images.items(), strict=True):
        _show(axis, image, None, cmap="gray", vmin=0, vmax=white, aspect=aspect)
        axis.set_title(name, parse_math=False)
    figure.suptitle(title, fontsize="medium", parse_math=False)
    return figure


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure, whole or not at all; the suffix gives the format, such as .png or .pdf."""
    kind = path.suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise InputError(f"{path}: pictures are written as {', '.join(sorted(known))}")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind)


def save_comparison(
    path: Path,
    reconstructions: Mapping[str, npt.NDArray[np.float32]],
    target: npt.NDArray[np.float32],
    max_value: float,
    title: str = "",
    zoom: Box | None = None,
) -> None:
    """Save a `comparison` of one slice."""
    save_figure(path, comparison(reconstructions, target, max_value, title, zoom))
