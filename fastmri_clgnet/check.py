"""The command `python -m fastmri_clgnet.check`: what is wrong in a data set, file by file."""

from __future__ import annotations

import sys
from functools import partial
from json import dumps
from pathlib import Path

from fastmri_clgnet import cli
from fastmri_clgnet.data.check import Finding, Findings, Split, check
from fastmri_clgnet.files import write_json

__all__ = ["Finding", "Findings", "Split", "check"]


def save(findings: Findings, json: Path | None = None) -> int:
    """Print what was found, and write it where that is asked for; returns the exit status.

    Args:
        findings: Of `check`.
        json: JSON file to write the result to, too; - prints it in place of the table.
    """
    if json == Path("-"):
        print(dumps(findings.as_dict(), indent=2))
    else:
        print(findings)
        if json is not None:
            write_json(json, findings.as_dict())
    return int(not findings.good)


main = partial(cli.run, check, positional=["data"], then=save)


if __name__ == "__main__":
    sys.exit(main())
