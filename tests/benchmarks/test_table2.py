"""The paper's Table 2 from the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fastmri_clgnet.benchmark import main
from fastmri_clgnet.benchmarks.measure import example_inputs
from fastmri_clgnet.benchmarks.paper import TABLE2
from fastmri_clgnet.models.comparison import CDDN


def test_table_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastmri_clgnet.benchmarks.costs.peak_mb", lambda *args: 1.0)
    command = ["table2", "--size", "32", "--rounds", "1", "--output_path", str(tmp_path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    rows = json.loads((tmp_path / "table2.json").read_text())["table2"]["rows"]
    assert rows.keys() == TABLE2.keys()
    for name, row in rows.items():
        assert row["parameters (M)"] == pytest.approx(row["paper: parameters (M)"], abs=0.0051)
        if name != "octconv":
            assert row["GMac"] == pytest.approx(row["paper: GMac"], rel=0.005)
        assert row["ratio to U-Net"] > 0
    assert rows["unet"]["ratio to U-Net"] == 1
    assert "\nDual-OctConv " in printed
    assert "| Dual-OctConv " in (tmp_path / "table2.md").read_text()
    assert "no natural reading" in printed


def test_inputs_of_a_network_on_kspace() -> None:
    kspace, mask = example_inputs(CDDN(1, 4), (8, 12), torch.device("cpu"))
    assert kspace.shape == (1, 8, 12, 2)
    assert torch.equal(kspace * mask, kspace)
    assert mask.sum() == 3
