"""The command `python -m fastmri_clgnet.benchmark`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastmri_clgnet.benchmark import ablation, table2


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmri_clgnet.benchmark",
        description="Measure CLGNet.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser(
        "ablation",
        help="the ablations of the paper's Tables 3 and 4",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description=(
            "Parameters, operations, time and memory of the paper's ablations beside its columns. "
            "With --data_path each is trained, too; flags that are not listed here go to "
            "train_clgnet. A second call skips what was trained and continues what was interrupted."
        ),
    )
    table.add_argument("--data_path", type=Path, default=None, help="fastMRI's root folder")
    table.add_argument("--steps", type=int, default=400, help="training steps of each variant")
    costs = commands.add_parser(
        "table2",
        help="parameters, operations, time and memory of all methods: the paper's Table 2",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description=(
            "CLGNet, the U-Net and the comparison methods, one forward pass each in alternating "
            "order, beside the paper's columns."
        ),
    )
    for command, size in ((table, 256), (costs, 512)):
        command.add_argument("--size", type=int, default=size, help="height and width, pixels")
        command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
        command.add_argument("--rounds", type=int, default=5, help="measurements of each network")
        command.add_argument(
            "--output_path", type=Path, default=Path("clgnet/benchmark"), help="folder of results"
        )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = build_parser()
    args, training_flags = parser.parse_known_args(argv)
    if training_flags and getattr(args, "data_path", None) is None:
        parser.error(f"unrecognized arguments without --data_path: {' '.join(training_flags)}")
    if args.command == "table2":
        return table2.run(args)
    return ablation.run(args, training_flags)


if __name__ == "__main__":
    sys.exit(main())
