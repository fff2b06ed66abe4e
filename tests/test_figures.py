"""The enlarged part of a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastmri_clgnet.figures import Box, largest_errors, save_comparison


@pytest.mark.parametrize("size", [1, 4, 5, 9])
def test_largest_errors_are_those_of_brute_force(size: int) -> None:
    rng = np.random.default_rng(size)
    errors = {name: rng.random((13, 17), dtype=np.float32) for name in ("a", "b")}
    total = errors["a"] + errors["b"]
    sums = {
        (row, column): total[row : row + size, column : column + size].sum()
        for row in range(13 - size + 1)
        for column in range(17 - size + 1)
    }
    box = largest_errors(errors, size)
    assert (box.row, box.column) == max(sums, key=lambda place: sums[place])
    assert box.size == size


def test_zoom_is_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    target = rng.random((24, 20), dtype=np.float32)
    pixels = []
    for zoom in (None, Box(3, 4, 6)):
        path = tmp_path / "figure.png"
        save_comparison(path, {"a": target + 0.1, "b": target - 0.2}, target, 1.0, "title", zoom)
        picture = np.asarray(Image.open(path).convert("RGB"))
        # cyan frames: in two images, the target and two error maps
        pixels.append(int((picture == (0, 255, 255)).all(-1).sum()))
    save_comparison(path, {"a$_$b": target}, target, 1.0, "$_$")  # no formula
    assert pixels[0] == 0
    assert pixels[1] > 100
