"""fastMRI's U-Net under Lightning 2."""

from __future__ import annotations

import fastmri.pl_modules
import torch
from fastmri.data.transforms import UnetSample

from fastmri_clgnet.models.registry import UnetReconstructor
from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin


class UnetModule(Lightning2Mixin, UnetReconstructor, fastmri.pl_modules.UnetModule):
    """fastMRI's U-Net under Lightning 2, with fastMRI's own loss and optimizer.

    Example:
        >>> UnetModule(chans=8, num_pool_layers=2)(torch.zeros(2, 64, 48)).shape
        torch.Size([2, 64, 48])
    """

    model_name = "unet"

    def training_step(self, batch: UnetSample, batch_idx: int) -> torch.Tensor:
        """Run the host's step; also log its loss under the name that all models share."""
        loss: torch.Tensor = super().training_step(batch, batch_idx)
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss
