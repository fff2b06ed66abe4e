"""What stands where in the folder of a run of train_clgnet, or of banding's fine-tuning."""

from __future__ import annotations

from pathlib import Path

BEST, LAST = "best", "last"  # names of its checkpoints, without .ckpt
PLAIN = "plain"  # what a fine-tuning keeps, a model without the adversary that last.ckpt has
CONFIG = "config.yaml"
TENSORBOARD = "tensorboard"  # folder of the logs


def checkpoint_dir(root: Path) -> Path:
    """Where a run keeps its checkpoints."""
    return root / "checkpoints"
