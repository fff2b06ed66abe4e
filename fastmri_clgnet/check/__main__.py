"""The command `python -m fastmri_clgnet.check`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fastmri_clgnet.check.report import as_json, check_data_set, format_table, is_good
from fastmri_clgnet.data.fastmri_file import TARGET_KEYS, atomic_path
from fastmri_clgnet.errors import exit_status
from fastmri_clgnet.parallel import default_num_workers


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmri_clgnet.check",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Check a data set in fastMRI's format, file by file: what fastMRI's data set "
        "and transforms would stumble on, and whether k-space, mask, header and target fit "
        "together. Ends with 1 if anything is wrong; warnings are not.",
    )
    parser.add_argument(
        "data", type=Path, help="folder that holds singlecoil_train and so on, or one of these"
    )
    parser.add_argument(
        "--challenge", choices=tuple(TARGET_KEYS), help="by default all that there are"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the result there, too; - prints it instead"
    )
    parser.add_argument(
        "--num_workers",
        type=int,
        default=default_num_workers(),
        help="processes; each holds one slice in memory",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        The exit status: 0 if all is good, 1 if anything is wrong, 130 after Ctrl-C.
    """
    args = build_parser().parse_args(argv)
    return exit_status(lambda: run(args))


def run(args: argparse.Namespace) -> int:
    """Check, print the table or the JSON, and return the exit status."""
    challenges = list(TARGET_KEYS) if args.challenge is None else [args.challenge]
    splits = check_data_set(args.data, challenges, args.num_workers)
    text = json.dumps(as_json(splits), indent=2) + "\n"
    if args.json == Path("-"):
        print(text, end="")
    else:
        print(format_table(splits))
        if args.json is not None:
            with atomic_path(args.json) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return 0 if is_good(splits) else 1


if __name__ == "__main__":
    sys.exit(main())
