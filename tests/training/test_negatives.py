"""Negatives of the same slice, from the command line to the loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fastmri_clgnet import CLGNetModule
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training import paper_objective
from tests.reliability.runs import COMMAND, assert_same_state, make_weights


def test_a_stopped_run_goes_on_bit_by_bit(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [*COMMAND, *make_weights(tmp_path / "vgg.pt"), "--data_path", str(small_dataset)]
    common += ["--negatives", "both", "--num_negatives", "2"]
    common += ["--accelerations", "2", "--center_fractions", "0.2"]

    def run(name: str, epochs: int) -> Path:
        root = tmp_path / name
        flags = ["--max_epochs", str(epochs), "--default_root_dir", str(root)]
        assert main([*common, *flags]) == 0
        return root

    whole = run("whole", 2)
    assert "2 negatives of each kind" in capsys.readouterr().out
    run("parts", 1)
    assert_same_state(run("parts", 2), whole)


def test_the_module_asks_for_what_its_loss_needs(tmp_path: Path) -> None:
    file = make_weights(tmp_path / "vgg.pt")[1]
    assert CLGNetModule(chans=4).other_masks == 0
    for negatives, alpha, expected in (
        ("batch", 1, 0), ("same_slice", 1, 3), ("both", 1, 3), ("both", 0, 0)
    ):  # fmt: skip
        loss = paper_objective(alpha, 3, file, (1,), negatives)  # type: ignore[arg-type]
        assert CLGNetModule(chans=4, loss=loss).other_masks == expected
    # a loss of three arguments never meets a fourth

    def squared(
        output: torch.Tensor, target: torch.Tensor, undersampled: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        return {"loss": (output - target).square().mean()}

    assert CLGNetModule(chans=4, loss=squared).other_masks == 0
