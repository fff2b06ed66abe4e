"""Changes of fully sampled training slices before they are undersampled: more from few scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastmri
import numpy as np
import torch
import torch.nn.functional as F
from fastmri.data.transforms import complex_center_crop, to_tensor

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
    1/2, and turned with probability 1/2; its magnitude m becomes m (m / max)^(gamma - 1), which
    leaves the maximum; it gets a smooth phase (quadratic in both coordinates) and white complex
    Gaussian noise, in k-space and reference alike.

    Args:
        rotation: Largest angle, in degrees.
        gamma: Largest exponent of the magnitude; the smallest is its inverse.
        phase: Standard deviation of the phase's coefficients, in radians at the image's edge.
        noise: Largest standard deviation of the noise, as part of the volume's maximum.
    """

    rotation: float = 10.0
    gamma: float = 1.25
    phase: float = 0.7
    noise: float = 0.01

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
            image = rotated(image, (2 * drawn[4] - 1) * self.rotation)
        if maximum > 0:
            power = self.gamma ** (2 * drawn[5] - 1) - 1
            floor = torch.finfo(image.dtype).eps  # of m / max: 0 to a negative power is infinite
            factor = (_magnitude(image) / maximum).clamp(min=floor) ** power
            image = image * factor[..., None]
        image = _times_phase(image, self.phase * torch.randn(6))
        return image + drawn[6] * self.noise * maximum * torch.randn_like(image)


def training_changes(train_size: int | None, augment: bool) -> list[Change]:
    """What changes the slices of a training; arguments as of `Data`."""
    size = [] if train_size is None else [LowResolution(train_size)]
    return [*size, *([RandomChanges()] if augment else [])]


def rotated(image: torch.Tensor, degrees: float) -> torch.Tensor:
    """Turn an image (..., rows, columns, 2) about its centre by bicubic interpolation.

    Positive angles turn it counter-clockwise, as it is shown with the rows going down; what comes
    in from outside is 0.
    """
    rows, columns = image.shape[-3:-1]
    planes = image.movedim(-1, -3).reshape(1, -1, rows, columns)
    angle = torch.deg2rad(torch.tensor(degrees))
    cos, sin, aspect = torch.cos(angle), torch.sin(angle), rows / columns
    # grid_sample's coordinates go from -1 to 1 in both directions, whatever the sizes
    theta = torch.stack([cos, -sin * aspect, sin * 0, sin / aspect, cos, sin * 0]).view(1, 2, 3)
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
