"""The real FFT pair of real tensors: against NumPy, transposes, derivatives of any order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastmri_clgnet.models.real_fft import irfft2, irfft2_transposed, rfft2

SIZES = [(4, 4), (5, 6), (6, 5), (7, 9), (1, 2), (3, 1)]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("size", SIZES)
def test_equals_numpy(size: tuple[int, int]) -> None:
    features = random(2, 3, *size)
    spectrum = np.fft.rfft2(features.numpy(), norm="ortho")
    expected = torch.from_numpy(np.concatenate([spectrum.real, spectrum.imag], axis=1))
    torch.testing.assert_close(rfft2(features), expected, rtol=0, atol=1e-12)
    # any values, also imaginary parts that belong to no real image
    half = random(2, 6, size[0], size[1] // 2 + 1, seed=1)
    inner = np.fft.ifft(half.numpy()[:, :3] + 1j * half.numpy()[:, 3:], axis=2, norm="ortho")
    image = torch.from_numpy(np.fft.irfft(inner, n=size[1], norm="ortho"))
    torch.testing.assert_close(irfft2(half, size), image, rtol=0, atol=1e-12)
    torch.testing.assert_close(irfft2(rfft2(features), size), features, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_backward_is_the_transpose(size: tuple[int, int]) -> None:
    """<A x, z> = <x, A^T z>, for both maps."""
    features = random(2, 2, *size).requires_grad_()
    half = random(2, 4, size[0], size[1] // 2 + 1, seed=1).requires_grad_()
    (pulled,) = torch.autograd.grad(rfft2(features), features, half.detach())
    torch.testing.assert_close((pulled * features).sum(), (rfft2(features) * half).sum())
    (pushed,) = torch.autograd.grad(irfft2(half, size), half, features.detach())
    torch.testing.assert_close((pushed * half).sum(), (irfft2(half, size) * features).sum())
    torch.testing.assert_close(pushed, irfft2_transposed(features.detach()))


# torch compiles its own forward-mode rules with torch.jit, which it deprecates
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
@pytest.mark.parametrize("size", [(4, 4), (3, 5)])
def test_derivatives_of_any_kind(size: tuple[int, int]) -> None:
    features = random(1, 2, *size).requires_grad_()
    half = random(1, 4, size[0], size[1] // 2 + 1).requires_grad_()
    for function, argument in ((rfft2, features), (lambda z: irfft2(z, size), half)):
        assert torch.autograd.gradcheck(
            function, argument, check_forward_ad=True, check_batched_grad=True
        )
        assert torch.autograd.gradgradcheck(function, argument)
        batches = torch.stack([argument.detach(), 2 * argument.detach()])
        expected = torch.stack([function(each) for each in batches])
        torch.testing.assert_close(torch.func.vmap(function)(batches), expected)
