"""Coil compression, against NumPy's singular value decomposition of all samples."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet import example_slice
from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Scan, compress_coils


@pytest.fixture
def scan() -> Scan:
    """Two slices of five coils that are combinations of three, and a little noise."""
    rng = np.random.default_rng(0)
    weights, inner, noise = (
        rng.normal(size=shape) + 1j * rng.normal(size=shape)
        for shape in ((5, 3), (2, 3, 33, 28), (2, 5, 33, 28))
    )
    kspace = np.einsum("cd,sdyx->scyx", weights, inner) + 1e-3 * noise
    return Scan(kspace.astype(np.complex64), (33, 28), noise=kspace[0, :, 0].astype(np.complex64))


def samples(scan: Scan) -> np.ndarray:
    """(coils, samples) of all slices."""
    return scan.kspace.swapaxes(0, 1).reshape(scan.kspace.shape[1], -1).astype(np.complex128)


def test_all_coils_are_a_unitary_transform(scan: Scan) -> None:
    made = compress_coils(scan, 5)
    matrix = samples(made) @ np.linalg.pinv(samples(scan))
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(5), atol=1e-3)
    np.testing.assert_allclose(made.images(), scan.images(), rtol=1e-5)
    assert made.noise is not None and scan.noise is not None
    np.testing.assert_allclose(made.noise, matrix @ scan.noise, atol=1e-2)
    assert "keep 100.00 % of the energy" in made.notes[-1]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_first_singular_vectors_are_kept(n: int, scan: Scan) -> None:
    made = compress_coils(scan, n)
    _, values, right = np.linalg.svd(samples(scan), full_matrices=False)
    kept = made.kspace if n > 1 else made.kspace[:, None]
    ours = kept.swapaxes(0, 1).reshape(n, -1)
    expected = values[:n, None] * right[:n]
    phase = np.exp(1j * np.angle((ours * expected.conj()).sum(axis=1, keepdims=True)))
    np.testing.assert_allclose(ours, phase * expected, atol=1e-3)
    share = 100 * (values[:n] ** 2).sum() / (values**2).sum()
    assert f"compressed from 5 to {n} coils, which keep {share:.2f} %" in made.notes[-1]
    assert made.challenge == ("singlecoil" if n == 1 else "multicoil")


def test_vectors_of_the_centre_only(scan: Scan) -> None:
    made = compress_coils(scan, 2, num_low_frequencies=8)
    alone = compress_coils(scan._replace(kspace=scan.kspace[..., 10:18]), 2)
    np.testing.assert_array_equal(made.kspace[..., 10:18], alone.kspace)


def test_numbers_that_do_not_fit(scan: Scan) -> None:
    for n in (0, 6):
        with pytest.raises(InputError, match=f"compress_coils {n}, expected 1 to .* which is 5"):
            compress_coils(scan, n)
    with pytest.raises(InputError, match="num_low_frequencies 29, expected 1 to 28"):
        compress_coils(scan, 2, num_low_frequencies=29)
    with pytest.raises(InputError, match="expected what read_scan or example_slice gives"):
        compress_coils(scan.kspace, 2)  # type: ignore[arg-type]


def test_convert_prints_the_energy_that_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "a.npy", example_slice().kspace)
    flags = [
        "--from",
        "numpy",
        "--axes",
        "slice",
        "coil",
        "row",
        "column",
        "--split",
        "0",
        "1",
        "0",
    ]
    flags += ["--num_workers", "1", "--compress_coils", "2"]
    assert main([str(tmp_path / "a.npy"), str(tmp_path / "out"), *flags]) == 0
    assert "compressed from 4 to 2 coils, which keep 90.91 %" in capsys.readouterr().out
    with h5py.File(tmp_path / "out" / "multicoil_val" / "a.h5") as file:
        assert file["kspace"].shape == (1, 2, 256, 256)
        assert file.attrs["compressed_coils"] == "2 of 4"
