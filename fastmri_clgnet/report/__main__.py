"""The command `python -m fastmri_clgnet.report`: one HTML file about runs and reconstructions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.figures import Box
from fastmri_clgnet.report.build import build_report


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmri_clgnet.report",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description=(
            "Write one self-contained HTML page about runs of train_clgnet and folders of "
            "reconstructions: data, settings and commands, training curves, metrics with "
            "confidence intervals, and slices with error maps, a slider and a wipe. The "
            "validation volumes of a run are reconstructed where it has not done so yet."
        ),
    )
    parser.add_argument(
        "paths",
        metavar="RUN_OR_FOLDER",
        type=Path,
        nargs="+",
        help="run folder of train_clgnet, or folder of reconstructions; the first is what the "
        "others are compared with",
    )
    parser.add_argument(
        "--target-path",
        type=Path,
        help="fully sampled files; by default the validation files of the first run",
    )
    parser.add_argument(
        "--challenge",
        choices=("singlecoil", "multicoil"),
        help="kind of data; by default what the first file holds",
    )
    parser.add_argument("--labels", nargs="+", help="names of the runs and folders")
    parser.add_argument("--output", type=Path, default=Path("report.html"), help="the page")
    parser.add_argument(
        "--slices",
        nargs="+",
        default=[],
        metavar="FILE:INDEX",
        help="slices to show, counted from 0, beside the worst, median and best by SSIM",
    )
    parser.add_argument(
        "--figure",
        type=Path,
        help="write a figure, too (.png or .pdf): the first of --slices, else the median one, "
        "methods in columns, errors below, a part enlarged",
    )
    parser.add_argument(
        "--zoom",
        type=int,
        nargs=3,
        metavar=("ROW", "COLUMN", "SIZE"),
        help="the part of the figure to enlarge, in pixels from the upper left; by default a "
        "quarter of the width where the errors are largest",
    )
    parser.add_argument("--title", default="Reconstruction report", help="heading of the page")
    parser.add_argument(
        "--no-zero-filled", action="store_true", help="do not add the zero-filled images"
    )
    parser.add_argument(
        "--device", default="auto", help="where to reconstruct: auto, cpu, cuda, cuda:1, ..."
    )
    parser.add_argument(
        "--num-processes", type=int, default=1, help="processes that share the evaluation"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    args = build_parser().parse_args(arguments)

    def run() -> int:
        if args.figure is not None and args.figure.suffix not in (".png", ".pdf"):
            raise InputError(f"--figure {args.figure}: expected a name ending in .png or .pdf")
        args.zoom = None if args.zoom is None else Box(*args.zoom)
        failures = build_report(args, arguments)
        for failure in failures:
            print(f"error: {failure}", file=sys.stderr)
        return int(bool(failures))

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
