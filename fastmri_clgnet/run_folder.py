"""What stands where in the folder of a run of train_clgnet."""

from __future__ import annotations

from pathlib import Path

BEST, LAST = "best", "last"  # names of its checkpoints, without .ckpt
CONFIG = "config.yaml"
TENSORBOARD = "tensorboard"  # folder of the logs


def checkpoint_dir(root: Path) -> Path:
    """Where a run keeps its checkpoints."""
    return root / "checkpoints"
