"""Masks of the training and of the validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from fastmri_clgnet.data import Data, Mask
from fastmri_clgnet.data.mask import MaskType
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.flags import call
from fastmri_clgnet.train_clgnet import main, parse_arguments
from tests.helpers import QUIET


def data_of(flags: list[str]) -> Data:
    """What the command reads for some flags."""
    data: Data = call(Data, parse_arguments(flags))
    return data


@pytest.mark.parametrize("mask_type", get_args(MaskType))
def test_every_type_mixes_several_accelerations(mask_type: MaskType) -> None:
    flags = ["--mask_type", mask_type, "--accelerations", "4", "8"]
    mask_of = data_of([*flags, "--center_fractions", "0.08", "0.04"]).mask
    assert mask_of == Mask(mask_type, (4, 8), (0.08, 0.04))
    mask_func = mask_of.make()
    centres = set()
    sampled = []
    for _ in range(40):
        mask, num_low_frequencies = mask_func((1, 200, 1))
        centres.add(num_low_frequencies)
        sampled.append(float(mask.mean()))
    assert centres == {16, 8}
    # one over the acceleration; plain equispaced and magic add the centre to it
    assert min(sampled) == pytest.approx(1 / 8, abs=0.06)
    assert max(sampled) == pytest.approx(1 / 4, abs=0.08)
    np.testing.assert_array_equal(
        mask_of.make(seed=3)((1, 200, 1))[0], mask_of.make(seed=3)((1, 200, 1))[0]
    )


def test_validation_takes_the_trainings_masks_unless_told_otherwise() -> None:
    flags = ["--mask_type", "magic", "--accelerations", "4", "6"]
    flags += ["--center_fractions", "0.1", "0.1"]
    data = data_of(flags)
    assert data.fixed_mask == data.mask
    data = data_of([*flags, "--val_mask_type", "random"])
    assert str(data.fixed_mask) == "mask random, 4 6x"
    data = data_of([*flags, "--val_accelerations", "8", "--val_center_fractions", "0.04"])
    assert str(data.fixed_mask) == "mask magic, 8x"
    assert str(data.mask) == "mask magic, 4 6x"


ERRORS = {
    "one alone": (["--val_accelerations", "8"], "give both or neither"),
    "lengths": (
        ["--val_accelerations", "8", "4", "--val_center_fractions", "0.04"],
        "accelerations 8 4 has 2 values, center_fractions 0.04 has 1",
    ),
    "dense": (
        ["--val_accelerations", "8", "--val_center_fractions", "0.2"],
        "acceleration 8 with centre fraction 0.2",
    ),
    "none": (["--accelerations", "20"], "acceleration 20 with centre fraction 0.08"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    flags, message = ERRORS[name]
    with pytest.raises(InputError, match=message):
        data_of(flags).fixed_mask.make()


@pytest.mark.parametrize("mask_type", ["equispaced_fraction", "magic_fraction"])
def test_what_the_host_cannot_draw_is_found_before_the_training(mask_type: MaskType) -> None:
    """It divides by zero where the centre holds all columns to sample."""
    with pytest.raises(InputError, match=r"none of acceleration 4 .* 0\.25 for 40 columns"):
        Mask(mask_type, (4,), (0.25,)).check([40])
    Mask(mask_type).check([40, 368])


def test_the_command_validates_with_its_own_mask(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zero-filling's metrics are those of the validation's mask, not of the training's."""
    command = ["--model", "zero_filled", *QUIET, "--data_path", str(small_dataset)]
    validation = ["--val_mask_type", "equispaced", "--val_accelerations", "2"]
    validation += ["--val_center_fractions", "0.1"]
    plain = ["--mask_type", "equispaced", "--accelerations", "2", "--center_fractions", "0.1"]
    metrics = {}
    for name, flags in {"default": [], "validation": validation, "plain": plain}.items():
        root = tmp_path / name
        assert main([*command, *flags, "--default_root_dir", str(root)]) == 0
        metrics[name] = json.loads((root / "metrics.json").read_text())
        assert ("mask random, 4x" in capsys.readouterr().out) == (name == "default")
    assert metrics["validation"] == metrics["plain"]
    assert metrics["validation"] != metrics["default"]
    bad = ["--val_mask_type", "magic_fraction", "--val_accelerations", "4"]
    assert main([*command, *bad, "--val_center_fractions", "0.25"]) == 1
    assert "error: mask magic_fraction: none of acceleration 4" in capsys.readouterr().err
