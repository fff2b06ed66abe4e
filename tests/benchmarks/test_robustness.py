"""The benchmark of robustness: its changes by closed forms, and its table on small data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.benchmark import main
from fastmri_clgnet.benchmarks.robustness_rows import (
    DIFFERENCES,
    Difference,
    enlarged,
    resized,
    transposed,
    with_gamma,
)
from fastmri_clgnet.formats.simulate import Simulation


def waves(pixels: int, across: float = 1.0, first: float = 0.0) -> np.ndarray:
    """Two slices of a positive periodic image; `pixels` cover `across` of its period."""
    y, x = np.meshgrid(*2 * [2 * np.pi * (first + across * np.arange(pixels) / pixels)])
    return np.stack([2 + np.cos(3 * x) * np.sin(y), 3 + np.sin(2 * x + y)])


@pytest.mark.parametrize("pixels", [24, 48, 75])
def test_resized_images_sample_the_same_function(pixels: int) -> None:
    np.testing.assert_allclose(resized(waves(40), pixels), waves(pixels), atol=1e-12)


def test_enlarged_images_show_the_central_half() -> None:
    np.testing.assert_allclose(enlarged(waves(40)), waves(40, across=0.5, first=0.25), atol=1e-12)


def test_gamma_and_transposition() -> None:
    images = waves(40)
    changed = with_gamma(images, 2)
    assert changed.max() == pytest.approx(images.max())
    np.testing.assert_allclose(changed, images**2 / images.max())
    np.testing.assert_array_equal(transposed(images)[1], images[1].T)


def test_differences_are_named_by_what_they_change() -> None:
    images = waves(40)
    for name, (change, simulation) in DIFFERENCES.items():
        changed = images if change is None else change(images)
        scan = simulation.simulated(Path("a.h5"), changed, [0])
        if name.endswith("pixels"):
            assert scan.kspace.shape[-2:] == tuple(int(n) for n in name.split()[::2])
        assert scan.n_coils == (int(name.split()[0]) if name.endswith("coils") else 1)
        if name.startswith("noise"):
            assert scan.attributes["simulated_noise"] == float(name.split()[1].strip("%")) / 100


def test_a_row_for_each_difference_and_weights(
    small_run: Path,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [*DIFFERENCES][1:]:
        monkeypatch.delitem(DIFFERENCES, name)
    monkeypatch.setitem(DIFFERENCES, "noisy", Difference(simulation=Simulation(noise=0.5)))
    best = str(small_run / "checkpoints" / "best.ckpt")
    command = ["robustness", "--data_path", str(small_dataset / "singlecoil_val")]
    command += ["--output_path", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*command, "--weights", "Ours", best, "--every", "2"]) == 0
    rows = json.loads((tmp_path / "out" / "robustness.json").read_text())["robustness"]["rows"]
    names = [
        f"{what}, {label}" for what in ("as it is", "noisy") for label in ("zero-filled", "Ours")
    ]
    assert list(rows) == names
    assert rows["noisy, zero-filled"]["PSNR (dB)"] < rows["as it is, zero-filled"]["PSNR (dB)"] - 3
    assert rows["as it is, Ours"] != rows["as it is, zero-filled"]
    capsys.readouterr()
    # images that cannot be used are left out, and named
    data = tmp_path / "data"
    shutil.copytree(small_dataset / "singlecoil_val", data)
    with h5py.File(data / "d.h5", "r+") as file:
        file["reconstruction_esc"][...] = 0
    command[2] = str(data)
    assert main([*command, "--weights", "Ours", best, "--every", "2"]) == 0
    assert "left out: d.h5, as it is (" in capsys.readouterr().out
    for words, message in (
        (["--weights", "Ours", "nowhere.ckpt"], "nowhere.ckpt: no such weights"),
        (["--weights", "zero-filled", best], "none of them labelled zero-filled"),
        (["--weights", "Ours", best, "--every", "0"], "every 0: expected 1 or more"),
    ):
        assert main([*command, *words]) == 1
        assert message in capsys.readouterr().err
