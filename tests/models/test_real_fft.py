"""The real FFT pair of real tensors: against NumPy, and its transposes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastmri_clgnet.models.real_fft import (
    irfft2,
    irfft2_by_axes,
    irfft2_transposed,
    rfft2,
    rfft2_transposed,
)

every_size = pytest.mark.parametrize("size", [(4, 4), (5, 6), (6, 5), (7, 9), (1, 2), (3, 1)])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@every_size
def test_equals_numpy(size: tuple[int, int]) -> None:
    features = random(3, 2, *size)
    spectrum = np.fft.rfft2(features.numpy(), norm="ortho")
    expected = torch.from_numpy(np.concatenate([spectrum.real, spectrum.imag]))
    torch.testing.assert_close(rfft2(features), expected, rtol=0, atol=1e-12)
    # any values, including imaginary parts that belong to no real image
    half = random(6, 2, size[0], size[1] // 2 + 1, seed=1)
    inner = np.fft.ifft(half.numpy()[:3] + 1j * half.numpy()[3:], axis=2, norm="ortho")
    image = torch.from_numpy(np.fft.irfft(inner, n=size[1], norm="ortho"))
    torch.testing.assert_close(irfft2(half, size), image, rtol=0, atol=1e-12)
    torch.testing.assert_close(irfft2(rfft2(features), size), features, rtol=0, atol=1e-12)


@every_size
def test_transposes(size: tuple[int, int]) -> None:
    """<A x, z> = <x, A^T z> for both maps; and torch's own derivatives."""
    features = random(2, 2, *size).requires_grad_()
    half = random(4, 2, size[0], size[1] // 2 + 1, seed=1).requires_grad_()
    pulled = rfft2_transposed(half.detach().clone(), size)
    torch.testing.assert_close((pulled * features).sum(), (rfft2(features) * half).sum())
    pushed = irfft2_transposed(features.detach())
    torch.testing.assert_close((pushed * half).sum(), (irfft2(half, size) * features).sum())
    (expected,) = torch.autograd.grad(rfft2(features), features, half.detach())
    torch.testing.assert_close(pulled, expected)
    (expected,) = torch.autograd.grad(irfft2(half, size), half, features.detach())
    torch.testing.assert_close(pushed, expected)


@every_size
def test_one_axis_after_the_other_is_the_same_function(size: tuple[int, int]) -> None:
    """What a GPU computes in place of cuFFT's transform of two axes, of any spectrum."""
    half = random(4, 2, size[0], size[1] // 2 + 1, seed=2).requires_grad_()
    spectrum = torch.complex(*half.chunk(2))
    by_axes = irfft2_by_axes(spectrum, size)
    torch.testing.assert_close(by_axes, irfft2(half, size), rtol=0, atol=1e-12)
    features = random(2, 2, *size, seed=3)
    (gradient,) = torch.autograd.grad(by_axes, half, features)
    torch.testing.assert_close(gradient, irfft2_transposed(features))
