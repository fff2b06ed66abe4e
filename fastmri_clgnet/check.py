"""The command `python -m fastmri_clgnet.check`: finds problems in a data set, file by file."""

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
    """Print the findings, write them if a file is given, and return the exit status.

    Args:
        findings: The result of `check`.
        json: Also write the result to this JSON file; - prints JSON instead of the table.
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
