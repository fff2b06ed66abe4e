"""Compressed sensing by SigPy, against closed forms and the zero-filled image."""

from __future__ import annotations

import itertools

import fastmri
import numpy as np
import pytest
import pywt
import sigpy
import torch
from fastmri.data.transforms import to_tensor

from fastmri_clgnet import Mask, example_slice, undersample
from fastmri_clgnet.formats.sigpy_methods import espirit_maps
from fastmri_clgnet.models.classical import CLASSICAL, ClassicalReconstructor, calibration_width
from tests.conversion.host import blobs, fft2c, ifft2c


def made(method: str, **arguments: object) -> ClassicalReconstructor:
    network = ClassicalReconstructor()
    network.make_network({"method": method, **arguments})
    return network


@pytest.mark.parametrize("method", CLASSICAL)
@pytest.mark.parametrize("size", [(32, 48), (33, 41)])
def test_without_regularisation_it_is_the_zero_filled_image(
    method: str, size: tuple[int, int]
) -> None:
    """From zero, the image of least norm with these samples; any scale, even and odd sizes."""
    mask = torch.arange(size[1]) % 3 == 0
    kspace = to_tensor(1e-5 * fft2c(blobs(0, 2, *size))) * mask[:, None]
    image = made(method, lamda=0, iterations=300)(kspace.float(), mask[None, None, :, None])
    expected = fastmri.complex_abs(fastmri.ifft2c(kspace)).float()
    torch.testing.assert_close(image, expected, rtol=1e-4, atol=3e-3 * float(expected.max()))


def test_fully_sampled_wavelets_are_soft_thresholded() -> None:
    """With every sample and one coil the problem is a denoising: W^H soft(W x, lamda).

    W by PyWavelets, written out. It is zero-padded, and orthonormal but at the image's edges.
    """
    image = blobs(1, 64, 64)
    mask = torch.ones(1, 1, 64, 1)
    lamda = 0.05
    ours = made("cs_wavelet", lamda=lamda, iterations=5)(
        to_tensor(fft2c(image))[None].float(), mask
    )
    peak = np.abs(image).max()
    coefficients = pywt.wavedecn(image / peak, "db4", mode="zero")
    array, slices = pywt.coeffs_to_array(coefficients)
    size = np.abs(array)
    shrunk = array * np.maximum(size - lamda, 0) / np.maximum(size, 1e-12)
    back = pywt.waverecn(
        pywt.array_to_coeffs(shrunk, slices, output_format="wavedecn"), "db4", mode="zero"
    )
    expected = torch.from_numpy(peak * np.abs(back)).float()[None]
    inner = (slice(None), slice(12, -12), slice(12, -12))
    torch.testing.assert_close(ours[inner], expected[inner], rtol=0, atol=0.01 * float(peak))


def test_total_variation_moves_two_levels_towards_each_other() -> None:
    """With every sample, halves of levels a > b, periodic: a - 4 lamda / n and b + 4 lamda / n."""
    n, lamda = 8, 0.05
    image = np.full((24, n), 0.5)
    image[:, n // 2 :] = 1.0
    network = made("cs_tv", lamda=lamda, iterations=300)
    ours = network(to_tensor(fft2c(image + 0j))[None].float(), torch.ones(1, 1, n, 1))
    expected = torch.full((1, 24, n), 0.5 + 4 * lamda / n)
    expected[..., n // 2 :] = 1.0 - 4 * lamda / n
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-3)


def test_espirit_maps_reproduce_coils() -> None:
    """Of norm 1, and sum conj(S_c) x_c times S_c is x_c where there is signal."""
    y, x = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 48), indexing="ij")
    sens_maps = np.stack([np.exp(-((y - a) ** 2 + (x + a) ** 2) / 3 + 1j * a * x) for a in (-1, 1)])
    coils = blobs(3, 64, 48) * sens_maps
    maps = espirit_maps(fft2c(coils).astype(np.complex64), 24, crop=0)
    np.testing.assert_allclose((np.abs(maps) ** 2).sum(axis=0), 1, rtol=1e-4)
    combined = (maps.conj() * coils).sum(axis=0)
    np.testing.assert_allclose(maps * combined, coils, atol=0.02 * np.abs(coils).max())
    for narrow in (2, 3, 5):  # as at 8x of 64 columns
        assert np.isfinite(espirit_maps(fft2c(coils).astype(np.complex64), narrow, crop=0)).all()


@pytest.mark.parametrize("columns", [31, 32])
def test_sensitivities_are_of_measured_columns_only(columns: int) -> None:
    """The widest block that SigPy cuts out of the centre without a column that is missing."""
    for bits in itertools.product([False, True], repeat=7):
        sampled = np.zeros(columns, bool)
        sampled[columns // 2 - 3 : columns // 2 + 4] = bits
        complete = [width for width in range(1, 9) if sigpy.resize(sampled, [width]).all()]
        assert calibration_width(sampled) == max(complete, default=0)


@pytest.mark.parametrize("method", CLASSICAL)
def test_it_improves_on_zero_filling_of_the_raw_slice(method: str) -> None:
    """Four coils; the same numbers again, a slice without signal stays zero."""
    scan = undersample(example_slice(), Mask())
    assert scan.reference is not None and scan.mask is not None
    kspace = torch.stack([to_tensor(scan.kspace[0]), torch.zeros(4, 256, 256, 2)])
    mask = torch.from_numpy(scan.mask)[None, None, None, :, None].expand(2, -1, -1, -1, -1)
    network = made(method, iterations=15)
    images = network(kspace, mask)
    assert not images[1].any()
    reference = scan.reference[0]
    zero_filled = np.sqrt((np.abs(ifft2c(scan.kspace[0])) ** 2).sum(axis=0))
    error = [((image - reference) ** 2).mean() for image in (images[0].numpy(), zero_filled)]
    assert 10 * np.log10(error[1] / error[0]) > 3  # dB
    torch.testing.assert_close(network(kspace[:1], mask[:1]), images[:1], rtol=0, atol=0)


def test_settings_are_checked_and_known() -> None:
    assert made("cs_tv", lamda=0.1).settings == {"lamda": 0.1, "iterations": 100}
    one, several = (made("cs_tv", challenge=each) for each in ("singlecoil", "multicoil"))
    assert one.lamda > several.lamda and one.model_name == "cs_tv"
    for arguments, message in (
        ({"lamda": -1}, "lamda=-1.0: expected 0 or more"),
        ({"lamda": np.nan}, "lamda=nan"),
        ({"iterations": 0}, "iterations=0: expected 1 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            made("cs_tv", **arguments)
    with pytest.raises(ValueError, match="expected one of cs_wavelet, cs_tv"):
        made("cs")
