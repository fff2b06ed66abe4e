"""The command `python -m fastmri_clgnet.reconstruct`: reconstructs a scan or a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fastmri_clgnet import cli
from fastmri_clgnet.inference.folder import Reconstructed, reconstruct
from fastmri_clgnet.inference.scan_file import reconstruct_file

__all__ = ["Reconstructed", "reconstruct", "reconstruct_file"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on a folder or on one file; return the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    if cli.chosen(given, "output") is not None or (given and not given[0].startswith("-")):
        prog = "python -m fastmri_clgnet.reconstruct"
        return cli.run(reconstruct_file, given, ("scan",), prog=prog)
    return cli.run(reconstruct, given)


if __name__ == "__main__":
    sys.exit(main())
