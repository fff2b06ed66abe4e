"""fastMRI's end-to-end variational network under Lightning 2."""

from __future__ import annotations

from typing import Literal

import fastmri.pl_modules

from fastmri_clgnet.data.ssdu import Partition
from fastmri_clgnet.models.registry import VarNetReconstructor, expect_positive
from fastmri_clgnet.models.sensitivities import stabilise
from fastmri_clgnet.pl_modules.variational_module import Loss, VariationalModule, partition_of


class VarNetModule(VariationalModule, VarNetReconstructor, fastmri.pl_modules.VarNetModule):
    """fastMRI's E2E-VarNet under Lightning 2: its network, loss, optimizer and parameter names.

    Checkpoints of fastMRI's own `VarNetModule` can be loaded. It adds support for slices and coils
    without signal, which give NaN in fastMRI, batches of several slices, lower precision, and
    single-coil data, which has one coil of sensitivity 1 and no sensitivity model.

    Example:
        >>> import torch
        >>> module = VarNetModule(num_cascades=2, pools=2, chans=4, sens_pools=2, sens_chans=2)
        >>> mask = torch.ones(1, 1, 1, 48, 1)
        >>> module(torch.randn(1, 4, 64, 48, 2), mask).shape
        torch.Size([1, 64, 48])
    """

    model_name = "varnet"

    def __init__(
        self,
        num_cascades: int = 12,
        pools: int = 4,
        chans: int = 18,
        sens_pools: int = 4,
        sens_chans: int = 8,
        challenge: Literal["singlecoil", "multicoil"] = "multicoil",
        loss: Loss = "ssim",
        ssdu_ratio: float = Partition.ratio,
        ssdu_masks: int = Partition.masks,
        lr: float = 0.0003,
        lr_step_size: int = 40,
        lr_gamma: float = 0.1,
        weight_decay: float = 0.0,
        num_log_images: int = 16,
    ) -> None:
        """Make the network; the defaults are fastMRI's.

        Args:
            num_cascades: Number of cascades.
            pools: Poolings of each cascade's U-Net.
            chans: First width of each cascade's U-Net.
            sens_pools: Poolings of the sensitivity model's U-Net (multicoil).
            sens_chans: First width of the sensitivity model's U-Net (multicoil).
            challenge: singlecoil has one coil and no sensitivity estimation.
            loss: ssim: 1 - SSIM of the image, fastMRI's. ssdu: self-supervised, without references:
                a part of the measured columns is held out and predicted from the others.
            ssdu_ratio: Part of the measured columns that is held out.
            ssdu_masks: Splits of each slice in a step, each at the cost of a step.
            lr: Adam's learning rate.
            lr_step_size: Epochs between multiplications of the learning rate by lr_gamma.
            lr_gamma: Factor of the learning rate's decay.
            weight_decay: Adam's weight decay.
            num_log_images: Number of validation batches whose first image is logged.
        """
        counts = {"num_cascades": num_cascades, "pools": pools, "chans": chans}
        expect_positive(counts, *counts)
        super().__init__(
            num_cascades=num_cascades,
            pools=pools,
            chans=chans,
            sens_pools=sens_pools,
            sens_chans=sens_chans,
            lr=lr,
            lr_step_size=lr_step_size,
            lr_gamma=lr_gamma,
            weight_decay=weight_decay,
            num_log_images=num_log_images,
        )
        self.save_hyperparameters()
        self.partition = partition_of(loss, ssdu_ratio, ssdu_masks)
        self.keeps_measured = self.partition is not None
        stabilise(self.varnet, challenge)
