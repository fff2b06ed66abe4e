"""The wavelet transform against PyWavelets."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch

from fastmri_clgnet.models import DiscreteWaveletTransform2d, InverseDiscreteWaveletTransform2d

WAVELETS = [name for name in pywt.wavelist(kind="discrete") if name != "dmey"]


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_equals_pywavelets_and_inverts(wavelet: str) -> None:
    rng = np.random.default_rng(0)
    transform = DiscreteWaveletTransform2d(wavelet)
    inverse = InverseDiscreteWaveletTransform2d(wavelet)
    for size in [(16, 16), (18, 32), (16, 21), (17, 19), (6, 8)]:
        image = rng.normal(size=(2, 3, *size))
        approximation, details = pywt.dwt2(image, wavelet, mode="periodization")
        coefficients = transform(torch.from_numpy(image))
        expected = torch.from_numpy(np.concatenate([approximation, *details], axis=1))
        torch.testing.assert_close(coefficients, expected, rtol=0, atol=1e-12)
        inverted = pywt.idwt2((approximation, details), wavelet, mode="periodization")
        torch.testing.assert_close(
            inverse(coefficients), torch.from_numpy(inverted), rtol=0, atol=1e-12
        )
        # PyWavelets' filters have about 12 digits (sym20: 10)
        restored = inverse(coefficients)[..., : size[0], : size[1]]
        torch.testing.assert_close(restored, torch.from_numpy(image), rtol=0, atol=1e-9)


@pytest.mark.parametrize("wavelet", ["haar", "db3"])
def test_orthogonal_transform_keeps_the_norm(wavelet: str) -> None:
    image = torch.randn(1, 2, 20, 16, dtype=torch.float64)
    coefficients = DiscreteWaveletTransform2d(wavelet)(image)
    torch.testing.assert_close(coefficients.norm(), image.norm(), rtol=1e-10, atol=0)


def test_errors() -> None:
    with pytest.raises(ValueError, match="not a discrete wavelet"):
        DiscreteWaveletTransform2d("morl")
    with pytest.raises(ValueError, match="no exact inverse"):
        InverseDiscreteWaveletTransform2d("dmey")
    inverse = InverseDiscreteWaveletTransform2d()
    with pytest.raises(ValueError, match="4 subbands"):
        inverse(torch.zeros(1, 6, 4, 4))
