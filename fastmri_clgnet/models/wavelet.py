"""Two-dimensional discrete wavelet transform and its exact inverse, periodic at the borders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pywt
import torch
from torch import nn

SUBBANDS = 4  # approximation; horizontal, vertical, diagonal detail: PyWavelets' cA, cH, cV, cD


def _wavelet(name: str) -> pywt.Wavelet:
    """Look up a discrete wavelet that has an exact inverse."""
    try:
        wavelet = pywt.Wavelet(name)
    except ValueError as error:
        raise ValueError(
            f"wavelet={name!r} is not a discrete wavelet of PyWavelets; expected an orthogonal or "
            "biorthogonal name such as 'haar', 'db4' or 'bior2.2' (see "
            "pywt.wavelist(kind='discrete'))"
        ) from error
    # without distortion: low * low~ + high * high~ = 2 delta ("dmey" deviates by 1e-2)
    response = np.convolve(wavelet.dec_lo, wavelet.rec_lo)
    response += np.convolve(wavelet.dec_hi, wavelet.rec_hi)
    response[len(response) // 2] -= 2
    if np.abs(response).max() > 1e-8:
        raise ValueError(f"wavelet={name!r} has no exact inverse; choose another, such as 'haar'")
    return wavelet


def _periodic(x: torch.Tensor, before: int, after: int, dim: int) -> torch.Tensor:
    """Extend `x` periodically along `dim`, by any length (circular padding allows one period)."""
    if before == after == 0:
        return x
    size = x.shape[dim]
    index = torch.arange(-before, size + after, device=x.device) % size
    return x.index_select(dim, index)


def _window(x: torch.Tensor, start: int, size: int, dim: int) -> torch.Tensor:
    """Return a part of `x` along `dim`; all of `x` is returned as is, with no cost in backward."""
    return x if size == x.shape[dim] else x.narrow(dim, start, size)


def _weighted_sum(terms: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """Sum terms times weights; zero weights (the padding of short filters) cost nothing."""
    used = [(term, weight) for term, weight in zip(terms, weights, strict=True) if weight != 0.0]
    total = used[0][0] * used[0][1]
    for term, weight in used[1:]:
        total.add_(term, alpha=weight)
    return total


def _analyse(
    x: torch.Tensor, low: list[float], high: list[float], dim: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decompose along one axis: a[k] = sum_j filter[j] x[2k + L/2 - j], indices modulo the size."""
    if x.shape[dim] % 2:
        x = torch.cat([x, x.narrow(dim, x.shape[dim] - 1, 1)], dim)
    half, length = x.shape[dim] // 2, len(low)
    # the sample for tap j of coefficient 0 is x[L/2 - j]: from 1 - L/2 to L/2
    x = _periodic(x, length // 2 - 1, max(0, length // 2 - 1), dim)
    even, odd = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
    terms = [
        _window(even if start % 2 == 0 else odd, start // 2, half, dim)
        for start in range(length - 1, -1, -1)
    ]
    return _weighted_sum(terms, low), _weighted_sum(terms, high)


def _synthesise(
    approximation: torch.Tensor,
    detail: torch.Tensor,
    low: list[float],
    high: list[float],
    dim: int,
) -> torch.Tensor:
    """Undo `_analyse`: x[n] = sum_k low[n - 2k + L/2 - 1] a[k] + high[...] d[k]."""
    half, length = approximation.shape[dim], len(low)
    reach = length // 2
    # x[2m + phase] depends on a[m - shift] through tap phase + 2 shift + L/2 - 1
    taps = [range((phase + reach - 1) % 2, length, 2) for phase in (0, 1)]
    shifts = [[(tap - phase - reach + 1) // 2 for tap in taps[phase]] for phase in (0, 1)]
    before, after = max(map(max, shifts)), -min(map(min, shifts))
    coefficients = [_periodic(c, before, after, dim) for c in (approximation, detail)]
    phases = []
    for phase in (0, 1):
        terms = [_window(c, before - i, half, dim) for c in coefficients for i in shifts[phase]]
        phases.append(_weighted_sum(terms, [f[tap] for f in (low, high) for tap in taps[phase]]))
    return torch.stack(phases, dim + 1).flatten(dim, dim + 1)


class DiscreteWaveletTransform2d(nn.Module):
    """One level of the two-dimensional discrete wavelet transform, without parameters.

    Equal to ``pywt.dwt2(x, wavelet, mode="periodization")`` channel by channel.

    Args:
        wavelet: Any orthogonal or biorthogonal discrete wavelet name of PyWavelets.

    Example:
        >>> transform = DiscreteWaveletTransform2d("db4")
        >>> transform(torch.zeros(1, 3, 64, 48)).shape
        torch.Size([1, 12, 32, 24])

    Raises:
        ValueError: If PyWavelets has no such wavelet, or it has no exact inverse.

    References:
        Mallat. A theory for multiresolution signal decomposition. IEEE TPAMI 11(7), 1989.
    """

    def __init__(self, wavelet: str = "haar") -> None:
        super().__init__()
        filters = _wavelet(wavelet)
        self.low: list[float] = list(filters.dec_lo)
        self.high: list[float] = list(filters.dec_hi)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Decompose.

        Args:
            image: (batch, chans, height, width), real floating point; odd sizes are extended by
                repeating the last row or column.

        Returns:
            (batch, 4 * chans, ceil(height / 2), ceil(width / 2)): all channels' approximations,
            then their horizontal, vertical and diagonal details.
        """
        # channels-last features are not copied and keep their layout
        pixels = image.permute(0, 2, 3, 1)
        rows_low, rows_high = _analyse(pixels, self.low, self.high, dim=1)
        bands = [
            band
            for along_columns in zip(
                *(_analyse(rows, self.low, self.high, dim=2) for rows in (rows_low, rows_high)),
                strict=True,
            )
            for band in along_columns
        ]
        return torch.cat(bands, dim=-1).permute(0, 3, 1, 2)


class InverseDiscreteWaveletTransform2d(nn.Module):
    """The exact inverse of `DiscreteWaveletTransform2d`, without parameters.

    Equal to ``pywt.idwt2(coefficients, wavelet, mode="periodization")`` channel by channel.

    Args:
        wavelet: Any orthogonal or biorthogonal discrete wavelet name of PyWavelets.

    Example:
        >>> image = torch.rand(1, 3, 64, 48)
        >>> coefficients = DiscreteWaveletTransform2d("db4")(image)
        >>> again = InverseDiscreteWaveletTransform2d("db4")(coefficients)
        >>> torch.allclose(again, image, atol=1e-5)
        True

    Raises:
        ValueError: If PyWavelets has no such wavelet, or it has no exact inverse.
    """

    def __init__(self, wavelet: str = "haar") -> None:
        super().__init__()
        filters = _wavelet(wavelet)
        self.low: list[float] = list(filters.rec_lo)
        self.high: list[float] = list(filters.rec_hi)

    def forward(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Reconstruct.

        Args:
            coefficients: (batch, 4 * chans, height, width), real floating point, in the order that
                `DiscreteWaveletTransform2d` gives.

        Returns:
            (batch, chans, 2 * height, 2 * width); for an image of odd size, crop it to that size.

        Raises:
            ValueError: If the number of channels is not a multiple of 4.
        """
        if coefficients.shape[1] % SUBBANDS:
            raise ValueError(
                f"expected 4 subbands with equally many channels, got {coefficients.shape[1]} "
                "channels"
            )
        pixels = coefficients.permute(0, 2, 3, 1)
        approximation, horizontal, vertical, diagonal = pixels.chunk(SUBBANDS, dim=-1)
        rows, columns = 1, 2
        # PyWavelets' names: cH is high-pass along the rows' axis (-2), cV along the columns' (-1)
        rows_low = _synthesise(approximation, vertical, self.low, self.high, columns)
        rows_high = _synthesise(horizontal, diagonal, self.low, self.high, columns)
        return _synthesise(rows_low, rows_high, self.low, self.high, rows).permute(0, 3, 1, 2)
