"""The ablation benchmark: its table, its trainings, and failures of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fastmri_clgnet.benchmark import main
from fastmri_clgnet.benchmarks import ablation, costs, training
from fastmri_clgnet.models import VARIANTS
from tests.helpers import QUIET


@pytest.fixture
def vgg(tmp_path: Path) -> Path:
    """A file with the first convolution of VGG19, random."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 3, 3, 3, generator=generator) / 5
    torch.save({"0.weight": weight, "0.bias": torch.zeros(64)}, tmp_path / "vgg.pt")
    return tmp_path / "vgg.pt"


def test_trains_every_variant_once(
    small_dataset: Path,
    tmp_path: Path,
    vgg: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(costs, "ablation_rows", lambda *args: {"clgnet": {"parameters (M)": 0.964}})
    command = [
        "ablation", "--data_path", str(small_dataset), "--steps", "2", "--output_path",
        str(tmp_path / "out"), *QUIET, "--variants", "clgnet", "wo_negative", "tran",
        "--chans", "4", "--num_groups", "1", "--num_blocks", "1",
        "--batch_size", "6", "--vgg_layers", "1", "--vgg_weights",
    ]  # fmt: skip
    assert main([*command, str(tmp_path / "nowhere.pt")]) == 1
    assert "nowhere.pt: no such file" in capsys.readouterr().err
    assert main([*command, str(vgg)]) == 0
    printed = capsys.readouterr().out
    assert "0.05 x contrastive (VGG19, convolutions 1; 6 negatives)" in printed
    assert "0.05 x contrastive (VGG19, convolutions 1; 0 negatives)" in printed
    table = json.loads((tmp_path / "out" / "ablation.json").read_text())["training"]
    rows = table["rows"]
    assert rows.keys() == {"zero_filled", "clgnet", "wo_negative", "tran"}
    assert all(0 < row["SSIM"] <= 1 for row in rows.values())
    assert [row.get("steps") for row in rows.values()] == [None, 2, 2, 2]
    assert "| CLGNet_Tran " in (tmp_path / "out" / "ablation.md").read_text()
    assert "\nCLGNet_Tran " in printed
    for variant in ("clgnet", "tran"):
        checkpoint = torch.load(
            tmp_path / "out" / variant / "checkpoints" / "last.ckpt", weights_only=True
        )
        assert checkpoint["global_step"] == 2
        assert not any("contrastive" in name for name in checkpoint["state_dict"])
    # finished trainings are not repeated
    monkeypatch.setattr(training, "train", lambda flags: 1)
    assert main([*command, str(vgg)]) == 0
    # and are not used for other flags
    assert main([*command, str(vgg), "--lr", "1e-5"]) == 1
    assert "a run with other flags" in capsys.readouterr().err


def test_networks_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmri_clgnet.benchmarks.costs.peak_mb", lambda *args: 1.0)
    monkeypatch.setattr("fastmri_clgnet.benchmarks.costs.VARIANTS", ("clgnet", "wo_sfl"))
    rows = costs.ablation_rows(32, "cpu", rounds=1)
    assert rows["wo_sfl"]["parameters (M)"] == pytest.approx(0.815041)
    assert isinstance(rows["clgnet"]["time (s)"], float)
    assert rows["clgnet"]["time (s)"] > 0
    assert ablation.NAMES.keys() == set(VARIANTS)
    assert rows["wo_cl"]["GMac"] == rows["clgnet"]["GMac"]
    assert rows["wo_cl"]["paper: GMac"] is None


def test_an_unknown_variant_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablation", "--variants", "clgnet", "wo_everything"]) == 1
    assert "variants wo_everything: expected some of clgnet wo_wavelet" in capsys.readouterr().err


def test_training_flags_without_a_training_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablation", "--chanz", "4"]) == 1
    assert "error: --chanz 4: flags of train_clgnet need data_path" in capsys.readouterr().err
    for name in ("table2", "speed"):
        with pytest.raises(SystemExit):
            main([name, "--chanz", "4"])
