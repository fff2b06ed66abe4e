"""fastMRI's U-Net under Lightning 2."""

from __future__ import annotations

import fastmri.pl_modules
import torch
from fastmri.data.transforms import UnetSample

from fastmri_clgnet.pl_modules.image_module import with_channel
from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin


class UnetModule(Lightning2Mixin, fastmri.pl_modules.UnetModule):
    """fastMRI's U-Net under Lightning 2, with fastMRI's own loss and optimizer."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruct normalised magnitude images, (batch, height, width), or one without batch."""
        output: torch.Tensor = self.unet(with_channel(image)).reshape(image.shape)
        return output

    def training_step(self, batch: UnetSample, batch_idx: int) -> torch.Tensor:
        """Let the host step; its loss is logged under the name that all models share, too."""
        loss: torch.Tensor = super().training_step(batch, batch_idx)
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss
