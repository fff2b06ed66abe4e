"""The banding score against its closed form, and `python -m banding.score`."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from banding import score
from banding.metrics import WINDOW, banding_energies, banding_score


def noise(generator: torch.Generator, slices: int = 20) -> torch.Tensor:
    """White noise of variance 1 with a bright square that sets the scale, and its reference."""
    return torch.randn(slices, 96, 80, generator=generator, dtype=torch.float64)


def reference(image: torch.Tensor) -> torch.Tensor:
    """Bright in a corner, dark elsewhere."""
    bright = torch.zeros_like(image)
    bright[..., :20, :20] = 1000
    return bright


@pytest.mark.parametrize("amplitude", [0.0, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("period", [2, 4, 5])
def test_closed_form_of_bands_in_white_noise(
    amplitude: float, period: int, generator: torch.Generator
) -> None:
    image = noise(generator)
    omega = 2 * math.pi / period
    phase = torch.arange(image.shape[-1], dtype=torch.float64)
    banded = image + amplitude * torch.cos(omega * phase)
    squared = 1.0 if period == 2 else 0.5  # mean of cos^2
    signal = amplitude**2 * squared * (2 - 2 * math.cos(omega)) ** 2
    expected = signal / (signal + 2 * 6 / WINDOW)
    assert banding_score(banded, reference(image)) == pytest.approx(expected, abs=0.02)


def test_energy_of_white_noise(generator: torch.Generator) -> None:
    image = noise(generator)
    level = banding_energies(torch.ones_like(image), reference(image))
    assert float(level[0]) == pytest.approx(0, abs=1e-12)
    low = torch.nn.functional.max_pool2d(reference(image)[:, None], WINDOW, stride=1) == 0
    for energy in banding_energies(3 * image, reference(image)):
        assert float(energy / low.sum()) == pytest.approx(9 * 6 / WINDOW, rel=0.05)


def test_grows_with_the_bands_and_ignores_units_and_changes_sign(
    generator: torch.Generator,
) -> None:
    image = noise(generator, slices=2)
    where = reference(image)
    bands = torch.cos(torch.arange(image.shape[-1]) * math.pi / 2)
    scores = [banding_score(image + a * bands, where) for a in np.linspace(0.2, 5, 12)]
    assert all(b > a for a, b in itertools.pairwise(scores))
    banded = image + 0.5 * bands + where
    assert banding_score(1e-6 * banded) == pytest.approx(banding_score(banded), rel=1e-9)
    turned = banded.transpose(-2, -1)
    assert banding_score(turned) == pytest.approx(-banding_score(banded), rel=1e-9)


def test_bright_windows_do_not_count(generator: torch.Generator) -> None:
    image = noise(generator, slices=1)
    where = reference(image)
    striped = image.clone()
    striped[..., :20, :20] += 1000 * torch.cos(torch.arange(20) * math.pi)
    assert banding_score(striped, where) == banding_score(image, where)
    assert banding_score(torch.ones(32, 32)) == 0
    with pytest.raises(ValueError, match="at least 9 x 9"):
        banding_score(torch.ones(8, 32))


def test_command_prints_a_line_for_each_volume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], generator: torch.Generator
) -> None:
    image = (noise(generator, slices=2).abs() + reference(noise(generator, 2))).float()
    bands = 5 * torch.cos(torch.arange(80) * math.pi / 2)
    for folder, values in (("out", image + bands), ("target", image)):
        (tmp_path / folder).mkdir()
        with h5py.File(tmp_path / folder / "a.h5", "w") as file:
            key = "reconstruction" if folder == "out" else "reconstruction_esc"
            file[key] = values.numpy()
    expected = banding_score(image + bands, image)
    target = ["--target-path", str(tmp_path / "target")]
    assert score.main([str(tmp_path / "out"), *target]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"a.h5  {expected:7.4f}", f"mean  {expected:7.4f}"]
    assert expected > 0.9
    assert score.main([str(tmp_path)]) == 1
    assert "no *.h5 files" in capsys.readouterr().err
    (tmp_path / "out" / "b.h5").write_bytes(b"noise")
    (tmp_path / "target" / "b.h5").write_bytes(b"noise")
    assert score.main([str(tmp_path / "out"), *target]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == printed and "b.h5: not an HDF5 file" in said.err
    with h5py.File(tmp_path / "out" / "a.h5", "r+") as file:
        file["reconstruction"][1, 2, 3] = np.nan
    assert score.main([str(tmp_path / "out")]) == 1
    assert "a.h5: reconstruction holds NaN or Inf" in capsys.readouterr().err
