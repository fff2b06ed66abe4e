"""The command `python -m fastmri_clgnet.export`: writes a checkpoint's weights, for sharing."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from fastmri_clgnet import cli
from fastmri_clgnet.inference.export import export


def show(written: tuple[Path, Path]) -> None:
    """Print the names of the files."""
    for path in written:
        print(f"Written: {path}")


main = partial(cli.run, export, positional=("checkpoint", "out"), then=show)


if __name__ == "__main__":
    sys.exit(main())
