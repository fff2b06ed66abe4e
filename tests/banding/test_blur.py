"""A Gaussian that takes as much energy as a fine-tuning did, against its closed form."""

from __future__ import annotations

import math
from pathlib import Path

import fastmri
import numpy as np
import pytest
import torch

from banding import blur
from banding.metrics import banding_energies
from banding.score import scores
from fastmri_clgnet.inference.submission import read_settings

OMEGA = math.pi / 3


def bright_corner(shape: tuple[int, ...]) -> np.ndarray:
    """Says that the signal is low but for the upper left."""
    reference = np.zeros(shape, np.float32)
    reference[..., :12, :12] = 1000
    return reference


@pytest.mark.parametrize("part", [0.5, 0.2, 0.1])
def test_bands_lose_what_a_gaussian_takes(part: float) -> None:
    """A Gaussian multiplies cos(w x) by exp(-s^2 w^2 / 2), and its energy by exp(-s^2 w^2)."""
    # whole periods, and an extremum on both borders: reflection there continues the wave
    bands = np.cos(OMEGA * (np.arange(96) + 0.5)).astype(np.float32)
    images = np.tile(bands, (2, 80, 1))
    reference = bright_corner(images.shape)
    before = sum(banding_energies(torch.from_numpy(images), torch.from_numpy(reference)))
    blurred, sigma = blur.blur_to(images, part * float(before), reference)
    assert sigma == pytest.approx(math.sqrt(-math.log(part)) / OMEGA, rel=0.01)
    np.testing.assert_allclose(blurred, math.sqrt(part) * images, atol=5e-3)


def test_what_cannot_be_met_is_left_or_blurred_most() -> None:
    images = np.tile(np.cos(OMEGA * np.arange(96)).astype(np.float32), (1, 80, 1))
    turned = np.ascontiguousarray(images.swapaxes(-2, -1))
    reference = bright_corner(images.shape)
    same, sigma = blur.blur_to(images, 1e9, reference)
    assert sigma == 0 and same is images
    # which it does not touch, and cannot bring to nothing
    blurred, sigma = blur.blur_to(turned, 0.0, bright_corner(turned.shape))
    assert 0 < sigma <= blur.WINDOW
    np.testing.assert_allclose(blurred, turned, atol=1e-6)


def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blurred volumes have the energy of the fine-tuned ones, and can be scored beside them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    target = (np.abs(rng.normal(size=(2, 80, 80))) + bright_corner((2, 80, 80)) / 20).astype(
        np.float32
    )
    bands = np.cos(np.pi / 2 * np.arange(80)).astype(np.float32)
    for folder, amplitude in (("target", 0), ("before", 6), ("after", 1)):
        fastmri.save_reconstructions({"a.h5": target + amplitude * bands}, Path(folder))
    command = ["before", "after", "blurred", "--target-path", "target"]
    assert blur.main(command) == 0
    sigma = float(capsys.readouterr().out.split()[-1])
    settings = read_settings(Path("blurred/a.h5"))
    assert settings is not None and settings["sigma"] == pytest.approx(sigma, abs=0.006)
    assert 0.3 < sigma < 2
    found = scores(["before", "after", "blurred"], target_path="target").summaries["all"]
    assert found["blurred"]["energy"].mean == pytest.approx(found["after"]["energy"].mean, rel=0.01)
    assert found["before"]["energy"].mean > 5 * found["after"]["energy"].mean
    Path("before/b.h5").write_bytes(b"noise")
    assert blur.main(command) == 1
    printed = capsys.readouterr()
    assert "b.h5: not an HDF5 file" in printed.err and printed.out.split()[-2] == "a.h5"
    assert blur.main(["before", "after", "before"]) == 1
    assert "before: would be overwritten" in capsys.readouterr().err
    fastmri.save_reconstructions({"a.h5": target}, Path("others"))
    assert blur.main(["before", "after", "others"]) == 1
    assert "others/a.h5: was not written by this command" in capsys.readouterr().err
    assert blur.main(["before", "after", "blurred"]) == 1  # again; b.h5 is still damaged
    assert "b.h5: not an HDF5 file" in capsys.readouterr().err
    assert blur.main(["nothing", "after", "blurred"]) == 1
    assert "nothing: no *.h5 files" in capsys.readouterr().err
