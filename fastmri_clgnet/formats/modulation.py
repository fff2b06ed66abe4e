"""Smooth phase and coil sensitivities, as short trigonometric polynomials.

Reference:
    Guerquin-Kern, Lejeune, Pruessmann, Unser. Realistic Analytical Phantoms for Parallel Magnetic
    Resonance Imaging. IEEE TMI 31(3), 2012 (sinusoidal sensitivities).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Modulation(NamedTuple):
    """Polynomials s_c(y, x) = sum_m weights[c, m] exp(2 pi i (q_y[m] y + q_x[m] x)) of coils c."""

    weights: npt.NDArray[np.complex128]
    q_y: npt.NDArray[np.float64]
    q_x: npt.NDArray[np.float64]

    def on_grid(self, height: int, width: int) -> npt.NDArray[np.complex128]:
        """Evaluate at the pixels of an image of the field of view: (n_coils, height, width)."""
        waves_y, waves_x = (
            np.exp(2j * np.pi * np.multiply.outer(q, (np.arange(n) - n // 2) / n))
            for q, n in ((self.q_y, height), (self.q_x, width))
        )
        return (self.weights[:, None] * waves_y.T) @ waves_x


def smooth_phase(rng: np.random.Generator) -> Modulation:
    """One smooth phase factor exp(i (c + a sin(2 pi q . r + p))), |a| <= 1, |q| <= 1.

    By the Jacobi-Anger expansion it is the sum over n of J_n(a) exp(i n (2 pi q . r + p)), here for
    |n| <= 4: its magnitude is 1 within 1e-3.
    """
    constant, shift, direction = rng.uniform(0, 2 * np.pi, size=3)
    amplitude, frequency = rng.uniform(0.3, 1.0, size=2)
    orders = np.arange(-4, 5)
    # J_n(a) is the n-th Fourier coefficient of exp(i a sin t)
    t = 2 * np.pi * np.arange(64) / 64
    coefficients = [np.mean(np.exp(1j * (amplitude * np.sin(t) - n * t))).real for n in orders]
    weights = np.array(coefficients) * np.exp(1j * (orders * shift + constant))
    return Modulation(
        weights[None],
        orders * frequency * math.cos(direction),
        orders * frequency * math.sin(direction),
    )


def coil_sensitivities(rng: np.random.Generator, n_coils: int) -> Modulation:
    """Smooth complex coil sensitivities: trigonometric polynomials fitted to Gaussians."""
    harmonics = np.arange(-1, 2) / 2
    q_y, q_x = (q.ravel() for q in np.meshgrid(harmonics, harmonics, indexing="ij"))
    y, x = np.meshgrid(*2 * [np.linspace(-0.5, 0.5, 24)], indexing="ij")
    waves = np.exp(
        2j * np.pi * (np.multiply.outer(y.ravel(), q_y) + np.multiply.outer(x.ravel(), q_x))
    )
    angles = 2 * np.pi * (np.arange(n_coils) + rng.uniform()) / n_coils
    phases = rng.uniform(0, 2 * np.pi, size=n_coils)
    maps = [
        np.exp(-((y - 0.55 * math.sin(a)) ** 2 + (x - 0.55 * math.cos(a)) ** 2) / 0.35 + 1j * phase)
        for a, phase in zip(angles, phases, strict=True)
    ]
    weights = np.linalg.lstsq(waves, np.stack([m.ravel() for m in maps], axis=1), rcond=1e-6)[0]
    return Modulation(weights.T.copy(), q_y, q_x)
