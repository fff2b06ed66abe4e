"""Changes of fully sampled training slices before they are undersampled: more from few scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import fastmri
import numpy as np
import torch
import torch.nn.functional as F
from fastmri.data.transforms import complex_center_crop, to_tensor

from fastmri_clgnet.formats.modulation import coil_sensitivities

Augment = bool | Literal["strong"]
Change = Callable[[torch.Tensor, float], torch.Tensor]


def augmented(
    kspace: np.ndarray, attrs: dict[str, Any], shape: tuple[int, int], *changes: Change
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Change the image of a fully sampled slice, and make k-space and reference from it again.

    The readout's oversampling and what else lies outside of the reference are cut off first.

    Args:
        kspace: ([coils,] rows, columns), complex, fully sampled.
        attrs: fastMRI's attributes of the file: "max", the volume's maximum, is handed to the
            changes.
        shape: Rows and columns of the reference image.
        changes: Functions of the image ([coils,] rows, columns, 2), float32, and the maximum.

    Returns:
        k-space ([coils,] rows, columns), complex64; its reference (rows, columns), float32, the
        magnitude or root sum of squares; the attributes that fit them.
    """
    image = fastmri.ifft2c(to_tensor(kspace).float())
    rows, columns = (min(pair) for pair in zip(shape, image.shape[-3:-1], strict=True))
    image = complex_center_crop(image, (rows, columns))
    for change in changes:
        image = change(image, float(attrs["max"]))
    reference = _magnitude(image)
    rows, columns = reference.shape
    fitting = {"recon_size": (rows, columns, 1), "padding_left": 0, "padding_right": columns}
    changed = torch.view_as_complex(fastmri.fft2c(image).contiguous())
    return changed.numpy(), reference.numpy(), {**attrs, **fitting}


@dataclass(frozen=True)
class LowResolution:
    """Keeps the centre of k-space, `size` x `size` at most, and the scale of the image."""

    size: int

    def __call__(self, image: torch.Tensor, maximum: float) -> torch.Tensor:
        """Change an image (..., rows, columns, 2)."""
        kspace = fastmri.fft2c(image)
        rows, columns = (min(self.size, length) for length in image.shape[-3:-1])
        scale = (rows * columns / (image.shape[-3] * image.shape[-2])) ** 0.5
        return scale * fastmri.ifft2c(complex_center_crop(kspace, (rows, columns)))


@dataclass(frozen=True)
class RandomChanges:
    """Draws changes from torch's generator: place, contrast, phase and noise of a slice.

    The image is mirrored in both directions, transposed where it is square, each with probability
    1/2, and turned and scaled with probability 1/2; its magnitude m becomes
    m (m / max)^(gamma - 1), which leaves the maximum; it gets a smooth phase (quadratic in both
    coordinates) and white complex Gaussian noise, in k-space and reference alike.

    Args:
        rotation: Largest angle, in degrees.
        gamma: Largest exponent of the magnitude; the smallest is its inverse.
        phase: Standard deviation of the phase's coefficients, in radians at the image's edge.
        noise: Largest standard deviation of the noise, as part of the volume's maximum.
        scaling: Largest factor of the image's size; the smallest is its inverse.
    """

    rotation: float = 10.0
    gamma: float = 1.25
    phase: float = 0.7
    noise: float = 0.01
    scaling: float = 1.0

    def __call__(self, image: torch.Tensor, maximum: float) -> torch.Tensor:
        """Change an image (..., rows, columns, 2)."""
        drawn = torch.rand(7).tolist()
        if drawn[0] < 0.5:
            image = image.flip(-3)
        if drawn[1] < 0.5:
            image = image.flip(-2)
        if drawn[2] < 0.5 and image.shape[-3] == image.shape[-2]:
            image = image.transpose(-3, -2)
        if drawn[3] < 0.5:
            power = 0.0 if self.scaling == 1 else 2 * float(torch.rand(())) - 1
            image = rotated(image, (2 * drawn[4] - 1) * self.rotation, self.scaling**power)
        if maximum > 0:
            power = self.gamma ** (2 * drawn[5] - 1) - 1
            floor = torch.finfo(image.dtype).eps  # of m / max: 0 to a negative power is infinite
            factor = (_magnitude(image) / maximum).clamp(min=floor) ** power
            image = image * factor[..., None]
        image = _times_phase(image, self.phase * torch.randn(6))
        return image + drawn[6] * self.noise * maximum * torch.randn_like(image)


