"""How Lightning writes a checkpoint here: beside its place, then renamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_fabric.plugins.io import TorchCheckpointIO

from fastmri_clgnet.safe_loading import save_tensors


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, and says which file could not be written.

    Lightning's own way writes to the folder of temporary files and moves the file from there. Where
    that folder is on another disk (/tmp often is), moving is copying, and an interruption or a full
    disk leaves half a checkpoint in the place of a good one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write one checkpoint.

        Args:
            checkpoint: Its contents.
            path: The file.
            storage_options: None; Lightning's, which are not for files.

        Raises:
            InputError: If it cannot be written.
        """
        save_tensors(Path(path), checkpoint)
