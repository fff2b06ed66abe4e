"""The Lightning modules that train the models that commands know by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from fastmri.pl_modules import MriModule
from torch import nn

from fastmri_clgnet.inference.loading import StoredModel, build, read_model
from fastmri_clgnet.models import registry
from fastmri_clgnet.models.classical import CLASSICAL
from fastmri_clgnet.models.comparison import COMPARISON_METHODS
from fastmri_clgnet.models.reconstructor import Reconstructor, takes_kspace
from fastmri_clgnet.pl_modules.classical_module import ClassicalModule
from fastmri_clgnet.pl_modules.clgnet_module import CLGNetModule
from fastmri_clgnet.pl_modules.clgvarnet_module import CLGNetDCModule, CLGVarNetModule
from fastmri_clgnet.pl_modules.comparison_module import ComparisonModule
from fastmri_clgnet.pl_modules.kspace_module import ZeroFilledModule
from fastmri_clgnet.pl_modules.unet_module import UnetModule
from fastmri_clgnet.pl_modules.varnet_module import VarNetModule
from fastmri_clgnet.tables import DEFAULT_MODEL, LABELS, ZERO_FILLED

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "ZERO_FILLED",
    "Model",
    "as_module",
    "build_module",
    "load_module",
    "name_of",
    "takes_kspace",
]

_MODULES: dict[str, type[MriModule]] = {
    "clgnet": CLGNetModule,
    "clgnet_dc": CLGNetDCModule,
    "clgvarnet": CLGVarNetModule,
    "unet": UnetModule,
    "varnet": VarNetModule,
    **dict.fromkeys(COMPARISON_METHODS, ComparisonModule),
    **dict.fromkeys(CLASSICAL, ClassicalModule),
    ZERO_FILLED: ZeroFilledModule,
}


class Model(NamedTuple):
    """A choice of --model."""

    label: str  # its name in tables and pictures
    module: type[MriModule]
    fixed: Mapping[str, str]  # arguments of the module that the choice settles
    multicoil: bool  # whether it takes multicoil data; all take single-coil data


MODELS: dict[str, Model] = {
    name: Model(LABELS[name], _MODULES[name], model.fixed, model.multicoil)
    for name, model in registry.MODELS.items()
}


def name_of(module: nn.Module) -> str | None:
    """The choice of --model that makes such a module; None if none does."""
    name: str | None = getattr(module, "model_name", None)
    return name


def load_module(checkpoint: Path | str, model: str | None = None) -> MriModule:
    """Load a Lightning module, to be trained further, validated or tested by a trainer.

    Args:
        checkpoint: As for `fastmri_clgnet.load`.
        model: As for `fastmri_clgnet.load`.

    Returns:
        The module in evaluation mode on the CPU, with the arguments of its training.

    Example:
        >>> module = load_module("brain-4x")
        >>> type(module).__name__, module.hparams["chans"]
        ('CLGNetModule', 32)

    Raises:
        InputError: If the file cannot be used; says why.
    """
    return build_module(read_model(checkpoint, model))


def build_module(stored: StoredModel) -> MriModule:
    """Make the Lightning module of what a file holds; see `load_module`."""
    return as_module(build(stored))


def as_module(network: nn.Module) -> MriModule:
    """Give the Lightning module of a network that `load` gave; a Lightning module as it is."""
    if not isinstance(network, Reconstructor) or isinstance(network, MriModule):
        return network
    choice = MODELS[str(network.model_name)]
    with torch.random.fork_rng(devices=[]):  # its weights are replaced
        module = choice.module(**network.arguments)
    module.load_state_dict(network.state_dict())
    module.trained_on = network.trained_on
    return module.to(next(network.parameters(), torch.empty(0)).device).train(network.training)
