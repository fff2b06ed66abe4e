"""Trained models from files: checkpoints, what `export` writes, and published weights."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.safe_loading import load_arrays, load_tensors
from fastmri_clgnet.formats.state_names import difference, named_for, plain_names, printable
from fastmri_clgnet.inference.plain_weights import tell_arrays, tell_network
from fastmri_clgnet.models.reconstructor import Reconstructor
from fastmri_clgnet.models.registry import MODELS
from fastmri_clgnet.weights import (
    ARGUMENTS_SUFFIX,
    ARRAYS_SUFFIX,
    EXPECTED,
    WEIGHTS_SUFFIX,
    find_weights,
)

MODEL_KEY = "fastmri_clgnet_model"  # under which a checkpoint says which --model it is of
# and on which data it was trained: challenge, accelerations, acquisitions, whether it was simulated
TRAINED_ON_KEY = "fastmri_clgnet_trained_on"
# constructor arguments that change what a network does with the same weights
_WITHOUT_PARAMETERS = {
    "wavelet", "hard_dc", "num_cascades", "spectrum", "sens_residual", "residual",
}  # fmt: skip
# and those that change neither
_OF_THE_TRAINING = {
    "lr", "lr_step_size", "lr_gamma", "weight_decay", "num_log_images", "checkpoint_activations",
    "ssdu_ratio", "ssdu_masks",
}  # fmt: skip
# of networks that earlier versions made, whose files leave these out: the linear layer, fastMRI's
# own sensitivity model, and the input not added to the output
_EARLIER = {"spectrum": "linear", "sens_residual": False, "residual": False}


class StoredModel(NamedTuple):
    """What a file says of a model."""

    path: Path
    model: str  # a choice of train_clgnet's --model
    arguments: dict[str, Any]  # of its Lightning module's constructor
    state: dict[str, torch.Tensor]  # parameters and buffers, on the CPU
    # "challenge", "mask_type", "accelerations", "center_fractions", "acquisitions" and "simulated"
    # of the training data
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
    checkpoint: Path | str, device: torch.device | str = "cpu", model: str | None = None
) -> Reconstructor:
    """Load a trained model, ready for use; no code that the file may hold is run.

    Args:
        checkpoint: The name of weights that ship with the package (`python -m fastmri_clgnet
            weights`), a checkpoint of train_clgnet, either file of `python -m
            fastmri_clgnet.export`, or a plain state dictionary of fastMRI's U-Net or E2E-VarNet,
            such as the published brain_leaderboard_state_dict.pt, whose sizes are inferred from the
            shapes; or the d5_c5.npz of DCCNN's authors.
        device: Where to put it.
        model: The choice of train_clgnet's --model, for checkpoints that do not say it. The names
            of their tensors say it where it is fastMRI's U-Net or E2E-VarNet.

    Returns:
        The model in evaluation mode. Image models (clgnet, unet) map normalised zero-filled
        magnitude images (batch, height, width), as `fastmri.data.transforms.UnetDataTransform`
        gives them, to such images; k-space models take masked_kspace and mask of
        `VarNetDataTransform` with a batch axis, and give magnitude images (batch, height, width).
        The bare network is its attribute (`.clgnet`, `.unet`, `.varnet`, `.network`).
        `fastmri_clgnet.pl_modules.load_module` gives a Lightning module instead.

    Example:
        >>> model = load("brain-4x")
        >>> model(torch.zeros(1, 64, 64)).shape
        torch.Size([1, 64, 64])

    Raises:
        InputError: If the file cannot be used; says why.
    """
    return build(read_model(checkpoint, model)).to(device)


def start_from(module: nn.Module, checkpoint: Path | str) -> StoredModel:
    """Give a Lightning module the weights of a file, to be trained further.

    Raises:
        InputError: If they are of another model or size; says with which arguments they were made.
    """
    stored = read_model(checkpoint, getattr(module, "model_name", None))
    check_fit(stored.path, stored.state, stored.arguments, module, "another init_weights")
    module.load_state_dict(named_for(module, stored.state))
    return stored


def as_checkpoint(module: Any) -> dict[str, Any]:
    """What a checkpoint of `train` says of a Lightning module; Lightning and `load` read it."""
    return {
        "pytorch-lightning_version": version("pytorch-lightning"),
        "epoch": 0,
        "global_step": 0,
        "hyper_parameters": dict(module.hparams),
        MODEL_KEY: getattr(module, "model_name", None),
        TRAINED_ON_KEY: dict(getattr(module, "trained_on", {})),
        "state_dict": module.state_dict(),
    }


def read_model(checkpoint: Path | str, model: str | None = None) -> StoredModel:
    """Read a file as `load` does, without making the model."""
    path = find_weights(checkpoint)
    if path.suffix in (WEIGHTS_SUFFIX, ARGUMENTS_SUFFIX):
        contents = _read_json(path.with_suffix(ARGUMENTS_SUFFIX))
        name, arguments = contents.get("model"), contents.get("arguments")
        trained_on = contents.get("trained_on")
        state: Any = _read_safetensors(path.with_suffix(WEIGHTS_SUFFIX))
    else:
        of_arrays = path.suffix == ARRAYS_SUFFIX
        contents = (load_arrays if of_arrays else load_tensors)(path, EXPECTED)
        name, arguments = contents.get(MODEL_KEY), contents.get("hyper_parameters")
        trained_on = contents.get(TRAINED_ON_KEY)
        state = contents.get("state_dict")
        if contents and _are_tensors(contents):
            try:
                tell = tell_arrays if of_arrays else tell_network
                name, arguments, state = tell(contents)
            except ValueError as error:
                raise InputError(f"{path}: holds {error}; expected {EXPECTED}") from error
    if not _are_tensors(state) or not isinstance(arguments, dict):
        raise InputError(
            f"{path}: holds no weights with their model's arguments, but a dictionary of "
            f"{_keys(contents)}; expected {EXPECTED}"
        )
    if name is not None and model not in (None, name):
        raise InputError(f"{path}: of the model {name}, not of {model}")
    state = plain_names(state)
    name = model if name is None else name
    name = _told(state) if name is None else name
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


def _told(state: Mapping[str, torch.Tensor]) -> str | None:
    """The model that the names of tensors tell, as in checkpoints of fastMRI's own modules."""
    with contextlib.suppress(ValueError):
        return tell_network(state).model
    return None


