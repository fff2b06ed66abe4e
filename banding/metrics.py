"""A score for banding: the difference in fine structure along the two axes, where signal is low."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

WINDOW = 9  # pixels; side of the square over which a structure must extend to count as a band
THRESHOLD = 0.1  # of the image's 99th percentile; below it the signal is low


def banding_energies(
    image: torch.Tensor, reference: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the energy of fine structure across each of the two axes, in low-signal windows.

    For every window of WINDOW x WINDOW pixels I(y, x) whose largest magnitude is at most THRESHOLD
    times the slice's 99th percentile, the mean over rows and the mean over columns are taken. Their
    second differences at the window's centre c are the high-pass residuals

        d_pe = -m(c - 1) + 2 m(c) - m(c + 1),  m(x) = mean_y I(y, x)
        d_ro = -n(c - 1) + 2 n(c) - n(c + 1),  n(y) = mean_x I(y, x)

    d_pe responds to lines along the readout (constant along y, changing along x), d_ro to lines
    along the phase encoding. For white noise of variance s^2, the mean of each square is
    6 s^2 / WINDOW.

    Returns the sums of d_pe^2 and of d_ro^2 over all low-signal windows of all slices, scalars,
    float64; image and reference as for `banding_score`.
    """
    reference = image if reference is None else reference
    if reference.shape != image.shape or image.ndim < 2 or min(image.shape[-2:]) < WINDOW:
        raise ValueError(
            f"expected images (..., height, width) of at least {WINDOW} x {WINDOW} pixels and a "
            f"reference of the same shape, got {tuple(image.shape)} and {tuple(reference.shape)}"
        )
    slices = image.detach().reshape(-1, 1, *image.shape[-2:]).double()
    magnitude = reference.detach().reshape(slices.shape).double().abs()
    low = F.max_pool2d(magnitude, WINDOW, stride=1) <= THRESHOLD * percentile_99(magnitude)
    filters = _filters().to(slices.device)
    across_pe, across_ro = F.conv2d(slices, filters).square().unbind(dim=1)
    low = low[:, 0]
    return across_pe[low].sum(), across_ro[low].sum()


def percentile_99(image: torch.Tensor) -> torch.Tensor:
    """Return the 99th percentile per image (batch, ..., height, width), as (batch, 1, ..., 1)."""
    level = torch.quantile(image.flatten(1), 0.99, dim=1)
    return level.reshape(-1, *(1,) * (image.ndim - 1))


def _filters() -> torch.Tensor:
    """Return the filters of d_pe and d_ro, (2, 1, WINDOW, WINDOW) float64."""
    across = torch.zeros(WINDOW, WINDOW, dtype=torch.float64)
    centre = WINDOW // 2
    across[:, centre - 1 : centre + 2] = torch.tensor([-1.0, 2.0, -1.0]) / WINDOW
    return torch.stack([across, across.T])[:, None]


def score_of_energies(across_pe: torch.Tensor, across_ro: torch.Tensor) -> float:
    """Return (E_pe - E_ro) / (E_pe + E_ro); NaN if both are 0, since nothing was measured."""
    total = float(across_pe + across_ro)
    return float(across_pe - across_ro) / total if total > 0 else math.nan


def banding_score(image: torch.Tensor, reference: torch.Tensor | None = None) -> float:
    """Compute the anisotropy of the high-pass energy in low-signal regions, from -1 to 1.

        score = (E_pe - E_ro) / (E_pe + E_ro)

    with the energies of `banding_energies`, summed over the slices of a volume. Positive: bands
    along the readout, as from Cartesian undersampling. Negative: bands along the phase encoding.
    The expectation for isotropic noise is 0 (since windows overlap, the score of one image scatters
    around it). Bands A cos(w x) in white noise of variance s^2 have

        score = S / (S + 2 N),  S = A^2 / 2 (2 - 2 cos w)^2,  N = 6 s^2 / WINDOW,

    which grows with A. Scaling the image changes nothing; transposing it changes the sign.

    Args:
        image: Magnitude images (..., height, width) in any units, such as the slices of a volume;
            readout along the height, phase encoding along the width, as in fastMRI.
        reference: Images of the same shape that define where the signal is low, such as the fully
            sampled target; by default `image` itself.

    Returns:
        The score; NaN if nothing was measured: no window has low signal, or all such windows are
        flat. Leave these out of means over volumes.

    Example:
        >>> image = torch.zeros(64, 64)
        >>> image[24:40, 24:40] = 1.0
        >>> image[:, ::2] += 0.01  # lines along the readout
        >>> banding_score(image), banding_score(image.T)
        (1.0, -1.0)

    Raises:
        ValueError: If shapes differ or an image is smaller than a window.
    """
    return score_of_energies(*banding_energies(image, reference))
