"""The command `python -m fastmri_clgnet.train_clgnet`: a shell around `training.train`.

It trains CLGNet with `paper_objective()`; `CLGNetModule()` in Python has only L1 by default.
"""

from __future__ import annotations

import sys

from fastmri_clgnet.training.command import main, parse_arguments

__all__ = ["main", "parse_arguments"]


if __name__ == "__main__":
    sys.exit(main())
