"""Draws the logo, a k-space and its image: `python docs/figures/logo.py` writes docs/_static/.

Left are the columns of k-space that a mask at 4x keeps, right the image of all columns, both of a
phantom that is made of ellipses.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from fastmri_clgnet.data.phantom import Ellipses, ellipses_transform

STATIC = Path(__file__).parent.parent / "_static"
SIZE = 256
# intensity, centre y and x, semi-axis y and x, angle
HEAD = [
    (1.0, 0.0, 0.0, 0.42, 0.33, 0.0),
    (-0.8, 0.0, 0.0, 0.39, 0.30, 0.0),
    (0.35, 0.0, 0.0, 0.36, 0.27, 0.0),
    (0.45, -0.04, -0.07, 0.15, 0.035, -0.3),
    (0.45, -0.04, 0.07, 0.15, 0.035, 0.3),
    (0.2, 0.2, 0.0, 0.05, 0.08, 0.0),
]


def kspace() -> npt.NDArray[np.complex128]:
    """Return the phantom's k-space, (SIZE, SIZE), centred."""
    frequencies = np.arange(SIZE, dtype=np.float64) - SIZE // 2
    return ellipses_transform(Ellipses(*np.array(HEAD).T), frequencies, frequencies)


def logo() -> Image.Image:
    """Return the logo, SIZE x SIZE, transparent outside of a rounded square."""
    samples = kspace()
    window = np.hanning(SIZE)
    smooth = samples * window[:, None] * window
    image = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(smooth)))) * SIZE**2
    columns = np.abs(np.arange(SIZE) - SIZE // 2)
    kept = (columns < 20) | (columns % 16 < 6)
    strength = np.log1p(3e4 * np.abs(samples)) * kept
    left = matplotlib.colormaps["magma"](0.9 * strength / strength.max() + 0.08)
    right = matplotlib.colormaps["gray"](np.clip(image / 0.95, 0.04, 1))
    y, x = np.mgrid[:SIZE, :SIZE]
    pixels = np.where((x + 0.35 * (y - SIZE / 2) < SIZE / 2)[..., None], left, right)
    drawn = Image.fromarray((255 * pixels).astype(np.uint8), "RGBA")
    corners = Image.new("L", (4 * SIZE, 4 * SIZE))
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, 4 * SIZE - 1, 4 * SIZE - 1), 200, fill=255)
    drawn.putalpha(corners.resize((SIZE, SIZE)))
    return drawn


if __name__ == "__main__":
    STATIC.mkdir(exist_ok=True)
    picture = logo()
    picture.save(STATIC / "logo.png", optimize=True)
    picture.resize((48, 48)).save(STATIC / "favicon.png", optimize=True)
