"""The command `python -m fastmri_clgnet.report`: one HTML page about runs and reconstructions."""

from __future__ import annotations

import sys
from functools import partial

from fastmri_clgnet.cli import run
from fastmri_clgnet.reporting.build import Report, report

__all__ = ["Report", "report"]

main = partial(run, report, positional=["paths"])


if __name__ == "__main__":
    sys.exit(main())
