"""The command `python -m fastmri_clgnet.evaluate`: fastMRI's metrics, with what they leave open."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.evaluation.labels import labels
from fastmri_clgnet.evaluation.metrics import evaluate_folders, find_targets
from fastmri_clgnet.evaluation.statistics import (
    Bootstrap,
    paired_differences,
    summarise_methods,
)
from fastmri_clgnet.evaluation.tables import format_table, save_csv, save_json, table_rows


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; the host's flags keep the host's names."""
    defaults = Bootstrap()
    parser = argparse.ArgumentParser(
        prog="python -m fastmri_clgnet.evaluate",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description=(
            "NMSE, PSNR (dB) and SSIM of reconstructions, by fastMRI's own functions, as "
            "python -m fastmri.evaluate computes them, with bootstrap confidence intervals over "
            "volumes, per acquisition, and paired differences of several folders. Files that "
            "cannot be evaluated are named, the others are, and the exit status is 1."
        ),
    )
    parser.add_argument(
        "--target-path", type=Path, required=True, help="folder of fastMRI's fully sampled files"
    )
    parser.add_argument(
        "--predictions-path",
        type=Path,
        required=True,
        nargs="+",
        help="folders of submission files; the first is what the others are compared with",
    )
    parser.add_argument(
        "--labels", nargs="+", help="names of the folders; by default what tells their paths apart"
    )
    parser.add_argument(
        "--challenge", choices=("singlecoil", "multicoil"), required=True, help="kind of data"
    )
    parser.add_argument("--acquisition", help="only volumes of this acquisition, such as AXT2")
    parser.add_argument(
        "--acceleration", type=int, help="only volumes whose attribute 'acceleration' is this"
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--csv", type=Path, help="write a line for each volume to this file")
    parser.add_argument(
        "--confidence", type=float, default=defaults.confidence, help="level of the intervals"
    )
    parser.add_argument(
        "--resamples", type=int, default=defaults.resamples, help="bootstrap samples"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of the bootstrap")
    parser.add_argument(
        "--num-processes", type=int, default=1, help="processes that share the files"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Evaluate and print.

    Args:
        args: Of `build_parser`.

    Returns:
        0, or 1 if a file could not be evaluated.

    Raises:
        InputError: If nothing can be evaluated.
    """
    if not 0 < args.confidence < 1:
        raise InputError(f"--confidence {args.confidence}: expected a level such as 0.95")
    for name in ("resamples", "num_processes"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}: expected 1 or more")
    names = labels(args.predictions_path) if args.labels is None else args.labels
    if len(names) != len(args.predictions_path) or len(set(names)) < len(names):
        raise InputError("--labels: expected a name of its own for each folder of predictions")
    for folder in args.predictions_path:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; expected submission files")
    predictions = dict(zip(names, args.predictions_path, strict=True))
    bootstrap = Bootstrap(args.confidence, args.resamples, args.seed)
    targets, unreadable = find_targets(args.target_path, args.acquisition, args.acceleration)
    volumes, failures = evaluate_folders(targets, predictions, args.challenge, args.num_processes)
    failures = [*unreadable, *failures]
    summaries = summarise_methods(volumes, names, bootstrap)
    differences = paired_differences(volumes, names, bootstrap)
    print(
        f"\nMean over volumes [{args.confidence:.0%} confidence interval, bootstrap over "
        f"volumes, {args.resamples} resamples]\n"
    )
    print(format_table(table_rows(summaries)))
    if len(names) > 1:
        print(f"\nPaired differences: method - {names[0]}\n")
        print(format_table(table_rows(differences, signed=True)))
    for path in (args.json, args.csv):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    if args.json is not None:
        save_json(args.json, vars(args), volumes, summaries, differences, failures)
    if args.csv is not None:
        save_csv(args.csv, volumes)
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return int(bool(failures))


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    args = build_parser().parse_args(argv)
    return exit_status(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
