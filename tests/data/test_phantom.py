"""The closed-form k-space against numerical integration and against its own image."""

from __future__ import annotations

import fastmri
import numpy as np
import torch

from fastmri_clgnet.data.phantom import (
    Ellipses,
    brain_phantom,
    ellipses_transform,
    phantom_kspace,
)
from fastmri_clgnet.formats.modulation import Modulation, coil_sensitivities, smooth_phase

ONE = Ellipses(*np.array([[1.3], [0.1], [-0.05], [0.3], [0.2], [0.4]]))


def rasterise(ellipses: Ellipses, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sample the ellipses at points."""
    image = np.zeros(y.shape)
    for intensity, center_y, center_x, semi_y, semi_x, angle in zip(*ellipses, strict=True):
        dy, dx = y - center_y, x - center_x
        u = (dy * np.cos(angle) - dx * np.sin(angle)) / semi_y
        v = (dy * np.sin(angle) + dx * np.cos(angle)) / semi_x
        image += intensity * (u**2 + v**2 < 1)
    return image


def integral(image: np.ndarray, grid: np.ndarray, k_y: float, k_x: float) -> complex:
    """The midpoint rule of image exp(-2 pi i k . r) over the field of view."""
    rows, columns = (np.exp(-2j * np.pi * k * grid) for k in (k_y, k_x))
    return complex(rows @ image @ columns) / image.size


def test_ellipse_transform_equals_numerical_integration() -> None:
    grid = (np.arange(1500) + 0.5) / 1500 - 0.5
    y, x = np.meshgrid(grid, grid, indexing="ij")
    image = rasterise(ONE, y, x)
    k_y, k_x = np.array([0.0, 1.0, -2.5]), np.array([0.0, 0.5, 3.0])
    transform = ellipses_transform(ONE, k_y, k_x)
    for i, a in enumerate(k_y):
        for j, b in enumerate(k_x):
            assert abs(transform[i, j] - integral(image, grid, a, b)) < 2e-4
    assert np.isclose(transform[0, 0], 1.3 * np.pi * 0.3 * 0.2, rtol=1e-12)


def at(modulation: Modulation, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Evaluate at any points, in fields of view: (n_coils, *shape)."""
    waves = np.multiply.outer(modulation.q_y, y) + np.multiply.outer(modulation.q_x, x)
    values: np.ndarray = np.einsum("cm,m...->c...", modulation.weights, np.exp(2j * np.pi * waves))
    return values


def test_modulation_equals_multiplying_the_image() -> None:
    """k-space times the fine grid's FFT of the modulated image, at low frequencies."""
    modulation = Modulation(
        np.array([[0.7 + 0.2j, 0.3j]]), np.array([0.0, 0.5]), np.array([0.5, -1])
    )
    kspace = phantom_kspace(ONE, modulation, size=16, oversampling=2)[0]
    grid = (np.arange(1024) + 0.5) / 1024 - 0.5
    y, x = np.meshgrid(grid, grid, indexing="ij")
    image = rasterise(ONE, y, x) * at(modulation, y, x)[0]
    for row, column in [(16, 8), (17, 8), (14, 10), (20, 5)]:
        k_y, k_x = (row - 16) / 2, column - 8
        # samples of the continuous transform, times the orthonormal sum's scale
        expected = integral(image, grid, k_y, k_x) * np.sqrt(2 * 16 * 16) / 2
        assert abs(kspace[row, column] - expected) < 2e-3


def test_image_has_the_phantoms_intensities() -> None:
    rng = np.random.default_rng(0)
    ellipses = brain_phantom(rng, np.array([0.42, 0.34, 0.05, -0.3]), 0.4)
    kspace = phantom_kspace(ellipses, smooth_phase(rng), size=128, oversampling=2)
    pixels = fastmri.ifft2c(torch.view_as_real(torch.from_numpy(kspace)))
    image = fastmri.complex_abs(pixels)[0, 64:192].numpy()
    grid = (np.arange(128) - 64) / 128
    expected = rasterise(ellipses, *np.meshgrid(grid, grid, indexing="ij"))
    # equal up to truncation at the edges
    assert np.median(np.abs(image - np.abs(expected))) < 0.02
    assert np.abs(image - np.abs(expected)).mean() < 0.05


def test_smooth_factors() -> None:
    y, x = np.meshgrid(np.linspace(-0.5, 0.5, 40), np.linspace(-0.5, 0.5, 40), indexing="ij")
    rng = np.random.default_rng(1)
    np.testing.assert_allclose(np.abs(at(smooth_phase(rng), y, x)), 1, atol=1e-3)
    modulation = coil_sensitivities(rng, 4)
    maps = at(modulation, y, x)
    assert maps.shape == (4, 40, 40)
    rss = np.sqrt((np.abs(maps) ** 2).sum(0))
    assert 0.7 < rss.min() < rss.max() < 1.2
    brightest = [np.unravel_index(np.abs(m).argmax(), m.shape) for m in maps]
    assert len(set(brightest)) == 4
    rows, columns = ((np.arange(n) - n // 2) / n for n in (12, 17))
    expected = at(modulation, *np.meshgrid(rows, columns, indexing="ij"))
    np.testing.assert_allclose(modulation.on_grid(12, 17), expected, rtol=1e-12, atol=1e-14)
