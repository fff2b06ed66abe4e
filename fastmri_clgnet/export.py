"""The command `python -m fastmri_clgnet.export`: a checkpoint's weights alone, to share."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from safetensors.torch import save

import fastmri_clgnet
from fastmri_clgnet.errors import InputError, exit_status
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.loading import ARGUMENTS_SUFFIX, WEIGHTS_SUFFIX, build, read_model
from fastmri_clgnet.pl_modules.registry import MODELS


def export(checkpoint: Path, out: Path, model: str | None = None) -> tuple[Path, Path]:
    """Write a model's weights and its constructor's arguments, without optimizer and callbacks.

    Args:
        checkpoint: A checkpoint of train_clgnet.
        out: The files' common name; a suffix .safetensors or .json is ignored.
        model: The choice of --model, for checkpoints that do not say it.

    Returns:
        The weights (safetensors) and the arguments (JSON).

    Raises:
        InputError: If the checkpoint cannot be used, or its arguments cannot be written.
    """
    stored = read_model(checkpoint, model)
    build(stored)  # nothing is exported that would not load
    contents = {
        "model": stored.model,
        "arguments": stored.arguments,
        "trained_on": stored.trained_on,
        "fastmri_clgnet": fastmri_clgnet.__version__,
    }
    try:
        text = json.dumps(contents, indent=2) + "\n"
    except TypeError as error:
        raise InputError(f"{checkpoint}: an argument is no plain value ({error})") from error
    if out.suffix in (WEIGHTS_SUFFIX, ARGUMENTS_SUFFIX):
        out = out.with_suffix("")
    weights, arguments = (
        out.with_name(out.name + suffix) for suffix in (WEIGHTS_SUFFIX, ARGUMENTS_SUFFIX)
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    # safetensors refuses tensors that share memory
    state = {name: values.contiguous().clone() for name, values in stored.state.items()}
    with atomic_path(weights) as temporary:
        temporary.write_bytes(save(state))
    with atomic_path(arguments) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return weights, arguments


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmri_clgnet.export",
        description=(
            "Write the weights of a training checkpoint to OUT.safetensors and its model's "
            "arguments to OUT.json: no optimizer, no code, loadable by fastmri_clgnet.load and "
            "by reconstruct."
        ),
    )
    parser.add_argument("checkpoint", type=Path, help="checkpoint that train_clgnet wrote")
    parser.add_argument("out", type=Path, help="name of the two files, without a suffix")
    parser.add_argument(
        "--model", choices=tuple(MODELS), help="which model it is of, where it does not say so"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    args = build_parser().parse_args(argv)

    def run() -> int:
        for path in export(args.checkpoint, args.out, args.model):
            print(f"Written: {path}")
        return 0

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
