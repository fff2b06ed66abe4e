"""From the Fourier conventions of other software to fastMRI's: centred and orthonormal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Convention = Literal["centred", "plain", "shifted"]
Norm = Literal["ortho", "backward", "forward"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


@dataclass(frozen=True, kw_only=True)
class PlainKspace:
    """What files of plain arrays do not say of their k-space.

    Args:
        norm: Normalisation of the FFT, in NumPy's words: settles the scale of the images; by
            default ortho.
        recon_size: Height and width of the image, cut from the middle, such as half the rows where
            the readout (down the rows) was oversampled twice; by default the rows and columns of
            the k-space.
    """

    norm: Norm | None = None
    recon_size: tuple[int, int] | None = None


def to_fastmri(
    kspace: npt.NDArray[np.complexfloating], convention: Convention, norm: Norm | None = None
) -> npt.NDArray[np.complex64]:
    """Give k-space (..., rows, columns) of which `fastmri.ifft2c` makes the same image.

    centred: fftshift(fft2(ifftshift(image))), fastMRI's and BART's; plain: fft2(image); shifted:
    fftshift(fft2(image)), with the image's origin in the corner, so that every second sample has
    the other sign.
    """
    axes = (-2, -1)
    rows, columns = kspace.shape[-2:]
    power = {"ortho": 0.0, "backward": -0.5, "forward": 0.5}[norm or "ortho"]
    factor: npt.NDArray = np.array((rows * columns) ** power)
    if convention != "centred":
        # shift theorem: ifftshift of an image of n pixels moves it by -(n // 2)
        row_phase, column_phase = (
            np.exp(2j * np.pi * np.fft.fftshift(np.fft.fftfreq(n)) * (n // 2))
            for n in (rows, columns)
        )
        factor = factor * np.multiply.outer(row_phase, column_phase)
    if convention == "plain":
        kspace = np.fft.fftshift(kspace, axes=axes)
    elif convention not in CONVENTIONS:
        raise ValueError(f"expected a convention of {CONVENTIONS}, got {convention!r}")
    dtype = np.complex64 if np.iscomplexobj(factor) else np.float32
    return kspace.astype(np.complex64, copy=False) * factor.astype(dtype)


def center_is_in_the_middle(energy: npt.NDArray[np.floating]) -> bool:
    """Whether the largest energy, (rows, columns), is not nearer to the corner along both axes."""
    peak = np.unravel_index(np.argmax(energy), energy.shape)
    return any(abs(p - n // 2) < min(p, n - p) for p, n in zip(peak, energy.shape, strict=True))