@dataclass(frozen=True)
class SimulatedCoils:
    """Draws receiver coils, phase and noise for the magnitude of a slice, by torch's generator.

    With probability 1/2 it is one coil of uniform sensitivity, else 2 to `most` coils around the
    image (`coil_sensitivities`), whose root sum of squares is 1 in the mean. The image gets a
    smooth phase as in `RandomChanges`, each coil white complex Gaussian noise of the same level,
    which is the largest one times u^2, u uniform in 0 to 1: low levels are frequent.

    Args:
        most: Largest number of coils.
        phase: As of `RandomChanges`.
        noise: As of `RandomChanges`.
    """

    most: int = 8
    phase: float = 1.0
    noise: float = 0.04

    def __call__(self, image: torch.Tensor, maximum: float) -> torch.Tensor:
        """Change an image ([coils,] rows, columns, 2) into (new coils, rows, columns, 2)."""
        several, number, level = torch.rand(3).tolist()
        n_coils = 1 if several < 0.5 else 2 + int(number * (self.most - 1))
        phase = self.phase * torch.randn(6)
        seed = int(torch.randint(2**31, ()))
        image = _times_phase(_magnitude_image(image, maximum), phase)[None]
        if n_coils > 1:
            modulation = coil_sensitivities(np.random.default_rng(seed), n_coils)
            maps = torch.from_numpy(modulation.on_grid(*image.shape[1:3]).astype(np.complex64))
            maps /= maps.abs().square().sum(0).mean().sqrt()
            image = torch.view_as_real(torch.view_as_complex(image) * maps)
        return image + level**2 * self.noise * maximum * torch.randn_like(image)


def training_changes(train_size: int | None, augment: Augment, on_kspace: bool) -> list[Change]:
    """What changes the slices of a training; arguments as of `Data` and `Data.module`.

    Strong changes for networks on images give k-space of any number of coils, with a coil axis;
    those for networks on k-space keep the coils.
    """
    size: list[Change] = [] if train_size is None else [LowResolution(train_size)]
    if augment != "strong":
        return [*size, *([RandomChanges()] if augment else [])]
    coils = SimulatedCoils()
    if on_kspace:
        return [*size, RandomChanges(**_STRONG, phase=coils.phase, noise=coils.noise)]
    return [*size, _magnitude_image, RandomChanges(**_STRONG, phase=0, noise=0), coils]


_STRONG = {"rotation": 15.0, "scaling": 1.2, "gamma": 1.4}


def _magnitude_image(image: torch.Tensor, maximum: float) -> torch.Tensor:
    """A real image (rows, columns, 2) of ([coils,] rows, columns, 2)."""
    magnitude = _magnitude(image)
    return torch.stack([magnitude, torch.zeros_like(magnitude)], dim=-1)


def rotated(image: torch.Tensor, degrees: float, scale: float = 1.0) -> torch.Tensor:
    """Turn and scale an image (..., rows, columns, 2) about its centre by bicubic interpolation.

    Positive angles turn it counter-clockwise, as it is shown with the rows going down; a scale
    above 1 enlarges it. What comes in from outside is 0.
    """
    rows, columns = image.shape[-3:-1]
    planes = image.movedim(-1, -3).reshape(1, -1, rows, columns)
    angle = torch.deg2rad(torch.tensor(degrees))
    cos, sin, aspect = torch.cos(angle), torch.sin(angle), rows / columns
    # grid_sample's coordinates go from -1 to 1 in both directions, whatever the sizes
    theta = torch.stack([cos, -sin * aspect, sin * 0, sin / aspect, cos, sin * 0]).view(1, 2, 3)
    theta = theta / scale
    grid = F.affine_grid(theta, list(planes.shape), align_corners=False)
    turned = F.grid_sample(planes, grid, mode="bicubic", align_corners=False)
    return turned.reshape(image.movedim(-1, -3).shape).movedim(-3, -1)


def _magnitude(image: torch.Tensor) -> torch.Tensor:
    """The magnitude of ([coils,] rows, columns, 2), of coils the root sum of squares."""
    magnitude = fastmri.complex_abs(image)
    combined: torch.Tensor = magnitude if magnitude.ndim == 2 else fastmri.rss(magnitude)
    return combined


def _times_phase(image: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
    """Give an image (..., rows, columns, 2) the phase c0 + c1 x + c2 y + c3 xy + c4 x2 + c5 y2."""
    rows, columns = image.shape[-3:-1]
    y, x = torch.linspace(-1, 1, rows)[:, None], torch.linspace(-1, 1, columns)
    terms = [torch.ones(rows, columns), x, y, x * y, x**2, y**2]
    phase = sum(c * term for c, term in zip(coefficients, terms, strict=True))
    assert isinstance(phase, torch.Tensor)
    factor = torch.polar(torch.ones(rows, columns), phase.expand(rows, columns))
    return torch.view_as_real(torch.view_as_complex(image.contiguous()) * factor)
