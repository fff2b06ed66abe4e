"""The command `python -m fastmri_clgnet.benchmark`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastmri_clgnet.benchmark import ablation, speed, table1, table2
from fastmri_clgnet.errors import exit_status
from fastmri_clgnet.precision import PRECISIONS

_TRAINING = (
    "Flags that are not listed here go to train_clgnet. A second call skips what was trained and "
    "continues what was interrupted."
)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmri_clgnet.benchmark",
        description="Measure CLGNet.",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, short: str, description: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=short,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            description=description,
        )
        command.add_argument(
            "--output_path", type=Path, default=Path("clgnet/benchmark"), help="folder of results"
        )
        return command

    variants = add(
        "ablation",
        "the ablations of the paper's Tables 3 and 4",
        "Parameters, operations, time and memory of the paper's ablations beside its columns. "
        f"With --data_path each is trained, too. {_TRAINING}",
    )
    variants.add_argument("--data_path", type=Path, default=None, help="fastMRI's root folder")
    variants.add_argument("--steps", type=int, default=400, help="training steps of each variant")
    quality = add(
        "table1",
        "NMSE, PSNR and SSIM of all methods, trained under one budget: the paper's Table 1",
        "Trains CLGNet, the U-Net and the comparison methods, at each acceleration by itself and "
        "all under one budget and one seed, and prints NMSE, PSNR and SSIM of the validation "
        "volumes as fastMRI aggregates them, beside zero-filling; with a picture of one slice by "
        f"all methods. A method that fails does not stop the others. {_TRAINING}",
    )
    quality.add_argument("--data_path", type=Path, required=True, help="fastMRI's root folder")
    quality.add_argument(
        "--accelerations",
        type=int,
        nargs="+",
        default=[4, 8],
        help="acceleration factors, each with the centre fraction 0.32 / factor",
    )
    quality.add_argument(
        "--methods", nargs="+", choices=table1.METHODS, default=table1.METHODS, help="what to train"
    )
    budget = quality.add_mutually_exclusive_group(required=True)
    budget.add_argument(
        "--steps", type=int, default=None, help="training steps of each, in batches of --batch_size"
    )
    budget.add_argument(
        "--minutes", type=float, default=None, help="wall time of each training, in minutes"
    )
    quality.add_argument(
        "--method_flags",
        nargs=2,
        action="append",
        default=[],
        metavar=("METHOD", "FLAGS"),
        help="flags of train_clgnet for one method alone, such as: clgnet '--chans 16'; a "
        "single flag needs a space in front, such as: clgvarnet ' --hard_dc=true'",
    )
    costs = add(
        "table2",
        "parameters, operations, time and memory of all methods: the paper's Table 2",
        "CLGNet, the U-Net and the comparison methods, one forward pass each in alternating "
        "order, beside the paper's columns.",
    )
    timing = add(
        "speed",
        "time and memory of CLGNet beside its plain evaluation and the U-Net",
        "Forward pass and training step, without and with the contrastive loss, of the U-Net, of "
        "CLGNet as the paper writes it and of CLGNet as it is, in alternating order in one "
        "process; and the data pipeline alone, from HDF5 file to sample.",
    )
    timing.add_argument("--batch", type=int, default=1, help="images at once")
    timing.add_argument(
        "--precision", choices=tuple(PRECISIONS), default="32-true", help="Lightning's names"
    )
    parts = ("forward", "step", "contrastive_step", "data")
    timing.add_argument("--parts", nargs="+", choices=parts, default=parts, help="what to measure")
    timing.add_argument(
        "--data_path", type=Path, default=None, help="fastMRI's root folder; none: the demo data"
    )
    timing.add_argument(
        "--challenge", choices=("singlecoil", "multicoil"), default="singlecoil", help="of the data"
    )
    timing.add_argument(
        "--workers", type=int, nargs="+", default=[0, 1, 2], help="processes that load data"
    )
    for command, size in ((variants, 256), (costs, 512), (timing, 320)):
        command.add_argument("--size", type=int, default=size, help="height and width, pixels")
        command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
        command.add_argument("--rounds", type=int, default=5, help="measurements of each network")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = build_parser()
    args, training_flags = parser.parse_known_args(argv)
    trains = args.command in ("ablation", "table1") and args.data_path is not None
    if training_flags and not trains:
        parser.error(f"unrecognized arguments: {' '.join(training_flags)}")

    def run() -> int:
        if args.command == "table1":
            return table1.run(args, training_flags)
        if args.command == "table2":
            return table2.run(args)
        if args.command == "speed":
            return speed.run(args)
        return ablation.run(args, training_flags)

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
