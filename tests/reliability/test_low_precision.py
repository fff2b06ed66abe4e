"""Lower precision on images of 1e-5, the magnitude of fastMRI's: 200 steps stay finite."""

from __future__ import annotations

import json
import math
from pathlib import Path

import h5py
import pytest
import torch

from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.train_clgnet import main
from tests.helpers import QUIET, make_small_dataset
from tests.reliability.networks import NETWORKS

STEPS = 200


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data set, its brightest pixels between 1e-5 and 1e-4."""
    root = make_small_dataset(tmp_path_factory.mktemp("faint"), "singlecoil")
    for path in root.rglob("*.h5"):
        with h5py.File(path, "r+") as file:
            for key in file.keys() & {"kspace", *TARGET_KEYS.values()}:
                file[key][...] = file[key][()] * 0.1
            if "max" in file.attrs:
                file.attrs["max"] = file.attrs["max"] * 0.1
                assert 1e-5 < file.attrs["max"] < 1e-4
    return root


@pytest.mark.slow
@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_200_steps_stay_finite(model: str, precision: str, data_path: Path, tmp_path: Path) -> None:
    if precision == "16-mixed" and not torch.cuda.is_available():
        pytest.skip("needs a GPU: on the CPU Lightning takes bf16-mixed in place of 16-mixed")
    data = ["--data_path", str(data_path), "--default_root_dir", str(tmp_path)]
    command = ["--model", model, *NETWORKS[model], *QUIET, *data, "--precision", precision]
    if torch.cuda.is_available():
        command += ["--accelerator", "gpu", "--devices", "1"]
    # NaN or Inf in a loss, a gradient, a validation or a weight would be an error
    length = ["--max_epochs", "-1", "--max_steps", str(STEPS), "--val_check_interval", "100"]
    length += ["--check_val_every_n_epoch", "null", "--batch_size", "2"]
    assert main([*command, *length]) == 0
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == STEPS
    assert all(torch.isfinite(value).all() for value in checkpoint["state_dict"].values())
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    (label,) = metrics.keys() - {"zero-filled"}
    assert all(math.isfinite(value) for value in metrics[label].values())
