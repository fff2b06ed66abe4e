"""The command `python -m fastmri_clgnet.convert`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastmri_clgnet.convert.runner import Done, convert, summary
from fastmri_clgnet.convert.sources import SOURCES
from fastmri_clgnet.convert.splitting import BY, SPLITS
from fastmri_clgnet.data.fastmri_file import TARGET_KEYS
from fastmri_clgnet.errors import exit_status
from fastmri_clgnet.parallel import default_num_workers
from fastmri_clgnet.training.arguments import MASK_TYPES


def build_parser(source_format: str | None) -> argparse.ArgumentParser:
    """Make the parser, with the flags of one source.

    Args:
        source_format: Of `SOURCES`; None shows the flags that they share.

    Returns:
        The parser.
    """
    formats = "; ".join(f"{name}: {source.description}" for name, source in SOURCES.items())
    parser = argparse.ArgumentParser(
        prog="python -m fastmri_clgnet.convert",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Convert other data into fastMRI's format: OUT/singlecoil_train and so on, or "
        "multicoil. The same command continues what was interrupted. --from FORMAT --help shows "
        "the flags of a format.",
    )
    parser.add_argument("source", type=Path, help="folder of the data, or one file")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument(
        "--from",
        dest="source_format",
        required=True,
        choices=tuple(SOURCES),
        help=formats,
    )
    parser.add_argument(
        "--num_workers",
        type=int,
        default=default_num_workers(),
        help="processes; each holds one volume in memory",
    )
    parser.add_argument(
        "--acquisition",
        help="name of the sequence, such as AXT2; by default what the files say, or 'unknown'",
    )
    parser.add_argument("--seed", type=int, default=42, help="of splits and of what is simulated")
    splits = parser.add_argument_group(
        "splits, where the source has no folders train, val and test"
    )
    splits.add_argument(
        "--split",
        type=float,
        nargs=3,
        default=[0.8, 0.1, 0.1],
        metavar=tuple(split.upper() for split in SPLITS),
        help="fractions of the volumes for training, validation and test",
    )
    splits.add_argument(
        "--by",
        choices=BY,
        default="volume",
        help="what is never divided: a volume (one file); a folder of the source, such as a "
        "patient's; the files whose names agree up to the first '_'",
    )
    masks = parser.add_argument_group("masks of the test volumes, drawn by file name")
    masks.add_argument("--mask_type", choices=MASK_TYPES, default="random", help="type of mask")
    masks.add_argument(
        "--accelerations", type=int, nargs="+", default=[4], help="one is drawn for each volume"
    )
    masks.add_argument(
        "--center_fractions",
        type=float,
        nargs="+",
        default=[0.08],
        help="fraction of columns in the sampled centre, one for each acceleration",
    )
    if source_format is not None:
        SOURCES[source_format].add_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        The exit status: 0, 1 if a volume or all could not be converted, 130 after Ctrl-C.
    """
    chooser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--from", dest="source_format", choices=tuple(SOURCES))
    chosen, _ = chooser.parse_known_args(argv)
    args = build_parser(chosen.source_format).parse_args(argv)
    return exit_status(lambda: run(args))


def run(args: argparse.Namespace) -> int:
    """Convert, say what there is now and what comes next, and return the exit status."""
    done, failures = convert(args)
    if done:
        _say_what_next(args.out, done)
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _say_what_next(out: Path, done: list[Done]) -> None:
    print(summary(done))
    splits = {(one.challenge, one.split) for one in done}
    print(f"\nWritten to {out}. Check and train:")
    print(f"  python -m fastmri_clgnet.check {out}")
    for challenge in TARGET_KEYS:
        if {(challenge, "train"), (challenge, "val")} <= splits:
            print(
                f"  python -m fastmri_clgnet.train_clgnet --data_path {out} --challenge {challenge}"
            )


if __name__ == "__main__":
    sys.exit(main())
