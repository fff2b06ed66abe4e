"""One coil of several, on closed forms and against SciPy's least squares."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.optimize import least_squares

from fastmri_clgnet import example_slice, formats
from fastmri_clgnet.convert import main
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Preparation, Scan, single_coil_method
from fastmri_clgnet.formats.single_coil import emulated_weights, to_single_coil
from fastmri_clgnet.formats.single_coil_method import SingleCoilMethod
from fastmri_clgnet.inference import undersample
from tests.conversion.host import assert_good, blobs, fft2c, ifft2c

METHODS: tuple[SingleCoilMethod, ...] = ("espirit", "adaptive", "emulated")


def scan_of(images: np.ndarray) -> Scan:
    """A scan of coil images (slices, coils, rows, columns)."""
    return Scan(fft2c(images).astype(np.complex64), (images.shape[-2], images.shape[-1]), name="a")


def root_sum_of_squares(images: np.ndarray) -> np.ndarray:
    return np.sqrt((np.abs(images) ** 2).sum(axis=1))


@pytest.mark.parametrize("method", METHODS)
def test_coils_of_constant_sensitivity(method: SingleCoilMethod) -> None:
    """Coils c_j x with numbers c_j: every method gives |c| x but for one phase."""
    weights = np.array([1.0, 0.5 - 0.5j, 2j])
    image = blobs(0, 1, 48, 41)
    coils = weights[:, None, None] * image[:, None]
    made = to_single_coil(scan_of(coils), method)
    assert (made.challenge, made.kspace.shape, made.kspace.dtype) == (
        "singlecoil", (1, 48, 41), np.complex64,
    )  # fmt: skip
    expected = np.linalg.norm(weights) * image
    ours = ifft2c(made.kspace)
    phase = np.exp(1j * np.angle((ours * expected.conj()).sum()))
    np.testing.assert_allclose(ours, phase * expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(made.images(), root_sum_of_squares(coils), atol=1e-5)
    assert made.attributes["single_coil_method"] == method
    assert "of 3 coils" in str(made.attributes["single_coil"])


@pytest.mark.parametrize("method", ["espirit", "adaptive"])
def test_maps_of_smooth_coils_give_the_root_sum_of_squares(method: SingleCoilMethod) -> None:
    """Maps of norm 1 that fit the coils: the magnitude is the root sum of squares."""
    y, x = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 48), indexing="ij")
    places = ((-1, -1), (-1, 1), (1, -1), (1, 1))
    maps = np.stack([np.exp(-((y - a) ** 2 + (x - b) ** 2) / 4 + 1j * a * x) for a, b in places])
    coils = blobs(1, 1, 64, 48)[:, None] * maps
    made = to_single_coil(scan_of(coils), method).images()
    expected = root_sum_of_squares(coils)
    np.testing.assert_allclose(made, expected, atol=0.005 * expected.max())


def test_the_emulated_coil_fits_coils_that_see_different_places_exactly() -> None:
    images = np.zeros((1, 2, 32, 32), complex)
    images[0, 0, :16] = blobs(0, 16, 32)
    images[0, 1, 16:] = blobs(1, 16, 32)
    made = to_single_coil(scan_of(images), "emulated")
    np.testing.assert_allclose(np.abs(emulated_weights(scan_of(images))), 1, rtol=1e-5)
    np.testing.assert_allclose(made.images(), root_sum_of_squares(images), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_emulated_coil_is_a_least_squares_fit(seed: int) -> None:
    """SciPy's least squares, started there, find nothing better; of two slices, one set."""
    rng = np.random.default_rng(seed)
    images = blobs(seed, 2, 1, 24, 20) * (1 + 0.5 * blobs(seed + 9, 1, 4, 24, 20))
    images = images + 0.01 * rng.normal(size=images.shape)
    scan = scan_of(images)
    pixels = images.swapaxes(0, 1).reshape(4, -1)
    target = root_sum_of_squares(images).ravel()

    def residuals(parts: np.ndarray) -> np.ndarray:
        return np.abs((parts[:4] + 1j * parts[4:]) @ pixels) - target

    weights = emulated_weights(scan)
    ours = np.concatenate([weights.real, weights.imag])
    found = least_squares(residuals, ours, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    assert (residuals(ours) ** 2).sum() <= 2 * found.cost * 1.001
    for coil in range(4):  # and no single coil does as well, however it is scaled
        alone = np.abs(pixels[coil])
        scaled = alone * (alone @ target) / (alone @ alone)
        assert (residuals(ours) ** 2).sum() < ((scaled - target) ** 2).sum()
    made = to_single_coil(scan, "emulated")
    expected = np.tensordot(weights, scan.kspace, axes=(0, 1))
    np.testing.assert_allclose(made.kspace, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_columns_that_were_not_measured_stay_zero(method: SingleCoilMethod) -> None:
    scan = example_slice()
    kspace = scan.kspace.copy()
    kspace[..., :20] = 0
    made = to_single_coil(scan._replace(kspace=kspace, acquired=(20, 256)), method)
    assert not made.kspace[..., :20].any() and made.kspace[..., 20:].all()
    # of real data, close to the root sum of squares
    expected = scan._replace(kspace=kspace).images()
    error = ((made.images() - expected) ** 2).sum() / (expected**2).sum()
    assert error < (0.2 if method == "emulated" else 0.01)


def test_what_cannot_be_combined_is_named() -> None:
    scan = example_slice()
    with pytest.raises(InputError, match="single-coil data already"):
        to_single_coil(scan._replace(kspace=scan.kspace[:, 0]), "adaptive")
    with pytest.raises(InputError, match=r"undersampled \(\d+ of 256 columns\); one coil is made"):
        to_single_coil(undersample(scan, Mask()), "adaptive")
    with pytest.raises(InputError, match="rss: expected one of espirit adaptive emulated"):
        to_single_coil(scan, "rss")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="coil_combination adaptive: is for to singlecoil"):
        Preparation(coil_combination="adaptive")


def test_without_sigpy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fastmri_clgnet.formats.sigpy_methods", raising=False)
    monkeypatch.delattr(formats, "sigpy_methods", raising=False)
    monkeypatch.setitem(sys.modules, "sigpy.mri.app", None)
    with pytest.raises(InputError, match=r"pip install 'fastmri_clgnet\[mri\]'"):
        to_single_coil(example_slice(), "espirit")
    monkeypatch.setattr(single_coil_method, "find_spec", lambda name: None)
    assert to_single_coil(example_slice()).attributes["single_coil_method"] == "adaptive"


def test_a_conversion_does_not_go_on_by_another_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SigPy may be installed in between."""
    np.save(tmp_path / "a.npy", example_slice().kspace)
    flags = ["--from", "numpy", "--axes", "slice", "coil", "row", "column", "--split", *"010"]
    flags += ["--num_workers", "1", "--to", "singlecoil"]
    command = [str(tmp_path / "a.npy"), str(tmp_path / "out"), *flags]
    with monkeypatch.context() as patch:
        patch.setattr(single_coil_method, "find_spec", lambda name: None)
        assert main(command) == 0
    assert main([*command, "--coil_combination", "adaptive"]) == 0
    monkeypatch.setattr(single_coil_method, "find_spec", lambda name: name)
    assert main(command) == 1
    assert "coil_combination" in capsys.readouterr().err


def test_convert_to_singlecoil_trains_the_singlecoil_challenge(tmp_path: Path) -> None:
    """The target is the magnitude of the one coil's image, and the file says how it was made."""
    np.save(tmp_path / "a.npy", example_slice().kspace)
    flags = ["--from", "numpy", "--axes", "slice", "coil", "row", "column", "--split", *"010"]
    flags += ["--num_workers", "1", "--to", "singlecoil", "--coil_combination", "emulated"]
    assert main([str(tmp_path / "a.npy"), str(tmp_path / "out"), *flags]) == 0
    assert_good(tmp_path / "out")
    with h5py.File(tmp_path / "out" / "singlecoil_val" / "a.h5") as file:
        kspace, target = file["kspace"][()], file["reconstruction_esc"][()]
        assert "(ESC), of 4 coils" in file.attrs["single_coil"]
    np.testing.assert_allclose(target, np.abs(ifft2c(kspace)), rtol=1e-5, atol=1e-12)