def _plain_training(said: Any) -> dict[str, Any]:
    """What a file says of its training, without what is of another type."""
    said = said if isinstance(said, dict) else {}
    plain = {
        key: said[key]
        for key, kind in (("challenge", str), ("mask_type", str), ("simulated", bool))
        if isinstance(said.get(key), kind)
    }
    kinds = (("accelerations", int), ("center_fractions", float), ("acquisitions", str))
    for key, kind in kinds:
        values = said.get(key)
        if isinstance(values, list) and all(isinstance(value, kind) for value in values):
            plain[key] = values
    return plain


def build(stored: StoredModel) -> Reconstructor:
    """Make the network, in evaluation mode on the CPU, with the stored weights."""
    choice = MODELS[stored.model]
    network = choice.reconstructor()
    names = network.network_arguments()
    try:
        arguments = {**completed(stored.arguments, names), **choice.fixed}
        for name, value in arguments.items():
            if not isinstance(value, bool | int | float | str | None):
                raise TypeError(f"its argument {name} is a {type(value).__name__}, no plain value")
        if unknown := arguments.keys() - names - _OF_THE_TRAINING:
            raise TypeError(f"its arguments {words(sorted(unknown))} are unknown")
        network.make_network(arguments)
        if unfit := difference(stored.state, network.state_dict()):
            raise ValueError(unfit)
        if bad := [name for name, value in stored.state.items() if not value.isfinite().all()]:
            raise ValueError(f"{bad[0]} holds NaN or Inf, as after a training that diverged")
        network.load_state_dict(stored.state)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{stored.path}: does not fit the model {stored.model} ({reason})"
        ) from error
    network.arguments, network.trained_on = arguments, stored.trained_on
    return network.eval()


