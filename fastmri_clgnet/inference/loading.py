"""Trained models from files: training checkpoints, what `export` writes, fastMRI's weights."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from fastmri.pl_modules import MriModule
from safetensors import SafetensorError
from safetensors.torch import load_file

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.inference.plain_weights import printable, recognise
from fastmri_clgnet.inference.safe_loading import load_tensors
from fastmri_clgnet.pl_modules.registry import MODELS, name_of
from fastmri_clgnet.training.checkpoints import (
    MODEL_KEY,
    TRAINED_ON_KEY,
    check_fit,
    completed,
)
from fastmri_clgnet.weights import shipped

WEIGHTS_SUFFIX, ARGUMENTS_SUFFIX = ".safetensors", ".json"
_EXPECTED = (
    "a checkpoint that train_clgnet wrote, the .safetensors and .json of export, or the plain "
    "state dictionary of fastMRI's Unet or VarNet"
)


class StoredModel(NamedTuple):
    """What a file says of a model."""

    path: Path
    model: str  # a choice of train_clgnet's --model
    arguments: dict[str, Any]  # of its Lightning module's constructor
    state: dict[str, torch.Tensor]  # parameters and buffers, on the CPU
    # "challenge", "accelerations", "acquisitions" and "simulated" of the training data
    trained_on: dict[str, Any] = {}  # noqa: RUF012

    def __str__(self) -> str:
        """The file, and what is said of the training."""
        trained = f", trained on: {self.training}" if self.training else ""
        return f"{self.path} ({self.model}{trained})"

    @property
    def training(self) -> str:
        """What is said of the training, such as "singlecoil, AXT2, 4x, simulated k-space"."""
        said = self.trained_on
        parts = (
            said.get("challenge"),
            words(said.get("acquisitions", ())),
            words(f"{each}x" for each in said.get("accelerations", ())),
            "simulated k-space" if said.get("simulated") else None,
        )
        return ", ".join(part for part in parts if part)


def load(
    path: Path | str, device: torch.device | str = "cpu", model: str | None = None
) -> MriModule:
    """Load a trained model, ready for use; no code that the file may hold is run.

    Args:
        path: The name of weights that ship with the package (`python -m fastmri_clgnet weights`), a
            checkpoint of train_clgnet, either file of `python -m fastmri_clgnet.export`, or a plain
            state dictionary of fastMRI's U-Net or E2E-VarNet, such as the published
            brain_leaderboard_state_dict.pt, whose sizes are inferred from the shapes.
        device: Where to put it.
        model: The choice of train_clgnet's --model, for checkpoints that do not say it. The names
            of their tensors say it where it is fastMRI's U-Net or E2E-VarNet.

    Returns:
        The model in evaluation mode. Image models (clgnet, unet) map normalised zero-filled
        magnitude images (batch, height, width), as `fastmri.data.transforms.UnetDataTransform`
        gives them, to such images; k-space models take masked_kspace and mask of
        `VarNetDataTransform` with a batch axis, and give magnitude images (batch, height, width).
        The bare network is its attribute (`.clgnet`, `.unet`, `.varnet`, `.network`).

    Example:
        >>> model = load("brain-4x")
        >>> model(torch.zeros(1, 64, 64)).shape
        torch.Size([1, 64, 64])

    Raises:
        InputError: If the file cannot be used; says why.
    """
    return build(read_model(find_weights(path), model)).to(device)


def start_from(module: MriModule, weights: Path | str) -> StoredModel:
    """Give a module the weights of a file, to be trained further.

    Raises:
        InputError: If they are of another model or size; says which flags they were trained with.
    """
    stored = read_model(find_weights(weights), name_of(module))
    check_fit(stored.path, stored.state, stored.arguments, module, "another --init_weights")
    module.load_state_dict(stored.state)
    return stored


def as_checkpoint(stored: StoredModel) -> dict[str, Any]:
    """What a checkpoint of `train` says of its model; Lightning and `load` read it."""
    return {
        "pytorch-lightning_version": pl.__version__,
        "epoch": 0,
        "global_step": 0,
        "hyper_parameters": stored.arguments,
        MODEL_KEY: stored.model,
        TRAINED_ON_KEY: stored.trained_on,
        "state_dict": stored.state,
    }


def find_weights(weights: Path | str) -> Path:
    """The file of weights that are given by name, for those of the package, or by path.

    Raises:
        InputError: If there is no such file.
    """
    path = Path(weights)
    if path.is_file() or path.suffix in (WEIGHTS_SUFFIX, ARGUMENTS_SUFFIX):
        return path
    names = shipped()
    if str(weights) not in names:
        or_name = f", or one of {', '.join(names)}" if names else ""
        raise InputError(
            f"{path}: no such weights; expected {_EXPECTED}{or_name} (python -m fastmri_clgnet "
            "weights lists those of the package)"
        )
    return names[str(weights)]


def read_model(path: Path, model: str | None = None) -> StoredModel:
    """Read a file as `load` does, without making the model."""
    if path.suffix in (WEIGHTS_SUFFIX, ARGUMENTS_SUFFIX):
        contents = _read_json(path.with_suffix(ARGUMENTS_SUFFIX))
        name, arguments = contents.get("model"), contents.get("arguments")
        trained_on = contents.get("trained_on")
        state: Any = _read_safetensors(path.with_suffix(WEIGHTS_SUFFIX))
    else:
        contents = load_tensors(path, _EXPECTED)
        name, arguments = contents.get(MODEL_KEY), contents.get("hyper_parameters")
        trained_on = contents.get(TRAINED_ON_KEY)
        state = contents.get("state_dict")
        if contents and _are_tensors(contents):
            try:
                name, arguments, state = recognise(contents)
            except ValueError as error:
                raise InputError(f"{path}: holds {error}; expected {_EXPECTED}") from error
    if not _are_tensors(state) or not isinstance(arguments, dict):
        raise InputError(
            f"{path}: holds no weights with their model's arguments, but a dictionary of "
            f"{_keys(contents)}; expected {_EXPECTED}"
        )
    if name is not None and model not in (None, name):
        raise InputError(f"{path}: of the model {name}, not of {model}")
    name = model if name is None else name
    if name is None:  # as in checkpoints of fastMRI's own modules
        with contextlib.suppress(ValueError):
            name = recognise(state).model
    if name is None:
        raise InputError(
            f"{path}: does not say which model it is of; name it, one of {', '.join(MODELS)} "
            "(--model on the command line, model= in Python)"
        )
    if name not in MODELS:
        raise InputError(
            f"{path}: of a model {name!r} that this version does not know; expected one of "
            f"{', '.join(MODELS)}"
        )
    return StoredModel(path, name, arguments, state, _plain_training(trained_on))


def _plain_training(said: Any) -> dict[str, Any]:
    """What a file says of its training, without what is of another type."""
    said = said if isinstance(said, dict) else {}
    plain = {
        key: said[key]
        for key, kind in (("challenge", str), ("simulated", bool))
        if isinstance(said.get(key), kind)
    }
    for key, kind in (("accelerations", int), ("acquisitions", str)):
        values = said.get(key)
        if isinstance(values, list) and all(isinstance(value, kind) for value in values):
            plain[key] = values
    return plain


def build(stored: StoredModel) -> MriModule:
    """Make the Lightning module, in evaluation mode on the CPU, with the stored weights."""
    choice = MODELS[stored.model]
    try:
        arguments = {**completed(stored.arguments, choice.module), **choice.fixed}
        for name, value in arguments.items():
            if not isinstance(value, bool | int | float | str | None):
                raise TypeError(f"its argument {name} is a {type(value).__name__}, no plain value")
        module = choice.module(**arguments)
        module.load_state_dict(stored.state)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{stored.path}: does not fit the model {stored.model} ({reason})"
        ) from error
    module.__dict__["trained_on"] = stored.trained_on
    return module.eval()


def _are_tensors(state: Any) -> bool:
    return isinstance(state, dict) and all(isinstance(v, torch.Tensor) for v in state.values())


def _keys(contents: dict[str, Any]) -> str:
    """The first keys of a dictionary, for an error."""
    names = [printable(key) for key in list(contents)[:6]]
    return ", ".join(names + ["..."] * (len(contents) > 6)) or "nothing"


def weights_digest(state: dict[str, torch.Tensor]) -> str:
    """16 hexadecimal digits that name weights, the same for a checkpoint and its `export`."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected it beside the {WEIGHTS_SUFFIX} of export")
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); expected what export wrote") from error
    if not isinstance(contents, dict):
        raise InputError(f"{path}: expected model and arguments, as export writes them")
    return contents


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected it beside the {ARGUMENTS_SUFFIX} of export"
        )
    try:
        # stored as float16, at half the size, or as they were trained
        return {name: _single(values) for name, values in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a safetensors file ({error}); export it again") from error


def _single(values: torch.Tensor) -> torch.Tensor:
    return values.float() if values.dtype == torch.float16 else values
