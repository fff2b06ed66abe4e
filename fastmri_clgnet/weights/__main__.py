"""The command `python -m fastmri_clgnet weights`: the weights that ship with the package."""

from __future__ import annotations

import hashlib
import sys
from functools import partial

from fastmri_clgnet import cli
from fastmri_clgnet.weights import shipped


def weights() -> str:
    """List the trained weights that ship with the package, for --checkpoint and --init_weights.

    Returns:
        One block of text for each.
    """
    from fastmri_clgnet.inference.loading import read_model

    blocks = []
    for name, path in shipped().items():
        stored = read_model(path)
        n_parameters = sum(values.numel() for values in stored.state.values())
        lines = {
            "model": f"{stored.model}, {n_parameters:,} parameters",
            "trained on": stored.training,
            "model card": str(path.with_suffix(".md")),
            "SHA-256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        block = [name, *(f"  {key + ':':12}{value}" for key, value in lines.items())]
        blocks.append("\n".join(block))
    return "\n\n".join(blocks) or "No weights ship with this version."


main = partial(cli.run, weights)


if __name__ == "__main__":
    sys.exit(main())
