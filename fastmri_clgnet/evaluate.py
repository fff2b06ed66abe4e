"""The command `python -m fastmri_clgnet.evaluate`: metrics of reconstructions."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from fastmri_clgnet.cli import run, show
from fastmri_clgnet.evaluation.evaluate import Evaluation, evaluate


def print_and_save(
    evaluation: Evaluation, json: Path | None = None, csv: Path | None = None
) -> int:
    """Print the tables and write the requested files.

    Args:
        evaluation: What was measured.
        json: Write everything to this file.
        csv: Write one line per volume to this file.
    """
    status = show(evaluation)
    if json is not None:
        evaluation.save_json(json)
    if csv is not None:
        evaluation.save_csv(csv)
    return status


main = partial(run, evaluate, then=print_and_save)


if __name__ == "__main__":
    sys.exit(main())
