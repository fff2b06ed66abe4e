"""Slices without any signal, which real volumes have, in every model and step."""

from __future__ import annotations

import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from fastmri_clgnet import evaluate, reconstruct
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.losses import ContrastiveLoss
from fastmri_clgnet.train_clgnet import main
from tests.helpers import MASK, QUIET, make_small_dataset
from tests.reliability.networks import NETWORKS


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One volume of 3 slices in each split, the first of them zero; in training the first two."""
    root = tmp_path_factory.mktemp("zeros")
    for challenge in TARGET_KEYS:
        make_small_dataset(root, challenge)
        for name in ("train/b", "val/d"):
            (root / f"{challenge}_{name}.h5").unlink()
    for path in root.rglob("*.h5"):
        with h5py.File(path, "r+") as file:
            for i in (0, 1) if path.stem == "a" else (0,):
                for key in file.keys() & {"kspace", *TARGET_KEYS.values()}:
                    file[key][i] = 0
    return root


@pytest.mark.parametrize(
    ("model", "challenge"),
    [*((name, "singlecoil") for name in NETWORKS), ("clgnet", "multicoil"),
     ("clgnet_dc", "multicoil"), ("clgvarnet", "multicoil"), ("varnet", "multicoil")],
)  # fmt: skip
def test_zero_slices_train_validate_test_and_reconstruct(
    model: str, challenge: str, data_path: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    data = ["--data_path", str(data_path), "--default_root_dir", str(root)]
    data += ["--challenge", challenge]
    command = ["--model", model, *NETWORKS[model], *QUIET, *data, "--batch_size", "1"]
    # one slice per batch, images logged; NaN in a loss, a gradient or a weight is an error
    assert main([*command, "--max_epochs", "1", "--logger", "false"]) == 0
    metrics = json.loads((root / "metrics.json").read_text())
    for values in metrics.values():
        assert all(math.isfinite(value) for value in values.values()), metrics
    state = torch.load(root / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())
    assert len(list((root / "images").rglob("*.png"))) > 0
    with h5py.File(root / "reconstructions" / "e.h5") as file:
        images = file["reconstruction"][()]
    assert np.isfinite(images).all()

    checkpoint = ["--checkpoint", str(root / "checkpoints" / "best.ckpt")]
    folders = ["--data_path", str(data_path / f"{challenge}_val"), "--output_path", str(tmp_path)]
    assert reconstruct.main([*checkpoint, *folders, *MASK]) == 0
    with h5py.File(tmp_path / "c.h5") as file:
        assert np.isfinite(file["reconstruction"]).all()


def test_a_volume_of_zeros_is_named_and_the_others_are_evaluated(
    data_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its NMSE, PSNR and SSIM divide by its energy or its largest value."""
    folder, predictions = tmp_path / "targets", tmp_path / "predictions"
    for path in (folder, predictions):
        path.mkdir()
    for name, factor in (("c", 1.0), ("zero", 0.0)):
        with h5py.File(data_path / "singlecoil_val" / "c.h5") as file:
            target = file["reconstruction_esc"][()] * factor
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["reconstruction_esc"] = target
            file.attrs["acquisition"] = "AXT2"
        with h5py.File(predictions / f"{name}.h5", "w") as file:
            file["reconstruction"] = target + np.float32(1e-6)
    flags = ["--target-path", str(folder), "--predictions-path", str(predictions)]
    output = tmp_path / "metrics.json"
    flags += ["--challenge", "singlecoil", "--json", str(output)]
    assert evaluate.main(flags) == 1
    printed = capsys.readouterr()
    assert f"error: {folder / 'zero.h5'}: the reference is zero everywhere" in printed.err
    assert "nan" not in (printed.out + output.read_text()).lower()
    assert [each["file"] for each in json.loads(output.read_text())["volumes"]] == ["c.h5"]


def test_the_contrastive_loss_of_zero_images_is_finite() -> None:
    images = torch.zeros(2, 1, 8, 8)
    output = torch.zeros(2, 1, 8, 8, requires_grad=True)
    loss = ContrastiveLoss(lambda image: [image], [1.0], num_negatives=2)
    value = loss(output, images, images)
    value.backward()
    assert torch.isfinite(value) and output.grad is not None
    assert torch.isfinite(output.grad).all()
