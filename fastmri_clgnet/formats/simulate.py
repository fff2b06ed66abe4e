"""k-space of magnitude images: their phase, coils and noise are simulated, and said to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.modulation import coil_sensitivities, smooth_phase

PERCENTILE = 99  # of the volume, which the noise is relative to


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What is simulated where a file holds magnitude images only.

    Args:
        noise: Standard deviation of each part of the complex noise that magnitude images get,
            relative to the volume's 99th percentile.
        coils: Simulated receiver coils of magnitude images; 1: single-coil data with a smooth
            phase.
    """

    noise: float = 0.01
    coils: int = 1

    def kspace(
        self, path: Path, magnitude: npt.NDArray, seed: Sequence[int]
    ) -> tuple[npt.NDArray[np.complex64], dict[str, str | int | float]]:
        """k-space (slices, [coils,] height, width) of magnitudes, and attributes that say so."""
        magnitude = _not_negative(path, magnitude)
        if self.noise < 0 or self.coils < 1:
            raise InputError(
                f"noise {self.noise:g}, coils {self.coils}: expected noise of 0 or more and coils "
                "of 1 or more"
            )
        rng = np.random.default_rng(seed)
        single = self.coils == 1
        y, x = np.meshgrid(
            *((np.arange(n) - n // 2) / n for n in magnitude.shape[-2:]), indexing="ij"
        )
        maps = (smooth_phase(rng) if single else coil_sensitivities(rng, self.coils))(y, x)
        if single:
            maps /= np.abs(maps)  # its series is cut off
        deviation = self.noise * float(np.percentile(magnitude, PERCENTILE))
        noise = (rng.normal(scale=deviation, size=(2, *maps.shape)) for _ in magnitude)
        images = (
            image * maps + real + 1j * imaginary
            for image, (real, imaginary) in zip(magnitude, noise, strict=True)
        )
        kspace = transformed(images, (len(magnitude), *maps.shape))
        what = "phase" if single else "coil sensitivities"
        return kspace[:, 0] if single else kspace, {
            "simulated": f"k-space of magnitude images: {what} and noise are simulated",
            "simulated_noise": self.noise,
            "simulated_coils": self.coils,
            "simulated_seed": seed[0],
        }


def transformed(
    images: Iterable[npt.NDArray[np.complexfloating]], shape: tuple[int, ...]
) -> npt.NDArray[np.complex64]:
    """Centred k-space (slices, [coils,] rows, columns) of complex images, one at a time."""
    from fastmri_clgnet.formats.fourier import kspace_of  # which needs torch

    kspace = np.empty(shape, np.complex64)
    for i, image in enumerate(images):
        kspace[i] = kspace_of(image)
    return kspace


def _not_negative(path: Path, magnitude: npt.NDArray) -> npt.NDArray[np.float64]:
    """Magnitude images as float64; interpolation may have left them slightly below zero."""
    magnitude = magnitude.astype(np.float64)
    if not np.isfinite(magnitude).all():
        raise InputError(f"{path}: the images hold NaN or Inf")
    if magnitude.max() <= 0 or magnitude.min() < -0.01 * magnitude.max():
        raise InputError(
            f"{path}: values from {magnitude.min():g} to {magnitude.max():g}; expected magnitude "
            "images, which are not negative (neither normalised to mean 0 nor CT)"
        )
    return magnitude.clip(min=0)
