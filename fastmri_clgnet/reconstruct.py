"""The command `python -m fastmri_clgnet.reconstruct`: submission files from a trained model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.precision import PRECISIONS
from fastmri_clgnet.reconstruction.files import Existing, challenge_of
from fastmri_clgnet.reconstruction.job import Job
from fastmri_clgnet.reconstruction.run import reconstruct
from fastmri_clgnet.training.arguments import MASK_TYPES
from fastmri_clgnet.training.masks import MASK_FLAGS, MaskSettings, make_mask


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmri_clgnet.reconstruct",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description=(
            "Reconstruct the volumes of a folder with a trained model and write fastMRI's "
            "submission files. Undersampled test files need no more flags; fully sampled files "
            "are undersampled by the mask flags, seeded by their names. Volumes that are there "
            "already are skipped, so that the same command goes on after an interruption."
        ),
    )
    parser.add_argument(
        "--checkpoint", type=Path, help="checkpoint of train_clgnet, or what export made of one"
    )
    parser.add_argument(
        "--model",
        choices=tuple(MODELS),
        help="which model, where the checkpoint does not say it; zero_filled needs no checkpoint",
    )
    parser.add_argument(
        "--data_path",
        type=Path,
        required=True,
        help="folder of fastMRI's files, such as DATA/singlecoil_test",
    )
    parser.add_argument(
        "--output_path", type=Path, required=True, help="folder of the submission files"
    )
    parser.add_argument(
        "--challenge",
        choices=("singlecoil", "multicoil"),
        help="kind of data; by default what the first file holds",
    )
    add_mask_arguments(parser)
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, ...; auto: a GPU where there is one"
    )
    parser.add_argument("--batch_size", type=int, default=1, help="slices at a time")
    parser.add_argument(
        "--precision",
        choices=tuple(PRECISIONS),
        default="32-true",
        help="Lightning's names; 16-mixed is for GPUs",
    )
    parser.add_argument("--num_workers", type=int, default=0, help="loader processes")
    parser.add_argument(
        "--num_processes",
        type=int,
        default=1,
        help="processes that share the volumes; with --device cuda they go to all GPUs in turn",
    )
    parser.add_argument("--overwrite", action="store_true", help="make again what is there already")
    return parser


def add_mask_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the mask flags, which fully sampled files need all three of."""
    mask = parser.add_argument_group("mask, for fully sampled files")
    mask.add_argument("--mask_type", choices=MASK_TYPES, help="type of k-space mask")
    mask.add_argument("--accelerations", nargs="+", type=int, help="acceleration factors")
    mask.add_argument(
        "--center_fractions",
        nargs="+",
        type=float,
        help="fraction of columns in the fully sampled centre, one for each acceleration",
    )


def mask_settings(args: argparse.Namespace) -> dict[str, object] | None:
    """The mask flags, checked; None where there are none.

    Args:
        args: With the flags of `add_mask_arguments`.

    Raises:
        InputError: If some of them are missing or do not fit together.
    """
    mask = {name: getattr(args, name) for name in MASK_FLAGS}
    absent = [f"--{name}" for name, value in mask.items() if value is None]
    if len(absent) == len(mask):
        return None
    if absent:
        raise InputError(f"the mask flags belong together: give {' and '.join(absent)}, too")
    make_mask(MaskSettings(**mask), seed=0)
    return mask


def run(args: argparse.Namespace) -> int:
    """Check everything, then reconstruct what is missing.

    Args:
        args: Of `build_parser`.

    Returns:
        The exit status.

    Raises:
        InputError: If something cannot be used.
    """
    for name in ("batch_size", "num_processes"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} {getattr(args, name)}: expected 1 or more")
    job = Job(
        args.checkpoint,
        args.model,
        args.data_path,
        args.challenge or challenge_of(args.data_path),
        args.output_path,
        mask_settings(args),
        args.batch_size,
        args.precision,
        args.num_workers,
    )
    existing: Existing = "replace" if args.overwrite else "keep"
    written, skipped = reconstruct(job, args.device, existing, args.num_processes)
    print(
        f"{written} volumes written to {args.output_path}"
        + (f", {skipped} were there already" if skipped else "")
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    args = build_parser().parse_args(argv)
    return exit_status(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
