"""The command `python -m fastmri_clgnet.report`: one HTML file about runs and reconstructions."""

from __future__ import annotations

import sys

from fastmri_clgnet.cli import run
from fastmri_clgnet.report.build import report


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run(report, argv, ["paths"])


if __name__ == "__main__":
    sys.exit(main())
