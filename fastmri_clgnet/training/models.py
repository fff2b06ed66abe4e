"""The models that the training command can train."""

from __future__ import annotations

from typing import NamedTuple

import fastmri.pl_modules
import torch
from fastmri.data.transforms import UnetSample
from fastmri.pl_modules import MriModule

from fastmri_clgnet.models.comparison import COMPARISON_METHODS
from fastmri_clgnet.pl_modules import (
    CLGNetDCModule,
    CLGNetModule,
    CLGVarNetModule,
    Lightning2Mixin,
    ReconstructionModule,
    ZeroFilledModule,
)


class UnetModule(Lightning2Mixin, fastmri.pl_modules.UnetModule):
    """fastMRI's U-Net under Lightning 2, with fastMRI's own loss and optimizer."""

    def training_step(self, batch: UnetSample, batch_idx: int) -> torch.Tensor:
        """Let the host step; its loss is logged under the name that all models share, too."""
        loss: torch.Tensor = super().training_step(batch, batch_idx)
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss


class Model(NamedTuple):
    """A choice of --model.

    Args:
        label: Its name in tables and pictures.
        module: Its Lightning module.
        on_kspace: Whether it takes k-space and mask (fastMRI's `VarNetDataTransform`), not
            magnitude images (`UnetDataTransform`).
        fixed: Arguments of the module that the choice settles.
        multicoil: Whether it takes multicoil data; all take single-coil data.
    """

    label: str
    module: type[MriModule]
    on_kspace: bool = False
    fixed: dict[str, str] = {}  # noqa: RUF012
    multicoil: bool = True


ZERO_FILLED = "zero_filled"
_LABELS = {
    "dccnn": "DCCNN",
    "ista": "ISTA-Net+",
    "cddn": "CDDN",
    "pd": "PD",
    "dudor": "DuDoRNet",
    "octconv": "Dual-OctConv",
}

MODELS: dict[str, Model] = {
    "clgnet": Model("CLGNet", CLGNetModule),
    "clgnet_dc": Model("CLGNet + DC", CLGNetDCModule, on_kspace=True),
    "clgvarnet": Model("CLGVarNet", CLGVarNetModule, on_kspace=True),
    "unet": Model("U-Net", UnetModule),
    **{
        name: Model(_LABELS[name], ReconstructionModule, True, {"method": name}, multicoil=False)
        for name in COMPARISON_METHODS
    },
    ZERO_FILLED: Model("zero-filled", ZeroFilledModule),
}
