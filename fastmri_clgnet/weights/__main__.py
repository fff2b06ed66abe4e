"""The command `python -m fastmri_clgnet weights`: the weights that ship with the package."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastmri_clgnet import cli
from fastmri_clgnet.weights import shipped

if TYPE_CHECKING:
    from fastmri_clgnet.inference.loading import StoredModel


@dataclass(frozen=True)
class Weights:
    """What `weights` gives: the files by name, which print themselves as a table."""

    files: dict[str, Path]

    def __str__(self) -> str:
        """One block for each."""
        from fastmri_clgnet.inference.loading import read_model

        blocks = [_block(name, read_model(path)) for name, path in self.files.items()]
        return "\n\n".join(blocks) or "No weights ship with this version."


def weights() -> Weights:
    """List the trained weights that ship with the package, for --checkpoint and --init_weights."""
    return Weights(shipped())


def _block(name: str, stored: StoredModel) -> str:
    n_parameters = sum(values.numel() for values in stored.state.values())
    lines = {
        "model": f"{stored.model}, {n_parameters:,} parameters",
        "trained on": stored.training,
        "model card": str(stored.path.with_suffix(".md")),
        "SHA-256": hashlib.sha256(stored.path.read_bytes()).hexdigest(),
    }
    return "\n".join([name, *(f"  {key + ':':12}{value}" for key, value in lines.items())])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return cli.run(weights, argv)


if __name__ == "__main__":
    sys.exit(main())
