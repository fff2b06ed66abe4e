"""Conventions of the FFT against NumPy in float64, on even and odd sizes."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from fastmri_clgnet.formats.conventions import (
    CONVENTIONS,
    Convention,
    Norm,
    center_is_in_the_middle,
    to_fastmri,
)
from tests.conversion.host import blobs, fft2c


@pytest.mark.parametrize("shape", [(8, 6), (7, 10), (9, 5)])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("norm", get_args(Norm))
def test_every_convention_becomes_fastmris(
    shape: tuple[int, int], convention: Convention, norm: Norm
) -> None:
    image = blobs(0, 2, *shape)
    axes = (-2, -1)
    kspace = {
        "centred": np.fft.fftshift(
            np.fft.fft2(np.fft.ifftshift(image, axes=axes), norm=norm), axes=axes
        ),
        "plain": np.fft.fft2(image, norm=norm),
        "shifted": np.fft.fftshift(np.fft.fft2(image, norm=norm), axes=axes),
    }[convention]
    converted = to_fastmri(kspace, convention, norm)
    assert converted.dtype == np.complex64
    np.testing.assert_allclose(converted, fft2c(image), atol=2e-6)


@pytest.mark.parametrize("shape", [(8, 6), (7, 10)])
def test_the_centre_is_found(shape: tuple[int, int]) -> None:
    energy = np.abs(fft2c(blobs(1, *shape))) ** 2
    assert center_is_in_the_middle(energy)
    assert center_is_in_the_middle(np.roll(energy, 1, axis=1))
    assert not center_is_in_the_middle(np.fft.ifftshift(energy))
    assert not center_is_in_the_middle(np.roll(np.fft.ifftshift(energy), -1, axis=0))
