"""The picture part of a report: chosen slices, and as much of their volumes as fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastmri_clgnet.report.images import TARGET, encode
from fastmri_clgnet.report.slices import Choice, Volume

# from best to smallest: WebP's quality, and slices of a volume that the slider goes through
_ATTEMPTS = [
    *((85, n) for n in (200, 60, 30, 16, 8)),
    *((60, n) for n in (16, 8, 4, 1)),
    (30, 1),
]

Frames = dict[str, dict[int, list[dict[str, str]]]]


def _frame(volume: Volume, index: int, quality: int) -> list[dict[str, str]]:
    """All images of one slice: every method's with its error map, and the target."""
    target = volume.target[index]
    frame = [
        {
            "name": method,
            "caption": volume.caption(method, index),
            "image": encode(images[index], volume.white, quality),
            "error": encode(
                np.abs(images[index] - target), volume.error_scale, quality, colours=True
            ),
        }
        for method, images in volume.reconstructions.items()
    ]
    return [*frame, {"name": TARGET, "caption": "", "image": encode(target, volume.white, quality)}]


def _spread(n_slices: int, n_shown: int, always: Sequence[int]) -> list[int]:
    """About n_shown slices, evenly spread, and those that must be among them."""
    even = np.linspace(0, n_slices - 1, min(n_shown, n_slices)).round().astype(int)
    return sorted({*(even.tolist() if n_shown > 1 else []), *always})


def make_frames(
    choices: Sequence[Choice], volumes: Mapping[str, Volume], limit: int
) -> tuple[Frames, list[dict[str, Any]]]:
    """Encode slices: all of the chosen volumes', or fewer, or in lower quality, as fits.

    Args:
        choices: What is shown.
        volumes: Their volumes by file.
        limit: Bytes that all images may take, as they stand in the page.

    Returns:
        Images by file and slice, for the sliders; and what each panel shows before it is touched.
    """
    for quality, n_shown in _ATTEMPTS:
        cache: Frames = {}
        size = 0
        for file, volume in volumes.items():
            chosen = [choice.slice_index for choice in choices if choice.file == file]
            cache[file] = {}
            for index in _spread(len(volume.target), n_shown, chosen):
                cache[file][index] = _frame(volume, index, quality)
                size += _length(cache[file][index]) * (1 + chosen.count(index))
                if size > limit:
                    break
            if size > limit:
                break
        if size <= limit:
            break
    for choice in choices:  # what did not fit at the lowest quality either is shown all the same
        frames = cache.setdefault(choice.file, {})
        if choice.slice_index not in frames:
            frames[choice.slice_index] = _frame(volumes[choice.file], choice.slice_index, quality)
    panels = [
        {
            "choice": choice,
            "frame": cache[choice.file][choice.slice_index],
            "white": volumes[choice.file].white,
            "error_scale": volumes[choice.file].error_scale,
            "n_slices": len(volumes[choice.file].target),
        }
        for choice in choices
    ]
    return cache, panels


def _length(frame: Sequence[Mapping[str, str]]) -> int:
    return sum(len(text) for part in frame for text in part.values())
