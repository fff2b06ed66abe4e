"""The banding score against its closed form, and `python -m banding.score`."""

from __future__ import annotations

import csv
import itertools
import json
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
    # nothing measured is not a perfect score
    for nothing in (torch.ones(32, 32), torch.zeros(32, 32)):
        assert math.isnan(banding_score(nothing))
    assert math.isnan(banding_score(striped, torch.ones_like(striped)))
    with pytest.raises(ValueError, match="at least 9 x 9"):
        banding_score(torch.ones(8, 32))


@pytest.fixture
def folders(tmp_path: Path, generator: torch.Generator) -> Path:
    """A target with noise of low signal; one volume banded, crossed, and bright everywhere."""
    target = (noise(generator, slices=2).abs() + reference(noise(generator, 2))).float()
    wave = torch.cos(torch.arange(96) * math.pi / 2)
    bands = wave[:80].expand(96, 80)
    made = {
        "target": target,
        "banded": target + 5 * bands,
        "crossed": target + 5 * bands + 5 * wave[:, None],
    }
    for folder, images in made.items():
        (tmp_path / folder).mkdir()
        key = "reconstruction_esc" if folder == "target" else "reconstruction"
        for name, values in (("a.h5", images), ("bright.h5", torch.ones_like(images))):
            with h5py.File(tmp_path / folder / name, "w") as file:
                file[key] = values.numpy()
                file.attrs["acquisition"] = "AXT2"
    return tmp_path


def test_crossed_bands_have_energy(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Score and energy of each volume, differences; the bright volume is left out and named."""
    monkeypatch.chdir(folders)
    command = ["banded", "crossed", "--target-path", "target", "--csv", "a.csv", "--json", "a.json"]
    assert score.main(command) == 0
    printed = capsys.readouterr().out
    assert "volumes without a window of low signal: bright.h5" in printed
    assert "of banded, 1 of 2 volumes" in printed and score.MEANING in printed

    found = json.loads(Path("a.json").read_text())
    target, banded = (
        torch.from_numpy(score.images_of(Path(each, "a.h5"))) for each in ("target", "banded")
    )
    mean = {name: each["score"]["mean"] for name, each in found["summaries"]["all"].items()}
    assert mean["banded"] == pytest.approx(banding_score(banded, target)) and mean["banded"] > 0.9
    assert abs(mean["crossed"]) < 0.1
    energy = {name: each["energy"]["mean"] for name, each in found["summaries"]["all"].items()}
    across = banding_energies(banded, target), banding_energies(target, target)
    assert energy["banded"] == pytest.approx(
        sum(map(float, across[0])) / sum(map(float, across[1]))
    )
    assert energy["crossed"] == pytest.approx(2 * energy["banded"], rel=0.2)
    difference = found["differences"]["all"]["crossed"]
    assert difference["score"]["n"] == 1 and difference["energy"]["mean"] > 1
    ssim = {name: each["SSIM"]["mean"] for name, each in found["summaries"]["all"].items()}
    assert 1 > ssim["banded"] > ssim["crossed"]
    with Path("a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["score"] for row in rows if row["file"] == "bright.h5"] == ["nan", "nan"]
    assert {row["slices"] for row in rows} == {"2"}

    # without targets the first folder says where the signal is low
    found_alone = score.scores(["target", "banded"])
    assert found_alone.summaries["all"]["target"]["energy"].mean == pytest.approx(1)
    assert found_alone.summaries["all"]["banded"]["score"].mean == pytest.approx(mean["banded"])
    assert math.isnan(found_alone.summaries["all"]["banded"]["SSIM"].mean)
    assert "[" in str(score.scores(["banded"], target_path="target"))  # of 1 volume: no interval


def test_bad_files_of_scores_are_named(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folders)
    assert score.main(["."]) == 1
    assert "no *.h5 files" in capsys.readouterr().err
    for words, message in (
        (["--confidence", "95"], "confidence 95.0: expected a level such as 0.95"),
        (["--resamples", "0"], "resamples 0, num_processes 1: expected 1 or more"),
        (["--seed", "-1"], "seed -1: expected 0 or more"),
        (["--json", "target"], "target: is a folder; expected the name of a file"),
    ):
        assert score.main(["banded", *words]) == 1
        assert message in capsys.readouterr().err
    for folder in ("banded", "target"):
        Path(folder, "b.h5").write_bytes(b"noise")
    with h5py.File("banded/c.h5", "w") as file:
        file["reconstruction"] = np.full((2, 96, 80), np.nan, np.float32)
    with h5py.File("banded/d.h5", "w") as file:
        file["image"] = np.ones((2, 96, 80), np.float32)
    assert score.main(["banded", "crossed"]) == 1
    printed = capsys.readouterr()
    for message in (
        "banded/b.h5: not an HDF5 file",
        "banded/c.h5: reconstruction holds NaN or Inf",
        "banded/d.h5: expected one of reconstruction, ",
        "crossed/b.h5: no such file",
    ):
        assert f"error: {message}" in printed.err
    assert "a.h5" in printed.out
    Path("banded/b.h5").write_bytes(Path("banded/a.h5").read_bytes())
    assert score.main(["banded", "--target-path", "target"]) == 1
    printed = capsys.readouterr()
    assert "error: target/b.h5: not an HDF5 file" in printed.err and "a.h5" in printed.out
