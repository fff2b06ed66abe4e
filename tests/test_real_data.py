"""Real brain volumes (simulated k-space) and real raw k-space through the command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.check import main as check
from fastmri_clgnet.convert import main as convert
from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.train_clgnet import main
from tests.helpers import QUIET, SMALL, host_evaluates


def _centred_fft(image: np.ndarray) -> np.ndarray:
    axes = (-2, -1)
    shifted = np.fft.ifftshift(image, axes=axes)
    return np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=axes)


@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
def test_trains_on_real_brains(
    challenge: str, test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real anatomy, cropped to 128 x 128, simulated k-space; long enough to show learning."""
    monkeypatch.chdir(tmp_path)
    y, x = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128), indexing="ij")
    for split, name in (("train", "p01_s1_t2w"), ("val", "p19_s1_flair")):
        magnitude = np.load(test_data / "brain_magnitude" / f"{name}.npz")["magnitude"]
        image = 1e-4 * magnitude[8:12, 64:192, 64:192] / 4095 * np.exp(1j * (x + y))
        if challenge == "multicoil":
            image = image[:, None] * np.stack([np.exp(-((x - c) ** 2)) for c in (-1, 1)])
        target = np.abs(image) if challenge == "singlecoil" else np.linalg.norm(image, axis=1)
        Path(f"{challenge}_{split}").mkdir()
        write_fastmri_file(
            f"{challenge}_{split}/{name}.h5",
            _centred_fft(image).astype(np.complex64),
            target.astype(np.float32),
        )
    flags = ["--challenge", challenge, "--data_path", ".", *SMALL, *QUIET]
    flags += ["--lr", "0.002", "--batch_size", "2"]
    errors = []
    for epochs in ("1", "10"):
        assert main([*flags, "--max_epochs", epochs]) == 0
        metrics = json.loads(Path(f"clgnet/{challenge}/metrics.json").read_text())
        errors.append(metrics["CLGNet"]["nmse"])
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.slow
def test_half_an_hour_beats_zero_filling_by_1_5_db(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small network on real brains; the script beside the data makes the data set."""
    monkeypatch.chdir(tmp_path)
    script = test_data.parent / "tools" / "make_fastmri_dataset.py"
    subprocess.run([sys.executable, str(script), "BRAIN"], check=True)
    flags = ["--data_path", "BRAIN", "--chans", "16", "--num_groups", "1", "--num_blocks", "2"]
    flags += ["--lr", "2e-3", "--lr_step_size", "9", "--batch_size", "2", "--max_epochs", "12"]
    assert main([*flags, "--alpha", "0", "--num_workers", "0"]) == 0
    metrics = json.loads(Path("clgnet/singlecoil/metrics.json").read_text())
    assert metrics["CLGNet"]["psnr"] > metrics["zero-filled"]["psnr"] + 1.5


def test_real_raw_kspace_trains_as_multicoil(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slice of raw 4-coil k-space: converted, checked, trained, evaluated by fastMRI."""
    monkeypatch.chdir(tmp_path)
    raw = test_data / "brain_raw_4ch" / "t2_tse_slice.npz"
    # two volumes to evaluate: fastMRI's evaluation prints a spread
    for name in ("train/a", "val/b", "val/c"):
        Path("raw", name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(raw, Path("raw", f"{name}.npz"))
    axes = ["--axes", "slice", "coil", "row", "column", "--recon_size", "256", "256"]
    flags = ["--from", "numpy", *axes, "--acquisition", "AXT2", "--num_workers", "1"]
    assert convert(["raw", "data", *flags]) == 0
    assert check(["data", "--challenge", "multicoil", "--num_workers", "1"]) == 0
    axes_2d = (-2, -1)
    kspace = np.load(raw)["kspace"]
    assert kspace.shape == (1, 4, 512, 256)
    image = np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes_2d), norm="ortho")
    rss = np.linalg.norm(np.fft.fftshift(image, axes=axes_2d), axis=1)[:, 128:384]
    with h5py.File("data/multicoil_val/b.h5") as file:
        np.testing.assert_allclose(file["reconstruction_rss"], rss, atol=1e-6 * rss.max())
    training = ["--challenge", "multicoil", "--data_path", "data", *SMALL, *QUIET]
    training += ["--batch_size", "1"]
    assert main([*training, "--max_epochs", "1"]) == 0
    metrics = json.loads(Path("clgnet/multicoil/metrics.json").read_text())
    assert 20 < metrics["zero-filled"]["psnr"] < 45
    assert main([*training, "--mode", "test", "--test_split", "val"]) == 0
    predictions = Path("clgnet/multicoil/reconstructions_val")
    values = host_evaluates(
        Path("data/multicoil_val"), predictions, "multicoil", "--acquisition", "AXT2"
    )
    assert values["PSNR"] == pytest.approx(metrics["CLGNet"]["psnr"], rel=1e-3)
