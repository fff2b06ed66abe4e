"""The speed benchmark: its actions, its plain network, and its tables from the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from fastmri_clgnet.benchmark import main
from fastmri_clgnet.benchmarks import speed_rows
from fastmri_clgnet.benchmarks.measure import forward_pass, training_step
from fastmri_clgnet.benchmarks.plain import PlainSpatialFourierLayer, plain_clgnet
from fastmri_clgnet.models import CLGNet

CPU = torch.device("cpu")


def small() -> CLGNet:
    """Make a small network."""
    return CLGNet(chans=2, num_groups=1, num_blocks=1)


def test_plain_network_has_plain_layers_and_the_same_parameters() -> None:
    plain, own = plain_clgnet(), CLGNet()
    layers = [m for m in plain.modules() if isinstance(m, PlainSpatialFourierLayer)]
    assert len(layers) == 48
    own.load_state_dict(plain.state_dict())
    image = torch.randn(1, 1, 24, 20)
    with torch.no_grad():
        torch.testing.assert_close(own(image), plain(image), rtol=1e-4, atol=1e-5)


def test_training_step_changes_every_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)  # of two channels a ReLU may leave none
    made: list[nn.Module] = []

    def make() -> nn.Module:
        made.append(small())
        return made[-1]

    step = training_step(make, 16, 2, CPU, contrastive=True)
    before = {name: p.clone() for name, p in made[0].named_parameters()}
    step()
    assert not any(torch.equal(p, before[name]) for name, p in made[0].named_parameters())


def test_forward_pass_in_lower_precision() -> None:
    dtypes: list[torch.dtype] = []

    class Watched(CLGNet):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            output = super().forward(image)
            dtypes.append(output.dtype)
            return output

    forward_pass(lambda: Watched(1, 1, 2, 1, 1), 16, 1, CPU, "bf16-mixed")()
    assert dtypes == [torch.bfloat16]


def test_tables(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("unet", "plain_clgnet", "CLGNet"):
        monkeypatch.setattr(speed_rows, name, small)
    monkeypatch.setattr(speed_rows, "peak_mb", lambda *args: 1.0)
    command = [
        "speed", "--size", "16", "--batch", "2", "--rounds", "1", "--data_path", str(small_dataset),
        "--workers", "0", "1", "--output_path", str(tmp_path),
    ]  # fmt: skip
    assert main(command) == 0
    tables = json.loads((tmp_path / "speed.json").read_text())
    for part in ("forward", "step"):
        rows = tables[part]["rows"]
        assert rows.keys() == {"unet", "plain", "clgnet"}
        assert rows["unet"]["ratio to U-Net"] == 1
        assert rows["unet"]["operators"] == rows["clgnet"]["operators"] > 0  # the same network
        assert rows["clgnet"]["slices/s"] == pytest.approx(2 / rows["clgnet"]["time (s)"])
    operators = [tables[part]["rows"]["clgnet"]["operators"] for part in ("forward", "step")]
    assert operators[0] < operators[1]
    assert tables["contrastive_step"]["rows"]["contrastive"]["ratio to L1"] > 1
    assert {row["slices/s"] > 0 for row in tables["data"]["rows"].values()} == {True}
    printed = capsys.readouterr().out
    assert "compiled" not in printed
    assert "batch 2, 16 x 16, cpu, 32-true" in printed
    assert "1 workers" in printed


def test_several_settings_beside_a_compiled_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("unet", "CLGNet"):
        monkeypatch.setattr(speed_rows, name, small)
    compiled: list[torch.device] = []
    monkeypatch.setattr(speed_rows, "compile_network", lambda _, where: compiled.append(where))
    monkeypatch.setattr(speed_rows, "peak_mb", lambda *args: 1.0)
    command = [
        "speed", "--size", "16", "20", "--batch", "1", "2", "--precision", "32-true", "bf16-mixed",
        "--parts", "step", "--rounds", "1", "--compile", "true", "--output_path", str(tmp_path),
    ]  # fmt: skip
    assert main(command) == 0
    tables = json.loads((tmp_path / "speed.json").read_text())
    tables = {name: table for name, table in tables.items() if name.startswith("step")}
    assert len(tables) == 8 and "step_20_2_bf16-mixed" in tables
    for table in tables.values():
        assert table["rows"].keys() == {"unet", "clgnet", "compiled"}
        assert table["rows"]["compiled"]["first pass (s)"] > 0
        assert table["rows"]["compiled"]["operators"] is None
    assert compiled == 8 * [CPU]
    assert "CLGNet, compiled" in capsys.readouterr().out
