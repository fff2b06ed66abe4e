"""k-space of magnitude images: their phase, coils and noise are simulated, and said to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError

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
        import fastmri
        import torch

        from fastmri_clgnet.data.phantom import coil_sensitivities, smooth_phase

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
        kspace = np.empty((len(magnitude), *maps.shape), np.complex64)
        for i, image in enumerate(magnitude):
            noise = rng.normal(scale=deviation, size=(2, *maps.shape))
            coils = torch.from_numpy(image * maps + noise[0] + 1j * noise[1])
            kspace[i] = torch.view_as_complex(fastmri.fft2c(torch.view_as_real(coils))).numpy()
        what = "phase" if single else "coil sensitivities"
        return kspace[:, 0] if single else kspace, {
            "simulated": f"k-space of magnitude images: {what} and noise are simulated",
            "simulated_noise": self.noise,
            "simulated_coils": self.coils,
            "simulated_seed": seed[0],
        }


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
