"""A checkpoint's weights only, to share."""

from __future__ import annotations

import json
from pathlib import Path

from fastmri_clgnet import __version__
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.weights import ARGUMENTS_SUFFIX, WEIGHTS_SUFFIX, find_weights


def export(
    checkpoint: Path | str, out: Path | str, model: str | None = None, half: bool = False
) -> tuple[Path, Path]:
    """Write the weights of a training checkpoint and the arguments of its model's constructor.

    OUT.safetensors and OUT.json hold no optimizer and no code; fastmri_clgnet.load and reconstruct
    read them.

    Args:
        checkpoint: A checkpoint of train_clgnet, or another file that `load` reads.
        out: The files' common name; a suffix .safetensors or .json is ignored.
        model: Which model it is of, as train_clgnet's --model has it, where it does not say so.
        half: Whether the weights are stored as float16, at half the size; they are read as float32.

    Returns:
        The weights (safetensors) and the arguments (JSON).

    Example:
        >>> weights, arguments = export("brain-4x", "mine", half=True)
        >>> weights.name, arguments.name
        ('mine.safetensors', 'mine.json')

    Raises:
        InputError: If the checkpoint cannot be used, or its arguments cannot be written.
    """
    checkpoint, out = find_weights(checkpoint), Path(out)
    from fastmri_clgnet.inference.loading import build, read_model, serialised

    stored = read_model(checkpoint, model)
    build(stored)  # nothing is exported that would not load
    contents = {
        "model": stored.model,
        "arguments": stored.arguments,
        "trained_on": stored.trained_on,
        "fastmri_clgnet": __version__,
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
    with atomic_path(weights) as temporary, atomic_path(arguments) as other:
        other.write_text(text, encoding="utf-8")
        temporary.write_bytes(serialised(stored, half))
    return weights, arguments
