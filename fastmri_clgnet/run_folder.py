"""The layout of the folder of a train_clgnet run, or of a fine-tuning by banding."""

from __future__ import annotations

from pathlib import Path

BEST, LAST = "best", "last"  # names of the checkpoints, without .ckpt
PLAIN = "plain"  # the result of a fine-tuning, without the adversary, which last.ckpt holds
CONFIG, METRICS = "config.yaml", "metrics.json"
TENSORBOARD = "tensorboard"  # folder of the logs


def checkpoint_dir(root: Path) -> Path:
    """Return the folder of a run's checkpoints."""
    return root / "checkpoints"
