"""CC-359-like volumes, written with plain NumPy as the data set's own tools read them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from fastmri.data import SliceDataset

from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import CC359
from fastmri_clgnet.formats.read_scan import read_scan
from tests.conversion.host import assert_good, assert_host_gives, blobs

ONE_PROCESS = ["--from", "cc359", "--num_workers", "1"]


def _single_channel(path: Path, seed: int) -> np.ndarray:
    """Write (slices, 32, 32, 2) with its centre in the corner; return |ifft2|, no shifts."""
    kspace = np.fft.fft2(blobs(seed, 3, 32, 32))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.stack([kspace.real, kspace.imag], axis=-1))
    return np.abs(np.fft.ifft2(kspace))


def _multi_channel(path: Path, seed: int, centre: str) -> np.ndarray:
    """Write x-ky-kz-channel with the last 15 % of kz zero; return the tools' reference."""
    kspace = np.fft.fft2(blobs(seed, 3, 4, 22, 20))
    if centre == "middle":
        kspace = np.fft.fftshift(kspace, axes=(-2, -1))
    kspace[..., 17:] = 0
    parts = np.empty((3, 22, 20, 8), np.float32)
    parts[..., ::2] = kspace.real.transpose(0, 2, 3, 1)
    parts[..., 1::2] = kspace.imag.transpose(0, 2, 3, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["kspace"] = parts
        stored = file["kspace"][()].astype(np.float64)
    images = np.fft.ifft2(stored[..., ::2] + 1j * stored[..., 1::2], axes=(1, 2))
    rss: np.ndarray = np.sqrt((np.abs(images) ** 2).sum(axis=-1))
    return rss


def test_single_channel_gives_its_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    references = {
        (folder, name): _single_channel(Path("cc", folder, f"{name}.npy"), seed)
        for seed, (folder, name) in enumerate(
            [("Train", "a"), ("Train", "b"), ("Val", "c"), ("Test", "d")]
        )
    }
    assert main(["cc", "out", *ONE_PROCESS]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert ["singlecoil_train", "2", "6", "32", "x", "32"] in map(str.split, printed)
    for folder in ("Train", "Val", "Test"):
        split = Path("out", f"singlecoil_{folder.lower()}")
        expected = {f"{n}.h5": ref for (f, n), ref in references.items() if f == folder}
        for name, reference in expected.items():
            with h5py.File(split / name) as file:
                target = file["reconstruction_esc"][()]
                assert file.attrs["acquisition"] == "T1"
                assert ("mask" in file) == (folder == "Test")
            assert np.abs(target - reference).max() <= 1e-6 * reference.max()
        if folder != "Test":
            assert_host_gives(split, expected, 2e-6)
    assert_good(Path("out"))


@pytest.mark.parametrize("centre", ["middle", "corner"])
def test_multi_channel_gives_its_reference(centre: str, tmp_path: Path) -> None:
    """Wherever the centre of k-space is stored: the magnitudes do not depend on it."""
    reference = _multi_channel(tmp_path / "cc" / "Train" / "a.h5", 0, centre)
    assert main([str(tmp_path / "cc"), str(tmp_path / "out"), *ONE_PROCESS]) == 0
    folder = tmp_path / "out" / "multicoil_train"
    assert_host_gives(folder, {"a.h5": reference}, 2e-6)
    assert_good(tmp_path / "out")
    kspace, _, target, attributes, _, _ = SliceDataset(folder, "multicoil")[1]
    assert np.abs(target - reference[1]).max() <= 1e-6 * reference.max()
    energy = (np.abs(kspace) ** 2).sum(axis=0)
    assert np.unravel_index(energy.argmax(), energy.shape) == (11, 10)
    # masks keep out of what was not acquired
    assert attributes["padding_right"] == (17 if centre == "middle" else 20)


def test_undersampled_and_other_files_are_refused(tmp_path: Path) -> None:
    def refused(name: str, message: str) -> None:
        with pytest.raises(InputError, match=rf"{name}: .*{message}"):
            CC359().read(tmp_path / name, (0,))

    path = tmp_path / "a.npy"
    _single_channel(path, 0)
    parts = np.load(path)
    parts[:, np.random.default_rng(0).uniform(size=(32, 32)) > 0.2] = 0
    np.save(path, parts)
    refused("a.npy", "in two dimensions")
    np.save(path, parts[..., 0])
    refused("a.npy", "expected single-channel k-space")
    np.save(path, parts[:0])
    refused("a.npy", "an empty array")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["kspace"] = np.zeros((0, 22, 20, 8), np.float32)
    refused("b.h5", "expected multi-channel 'kspace'")
    with h5py.File(tmp_path / "b.h5", "w") as file:  # fastMRI's, of several coils
        file["kspace"] = np.ones((3, 4, 32, 24), np.complex64)
    refused("b.h5", "expected multi-channel 'kspace' .* complex64")


def test_undersampled_columns_have_a_mask(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    _single_channel(path, 0)
    parts = np.load(path)
    keep = np.arange(parts.shape[2]) % 2 == 0  # the centre is in the corner
    np.save(path, parts * keep[:, None])
    mask = CC359().read(path, (0,)).mask
    assert mask is not None
    assert mask.sum() == keep.sum()


@pytest.mark.parametrize("shape", [(4, 2, 64, 48), (5, 8, 64, 48), (3, 4, 64, 48)])
def test_real_numbers_in_other_layouts_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Real and imaginary parts in front of rows, or of the coils in turn; magnitudes of coils."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["kspace"] = np.random.default_rng(0).random(shape, np.float32)
    message = rf"a\.h5: .*'kspace' \({str(shape)[1:-1]}\) of real numbers .* as complex numbers"
    for read in (read_scan, lambda path: CC359().read(path, (0,))):
        with pytest.raises(InputError, match=message):
            read(path)


def test_twelve_coils_of_the_real_size(tmp_path: Path) -> None:
    parts = np.random.default_rng(0).random((1, 218, 170, 24), np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = parts
    assert CC359().read(tmp_path / "a.h5", (0,)).kspace.shape == (1, 12, 218, 170)
