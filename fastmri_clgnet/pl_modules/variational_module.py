"""The common loss of variational networks, fastMRI's and CLGNet's: 1 - SSIM."""

from __future__ import annotations

import torch
from fastmri.data.transforms import VarNetSample

from fastmri_clgnet.models.registry import VariationalReconstructor
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule


class VariationalModule(KspaceModule, VariationalReconstructor):
    """A module called as fastMRI's `VarNet`, trained with fastMRI's SSIM loss.

    Its steps are those of fastMRI's `VarNetModule` for batches of any size, with the loss in full
    precision for any precision of the trainer. A subclass makes `varnet` and `loss`.
    """

    def image_loss(
        self, output: torch.Tensor, target: torch.Tensor, batch: VarNetSample
    ) -> torch.Tensor:
        """Compute 1 - SSIM; its variances of values of 1e-4 need float32."""
        data_range = torch.as_tensor(batch.max_value).to(output)
        with torch.autocast(output.device.type, enabled=False):
            loss: torch.Tensor = self.loss(output[:, None], target[:, None], data_range=data_range)
        return loss
