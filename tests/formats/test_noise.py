"""Noise readouts of raw files, and what prewhitening makes of them."""

from __future__ import annotations

from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest

from fastmri_clgnet import read_scan
from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Scan, prewhiten
from fastmri_clgnet.formats.header import ismrmrd_header
from tests.conversion.host import blobs, fft2c, ifft2c
from tests.formats.twix_files import COLUMNS, ROWS, Readout, lines, write

N_COILS, N_NOISE = 4, 20_000


def complex_normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Complex noise of variance 1, half of it in each part."""
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def mixing(rng: np.random.Generator, n_coils: int = N_COILS) -> np.ndarray:
    """How coils couple: a matrix whose product with white noise is neither white nor equal."""
    return np.diag(np.arange(1, n_coils + 1)) + 0.4 * complex_normal(rng, n_coils, n_coils)


def assert_white(noise: np.ndarray) -> None:
    """The covariance is the identity, within 5 standard errors of each of its entries."""
    n_coils, n_samples = noise.shape
    covariance = noise @ noise.conj().T / n_samples
    assert np.abs(covariance - np.eye(n_coils)).max() < 5 / np.sqrt(n_samples)


@pytest.mark.parametrize("n_coils", [1, N_COILS])
def test_noise_of_the_image_is_white(n_coils: int) -> None:
    """Other noise of the same coils than that of which the covariance is estimated."""
    rng = np.random.default_rng(0)
    coupling = mixing(rng, n_coils)
    noise = (coupling @ complex_normal(rng, n_coils, N_NOISE)).astype(np.complex64)
    samples = coupling @ complex_normal(rng, n_coils, 2 * 64 * 96)
    kspace = samples.reshape(n_coils, 2, 64, 96).swapaxes(0, 1).astype(np.complex64)
    white = prewhiten(Scan(kspace if n_coils > 1 else kspace[:, 0], (64, 96), noise=noise))
    coils = white.kspace.reshape(2, n_coils, -1)
    assert_white(np.concatenate(list(coils), axis=1))
    assert white.noise is not None
    np.testing.assert_allclose(np.atleast_2d(np.cov(white.noise)), np.eye(n_coils), atol=1e-5)
    assert white.kspace.dtype == white.noise.dtype == np.complex64


def test_images_are_a_linear_map_of_the_coils() -> None:
    """One map for all slices and pixels: the inverse of the coupling, up to a unitary."""
    rng = np.random.default_rng(1)
    coupling = mixing(rng)
    noise = (coupling @ complex_normal(rng, N_COILS, N_NOISE)).astype(np.complex64)
    images = blobs(0, 2, N_COILS, 33, 28)
    white = prewhiten(Scan(fft2c(images).astype(np.complex64), (33, 28), noise=noise))
    before = images.swapaxes(0, 1).reshape(N_COILS, -1)
    after = ifft2c(white.kspace).swapaxes(0, 1).reshape(N_COILS, -1)
    matrix = after @ np.linalg.pinv(before)
    np.testing.assert_allclose(matrix @ before, after, atol=1e-5 * np.abs(after).max())
    unitary = matrix @ coupling
    np.testing.assert_allclose(unitary @ unitary.conj().T, np.eye(N_COILS), atol=0.05)


def test_what_cannot_be_whitened_is_named() -> None:
    kspace = np.ones((1, 2, 16, 16), np.complex64)
    scan = Scan(kspace, (16, 16), name="a.mrd")
    with pytest.raises(InputError, match=r"a\.mrd: holds no noise readouts of its 2 coils"):
        prewhiten(scan)
    with pytest.raises(InputError, match="3 samples of noise for 2 coils"):
        prewhiten(scan._replace(noise=kspace[0, :, 0, :3]))
    rng = np.random.default_rng(0)
    dead = complex_normal(rng, 2, 99) * [[1], [0]]
    with pytest.raises(InputError, match="depend on each other"):
        prewhiten(scan._replace(noise=dead.astype(np.complex64)))
    with pytest.raises(InputError, match="combine its coils before"):
        noise = complex_normal(rng, 2, 99).astype(np.complex64)
        prewhiten(scan._replace(noise=noise, reference=np.ones((1, 16, 16), np.float32)))


def write_ismrmrd(path: Path, kspace: np.ndarray, noise: np.ndarray, dwell: float) -> None:
    """Noise of a dwell time of 5 us before an image of another, written by `ismrmrd`."""
    with ismrmrd.Dataset(str(path)) as file:
        file.write_xml_header(ismrmrd_header(kspace.shape[-2:], kspace.shape[-2:]))
        readout = ismrmrd.Acquisition.from_array(noise.astype(np.complex64))
        readout.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        readout.sample_time_us = 5
        file.append_acquisition(readout)
        for column in range(kspace.shape[-1]):
            samples = np.ascontiguousarray(kspace[0, ..., column], np.complex64)
            readout = ismrmrd.Acquisition.from_array(samples)
            readout.center_sample, readout.idx.kspace_encode_step_1 = kspace.shape[-2] // 2, column
            readout.sample_time_us = dwell
            file.append_acquisition(readout)


def test_noise_of_ismrmrd_is_scaled_to_the_images_dwell_time(tmp_path: Path) -> None:
    """A dwell time of 20 instead of 5 us is a quarter of the bandwidth, and of the variance."""
    rng = np.random.default_rng(0)
    kspace = fft2c(blobs(0, 1, 2, 64, 48))
    noise = complex_normal(rng, 2, 500)
    write_ismrmrd(tmp_path / "a.mrd", kspace, noise, dwell=20)
    scan = read_scan(tmp_path / "a.mrd")
    assert scan.noise is not None
    np.testing.assert_allclose(scan.noise, noise / 2, rtol=1e-6)
    np.testing.assert_array_equal(scan.kspace, kspace.astype(np.complex64))
    write_ismrmrd(tmp_path / "b.mrd", kspace, noise, dwell=0)
    unknown = read_scan(tmp_path / "b.mrd")
    assert unknown.noise is not None
    np.testing.assert_allclose(unknown.noise, noise, rtol=1e-6)
    assert any("dwell times of noise and image are unknown" in note for note in unknown.notes)


def test_noise_of_twix_is_scaled_to_the_images_dwell_time(tmp_path: Path) -> None:
    """256 samples at 130 Hz each are of 30.05 us; the image's are of 7.5125 us."""
    rng = np.random.default_rng(0)
    kspace = fft2c(blobs(0, 1, 2, ROWS, COLUMNS)).astype(np.complex64)
    noise = complex_normal(rng, 3, 2, 256)
    readouts = [Readout(one, 0, flags=("NOISEADJSCAN",)) for one in noise]
    other = Readout(np.ones((1, 256)), 0, flags=("NOISEADJSCAN",))  # of the body coil
    dwell = {"sRXSPEC__alDwellTime[0]": round(1e9 / 130 / 256 / 4)}
    write(tmp_path / "meas.dat", [other, *readouts, *lines(kspace)], **dwell)
    scan = read_scan(tmp_path / "meas.dat")
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert scan.noise is not None and scan.noise.shape == (2, 3 * 256)
    np.testing.assert_allclose(scan.noise, 2 * np.concatenate(list(noise), axis=1), rtol=1e-3)
    assert_white(prewhiten(scan).noise)  # type: ignore[arg-type]


def test_convert_prewhitens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    kspace = fft2c(blobs(0, 1, 2, 64, 48))
    (tmp_path / "in").mkdir()
    write_ismrmrd(
        tmp_path / "in" / "a.mrd", kspace, mixing(rng, 2) @ complex_normal(rng, 2, 999), 5
    )
    flags = ["--from", "ismrmrd", "--split", "1", "0", "0", "--num_workers", "1", "--prewhiten"]
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *flags]) == 0
    assert "prewhitened by 999 samples of noise" in capsys.readouterr().out
    with h5py.File(tmp_path / "out" / "multicoil_train" / "a.h5") as file:
        expected = prewhiten(read_scan(tmp_path / "in" / "a.mrd")).kspace
        np.testing.assert_array_equal(file["kspace"][()], expected)
        assert "prewhitened" in file.attrs["notes"]
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *flags[:-1]]) == 1
    assert "another conversion, with prewhiten True" in capsys.readouterr().err
