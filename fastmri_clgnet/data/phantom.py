"""Ellipse phantoms whose k-space is computed in closed form, without any FFT of pixels.

The Fourier transform of an ellipse is known, so that the k-space of a phantom is exact at any
frequency, as a scanner samples it, with truncation artefacts and without the "inverse crime" of
simulating data by the discrete model that reconstructs it. Smooth phase and coil sensitivities are
a `Modulation`, whose factors exp(2 pi i q . x) only shift k-space by q.

Reference:
    Van de Walle et al. Reconstruction of MR images from data acquired on a general nonregular grid
    by pseudoinverse calculation. IEEE TMI 19(12), 2000 (transform of an ellipse).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from fastmri_clgnet.formats.modulation import Modulation


class Ellipses(NamedTuple):
    """A sum of ellipses; every array is (n_ellipses,) float64, lengths in fields of view."""

    intensity: npt.NDArray[np.float64]
    center_y: npt.NDArray[np.float64]
    center_x: npt.NDArray[np.float64]
    semi_axis_y: npt.NDArray[np.float64]
    semi_axis_x: npt.NDArray[np.float64]
    angle: npt.NDArray[np.float64]


def ellipses_transform(
    ellipses: Ellipses, k_y: npt.NDArray[np.float64], k_x: npt.NDArray[np.float64]
) -> npt.NDArray[np.complex128]:
    """Continuous Fourier transform of a sum of ellipses, integral of f(r) exp(-2 pi i k . r).

    For semi-axes a, b: a b J1(2 pi s) / s exp(-2 pi i k . centre), s = |(a k_u, b k_v)| in the
    frame of the ellipse; pi a b at k = 0.
    """
    total = np.zeros((len(k_y), len(k_x)), np.complex128)
    rows, columns = k_y[:, None], k_x[None, :]
    for intensity, center_y, center_x, semi_y, semi_x, angle in zip(*ellipses, strict=True):
        cosine, sine = math.cos(angle), math.sin(angle)
        radius = np.hypot(
            semi_y * (rows * cosine - columns * sine), semi_x * (rows * sine + columns * cosine)
        )
        # J1(2 pi s) / s tends to pi; below this radius the difference is under rounding
        np.maximum(radius, 1e-9, out=radius)
        bessel = torch.special.bessel_j1(torch.from_numpy(2 * np.pi * radius)).numpy() / radius
        shift_y = intensity * semi_y * semi_x * np.exp(-2j * np.pi * center_y * rows)
        total += bessel * shift_y * np.exp(-2j * np.pi * center_x * columns)
    return total


def phantom_kspace(
    ellipses: Ellipses, modulation: Modulation, size: int, oversampling: int
) -> npt.NDArray[np.complex128]:
    """(coils, oversampling * size, size) k-space, centred; its `ifft2c` is the phantom."""
    rows = np.arange(oversampling * size) - oversampling * size // 2
    columns = np.arange(size) - size // 2
    terms = np.stack(
        [
            ellipses_transform(ellipses, rows / oversampling - q_y, columns - q_x)
            for q_y, q_x in zip(modulation.q_y, modulation.q_x, strict=True)
        ]
    )
    # f(r) = sum F(k) exp(2 pi i k . r) dk, against the orthonormal sum over all samples
    scale = math.sqrt(oversampling * size * size) / oversampling
    return np.einsum("cm,myx->cyx", scale * modulation.weights, terms)


def brain_phantom(
    rng: np.random.Generator, shape: npt.NDArray[np.float64], level: float
) -> Ellipses:
    """One slice of a random head, at a `level` from 0 (base) to 1 (vertex), which scales it."""
    half_y, half_x, angle, contrast = shape
    scale = math.sqrt(max(0.05, 1 - (1.1 * level - 0.35) ** 2))
    head_y, head_x = half_y * scale, half_x * scale
    parts = [
        (1.0, 0.0, 0.0, head_y, head_x, angle),  # scalp
        (-0.85, 0.0, 0.0, 0.94 * head_y, 0.93 * head_x, angle),  # skull
        (0.45, 0.0, 0.0, 0.89 * head_y, 0.87 * head_x, angle),  # grey matter
        (0.12, 0.0, 0.0, 0.76 * head_y, 0.72 * head_x, angle),  # white matter
    ]
    for side in (-1, 1):  # lateral ventricles
        parts.append(
            (contrast, -0.05 * head_y, side * 0.17 * head_x, 0.33 * head_y, 0.08 * head_x,
             angle + side * 0.25)
        )  # fmt: skip
    for _ in range(24):  # sulci, nuclei, vessels, lesions: anywhere in the brain
        radius, direction = 0.82 * math.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
        semi_y, semi_x = rng.uniform(0.012, 0.11, size=2) * half_x
        parts.append(
            (rng.choice((-1, 1)) * rng.uniform(0.06, 0.35),
             radius * math.sin(direction) * 0.85 * head_y,
             radius * math.cos(direction) * 0.82 * head_x, semi_y, semi_x, rng.uniform(0, np.pi))
        )  # fmt: skip
    return Ellipses(*np.array(parts, np.float64).T)
