"""The models that the commands know by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fastmri.pl_modules import MriModule


class Model(NamedTuple):
    """A choice of --model; all take single-coil data."""

    label: str  # its name in tables and pictures
    home: str  # its Lightning module, as MODULE:CLASS, which is imported when it is used
    fixed: Mapping[str, str] = {}  # arguments of the module that the choice settles
    multicoil: bool = True

    @property
    def module(self) -> type[MriModule]:
        """The class of its Lightning module."""
        place, _, name = self.home.partition(":")
        found: type[MriModule] = getattr(importlib.import_module(place), name)
        return found


DEFAULT_MODEL, ZERO_FILLED = "clgnet", "zero_filled"
_MODULES = "fastmri_clgnet.pl_modules"
_COMPARISON_METHODS = {
    "dccnn": "DCCNN",
    "ista": "ISTA-Net+",
    "cddn": "CDDN",
    "pd": "PD",
    "dudor": "DuDoRNet",
    "octconv": "Dual-OctConv",
}

MODELS: dict[str, Model] = {
    DEFAULT_MODEL: Model("CLGNet", f"{_MODULES}.clgnet_module:CLGNetModule"),
    "clgnet_dc": Model("CLGNet + DC", f"{_MODULES}.clgvarnet_module:CLGNetDCModule"),
    "clgvarnet": Model("CLGVarNet", f"{_MODULES}.clgvarnet_module:CLGVarNetModule"),
    "unet": Model("U-Net", f"{_MODULES}.unet_module:UnetModule"),
    "varnet": Model("E2E-VarNet", f"{_MODULES}.varnet_module:VarNetModule"),
    **{
        name: Model(
            label,
            f"{_MODULES}.comparison_module:ComparisonModule",
            fixed={"method": name},
            multicoil=False,
        )
        for name, label in _COMPARISON_METHODS.items()
    },
    ZERO_FILLED: Model("zero-filled", f"{_MODULES}.image_module:ZeroFilledModule"),
}


def name_of(module: MriModule) -> str | None:
    """The choice of --model that makes such a module; None if none does."""
    for name, model in MODELS.items():
        fits = all(module.hparams.get(key) == value for key, value in model.fixed.items())
        if fits and type(module) is model.module:
            return name
    return None


def takes_kspace(module: MriModule) -> bool:
    """Whether a module takes k-space and mask; magnitude images where it does not say so."""
    return bool(getattr(module, "on_kspace", False))