def completed(arguments: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Add what files of earlier versions leave out, among the names of a model's arguments."""
    return {**{name: value for name, value in _EARLIER.items() if name in names}, **arguments}


def check_fit(
    path: Path,
    state: Mapping[str, torch.Tensor],
    arguments: Mapping[str, Any],
    module: Any,
    remedy: str,
    model: str | None = None,
) -> None:
    """Compare weights, made by these arguments, with a Lightning module's network.

    Raises:
        InputError: If they are of another one; says how they differ.
    """
    made, given = model or _told(plain_names(state)), getattr(module, "model_name", None)
    if None not in (made, given) and made != given:  # their arguments cannot be compared
        raise InputError(f"{path}: of the model {made}, not of {given}. Give {made}, or {remedy}")
    unfit = difference(named_for(module, state), module.state_dict())
    names = signature(type(module)).parameters
    theirs = completed(arguments, names)
    compared = names.keys() - _OF_THE_TRAINING if unfit else _WITHOUT_PARAMETERS
    if differences := _different(theirs, module, compared):
        raise InputError(
            f"{path}: of another model or size{f' ({unfit})' if unfit else ''}, trained with "
            f"{differences}. Give these, or {remedy}"
        )
    if unfit:
        raise InputError(
            f"{path}: of another model, which does not fit {type(module).__name__} ({unfit}). Give "
            f"{remedy}"
        )


def expect_same_arguments(arguments: Mapping[str, Any], module: Any) -> None:
    """Raise an `InputError` if a Lightning module would use weights otherwise than they were made.

    Args:
        arguments: Of the module that the weights are of; {} where they are not known.
        module: Which is to get the weights.
    """
    theirs = completed(arguments, signature(type(module)).parameters) if arguments else {}
    if differences := _different(theirs, module, _WITHOUT_PARAMETERS):
        raise InputError(
            f"the checkpoint was trained with {differences}: give {type(module).__name__}, or its "
            "load_from_checkpoint, these arguments"
        )


def _different(theirs: Mapping[str, Any], module: Any, compared: Collection[str]) -> str:
    """Which of the compared arguments are not the module's, with their values; "" if none."""
    return ", ".join(
        f"{name} {theirs[name]}"
        for name, value in module.hparams.items()
        if name in theirs and theirs[name] != value and name in compared
    )


def _are_tensors(state: Any) -> bool:
    return isinstance(state, dict) and all(isinstance(v, torch.Tensor) for v in state.values())


def _keys(contents: dict[str, Any]) -> str:
    """The first keys of a dictionary, for an error."""
    names = [printable(key) for key in list(contents)[:6]]
    return ", ".join(names + ["..."] * (len(contents) > 6)) or "nothing"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); expected what export wrote") from error
    if not isinstance(contents, dict):
        raise InputError(f"{path}: expected model and arguments, as export writes them")
    return contents


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        # stored as float16, at half the size, or as they were trained
        return {name: _single(values) for name, values in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a safetensors file ({error}); export it again") from error


def _single(values: torch.Tensor) -> torch.Tensor:
    return values.float() if values.dtype == torch.float16 else values


def serialised(stored: StoredModel, half: bool) -> bytes:
    """The weights as safetensors, where `half` as float16."""
    # safetensors refuses tensors that share memory
    state = {name: values.contiguous().clone() for name, values in stored.state.items()}
    if half:
        state = {name: _half(name, values, stored.path) for name, values in state.items()}
    return save(state)


def _half(name: str, values: torch.Tensor, path: Path) -> torch.Tensor:
    """Round to float16; whole numbers stay what they are."""
    rounded = values.half() if values.is_floating_point() else values
    if not rounded.isfinite().all():
        raise InputError(f"{path}: {name} is too large for float16; export without half")
    return rounded
