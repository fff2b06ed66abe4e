"""k-space of magnitude images: their phase, coils and noise are simulated, and said to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.modulation import coil_sensitivities, smooth_phase
from fastmri_clgnet.formats.scan import Scan

PERCENTILE = 99  # of the volume, which the noise is relative to
NOISE, COILS = 0.01, 1  # by default
MIN_SIZE = 16  # of images: what the networks here take
MOST_LABELS = 16  # an image of no more different values, all whole numbers, is a segmentation
EIGHT_BITS = "8-bit images: at most 256 grey values, which may have been windowed for display"


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What is simulated where a file holds magnitude images only.

    Args:
        noise: Standard deviation of each part of the complex noise that magnitude images get,
            relative to the volume's 99th percentile; by default 0.01.
        coils: Simulated receiver coils of magnitude images; by default 1: single-coil data with a
            smooth phase.
    """

    noise: float | None = None
    coils: int | None = None

    def simulated(
        self,
        path: Path,
        magnitude: npt.NDArray,
        seed: Sequence[int],
        pixel_mm: tuple[float, float] | None = None,
        acquisition: str = "unknown",
        notes: Sequence[str] = (),
    ) -> Scan:
        """The scan of magnitude images (slices, height, width), whose attributes say so."""
        if magnitude.dtype.itemsize == 1:
            notes = (*notes, EIGHT_BITS)
        _refuse_labels(path, magnitude)
        magnitude = _not_negative(path, magnitude)
        noise = NOISE if self.noise is None else self.noise
        coils = COILS if self.coils is None else self.coils
        if not 0 <= noise < np.inf or coils < 1:
            raise InputError(
                f"noise {noise:g}, coils {coils}: expected noise of 0 or more and coils of 1 or "
                "more"
            )
        if pixel_mm is not None and not all(0 < each < np.inf for each in pixel_mm):
            pixel_mm = None
        height, width = size = magnitude.shape[1], magnitude.shape[2]
        if min(size) < MIN_SIZE:
            raise InputError(
                f"{path}: images of {height} x {width} pixels; expected {MIN_SIZE} x {MIN_SIZE} or "
                "more, the least that the networks here take"
            )
        rng = np.random.default_rng(seed)
        single = coils == 1
        modulation = smooth_phase(rng) if single else coil_sensitivities(rng, coils)
        maps = modulation.on_grid(height, width)
        if single:
            maps /= np.abs(maps)  # its series is cut off
        deviation = noise * float(np.percentile(magnitude, PERCENTILE))
        drawn = (rng.normal(scale=deviation, size=(2, *maps.shape)) for _ in magnitude)
        images = (
            image * maps + real + 1j * imaginary
            for image, (real, imaginary) in zip(magnitude, drawn, strict=True)
        )
        kspace = transformed(images, (len(magnitude), *maps.shape))
        what = "phase" if single else "coil sensitivities"
        attributes: dict[str, str | int | float] = {
            "simulated": f"k-space of magnitude images: {what} and noise are simulated",
            "simulated_noise": noise,
            "simulated_coils": coils,
            "simulated_seed": seed[0],
        }
        return Scan(
            kspace[:, 0] if single else kspace,
            size,
            acquisition=acquisition,
            pixel_mm=pixel_mm,
            attributes=attributes,
            notes=tuple(notes),
        )


def transformed(
    images: Iterable[npt.NDArray[np.complexfloating]], shape: tuple[int, ...]
) -> npt.NDArray[np.complex64]:
    """Centred k-space (slices, [coils,] rows, columns) of complex images, one at a time."""
    from fastmri_clgnet.formats.fourier import kspace_of  # which needs torch

    kspace = np.empty(shape, np.complex64)
    for i, image in enumerate(images):
        kspace[i] = kspace_of(image)
    return kspace


def _refuse_labels(path: Path, magnitude: npt.NDArray) -> None:
    """Raise for a few whole numbers, as segmentations and masks hold."""
    values = np.unique(magnitude[len(magnitude) // 2])  # soon tells most images
    if len(values) <= MOST_LABELS:
        values = np.unique(magnitude)
    if 1 < len(values) <= MOST_LABELS and np.array_equal(values, np.rint(values)):
        raise InputError(
            f"{path}: holds only the values {words(f'{value:g}' for value in values)}, as a "
            "segmentation or a mask does; expected magnitude images: move it elsewhere"
        )


def _not_negative(path: Path, magnitude: npt.NDArray) -> npt.NDArray[np.float64]:
    """Magnitude images as float64; interpolation may have left them slightly below zero."""
    magnitude = magnitude.astype(np.float64)
    if not np.isfinite(magnitude).all():
        raise InputError(f"{path}: the images hold NaN or Inf")
    if not magnitude.any():
        raise InputError(f"{path}: the images are zero everywhere")
    if magnitude.max() <= 0 or magnitude.min() < -0.01 * magnitude.max():
        raise InputError(
            f"{path}: values from {magnitude.min():g} to {magnitude.max():g}; expected magnitude "
            "images, which are not negative (neither normalised to mean 0 nor CT)"
        )
    return magnitude.clip(min=0)
