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

    def __init__(
        self,
        in_chans: int = 1,
        out_chans: int = 1,
        chans: int = 32,
        num_pool_layers: int = 4,
        drop_prob: float = 0.0,
        residual: bool = False,
        lr: float = 0.001,
        lr_step_size: int = 40,
        lr_gamma: float = 0.1,
        weight_decay: float = 0.0,
        num_log_images: int = 16,
    ) -> None:
        """Make the network; the defaults are fastMRI's.

        Args:
            in_chans: Channels of the input image.
            out_chans: Channels of the output image.
            chans: Width of the first layer.
            num_pool_layers: Number of poolings, and of upsamplings.
            drop_prob: Probability of dropout.
            residual: Whether the input is added to the output, which fastMRI's does not do.
            lr: RMSprop's learning rate.
            lr_step_size: Epochs after which the learning rate is multiplied by lr_gamma, again and
                again.
            lr_gamma: Factor of the learning rate's decay.
            weight_decay: RMSprop's weight decay.
            num_log_images: Validation batches whose first image is logged.
        """
        super().__init__(
            in_chans=in_chans,
            out_chans=out_chans,
            chans=chans,
            num_pool_layers=num_pool_layers,
            drop_prob=drop_prob,
            lr=lr,
            lr_step_size=lr_step_size,
            lr_gamma=lr_gamma,
            weight_decay=weight_decay,
            num_log_images=num_log_images,
        )
        self.save_hyperparameters()
        self.residual = residual

    def training_step(self, batch: UnetSample, batch_idx: int) -> torch.Tensor:
        """Run the host's step; also log its loss under the name that all models share."""
        loss: torch.Tensor = super().training_step(batch, batch_idx)
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss
