"""Training runs that can be compared bit by bit."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import h5py
import torch

from tests.helpers import QUIET, SMALL

# negatives drawn from batches of 2, a scheduler, 3 steps in each of 3 epochs
COMMAND = [
    *SMALL[:-2], *QUIET, "--batch_size", "2", "--max_epochs", "3", "--lr", "1e-3", "--lr_step_size",
    "2", "--deterministic", "true", "--logger", "false", "--num_negatives", "1", "--alpha", "0.05",
    "--vgg_layers", "1", "--enable_model_summary", "false", "--num_log_images", "0",
]  # fmt: skip


def make_weights(path: Path) -> list[str]:
    """Write random weights of VGG19's first layer; return the flags that use them."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 3, 3, 3, generator=generator)
    torch.save({"0.weight": weight, "0.bias": torch.zeros(64)}, path)
    return ["--vgg_weights", str(path)]


def checkpoint(root: Path, name: str = "last") -> dict[str, Any]:
    """A checkpoint of a run."""
    loaded: dict[str, Any] = torch.load(root / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return loaded


def assert_same_state(root: Path, expected: Path, logged: bool = True) -> None:
    """Weights, optimizer, scheduler, counters and the test's images are equal bit by bit.

    So is Lightning's step for logging, unless that is excluded.
    """
    for name in ("last", "best"):
        one, other = checkpoint(root, name), checkpoint(expected, name)
        assert one["lr_schedulers"] == other["lr_schedulers"]
        keys = {"epoch", "global_step", "state_dict", "optimizer_states"}
        for key in keys | (other.keys() & {"current_model_state", "averaging_state"}):
            torch.testing.assert_close(one[key], other[key], rtol=0, atol=0)
        loops = [each["loops"]["fit_loop"] for each in (one, other)]
        for part, count in itertools.product(("total", "current"), ("processed", "completed")):
            for key in ("epoch_loop.batch_progress", "epoch_progress"):
                assert loops[0][key][part][count] == loops[1][key][part][count], (key, part, count)
        if logged:
            assert loops[0]["epoch_loop.state_dict"] == loops[1]["epoch_loop.state_dict"]
    for path in sorted((expected / "reconstructions").iterdir()):
        with h5py.File(path) as file, h5py.File(root / "reconstructions" / path.name) as written:
            assert (written["reconstruction"][()] == file["reconstruction"][()]).all()
