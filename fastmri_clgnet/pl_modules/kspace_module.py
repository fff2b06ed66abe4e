"""Steps of modules on k-space and mask, on `VarNetDataTransform` samples; and zero-filling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from fastmri.data import transforms
from fastmri.data.transforms import VarNetSample
from fastmri.pl_modules import MriModule

from fastmri_clgnet.models.reconstructor import KspaceReconstructor, zero_filled_scale
from fastmri_clgnet.models.registry import ZeroFilling
from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin
from fastmri_clgnet.tables import ZERO_FILLED


class KspaceModule(Lightning2Mixin, KspaceReconstructor, MriModule):
    """Training, validation and test of a network that maps masked k-space to magnitude images.

    A subclass defines `forward`, from masked k-space (batch, [coils,] height, width, 2) and mask to
    the magnitude image of the whole field of view, (batch, height, width), in the data's units.
    Batches come from `fastmri.data.transforms.VarNetDataTransform`.

    Example:
        >>> import fastmri
        >>> class ZeroFilledCoils(KspaceModule):
        ...     def forward(self, masked_kspace, mask):
        ...         return fastmri.rss_complex(fastmri.ifft2c(masked_kspace), dim=1)
        >>> ZeroFilledCoils()(torch.zeros(1, 4, 64, 48, 2), torch.ones(1, 1, 1, 48, 1)).shape
        torch.Size([1, 64, 48])
    """

    needs_reference = False  # whether the loss needs k-space or image of `ReferenceSample`

    def image_loss(
        self, output: torch.Tensor, target: torch.Tensor, batch: VarNetSample
    ) -> torch.Tensor:
        """Compute the mean absolute error of images (batch, height, width), in normalised units."""
        scale = zero_filled_scale(batch.masked_kspace)
        return F.l1_loss(output / scale, target / scale)

    def batch_loss(self, batch: VarNetSample) -> torch.Tensor:
        """Compute the training loss of one batch."""
        image = self.whole_image(batch)
        output, target = transforms.center_crop_to_smallest(image, batch.target)
        return self.image_loss(output, target, batch)

    def training_step(self, batch: VarNetSample, batch_idx: int) -> torch.Tensor:
        """Compute and log the loss of one batch."""
        loss = self.batch_loss(batch)
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss

    def validation_loss(
        self, output: torch.Tensor, target: torch.Tensor, batch: VarNetSample
    ) -> torch.Tensor:
        """Compute the loss of one validation batch; NaN, unknown, where it has no references."""
        known = target.ndim > 1
        return self.image_loss(output, target, batch) if known else output.new_tensor(torch.nan)

    def validation_step(self, batch: VarNetSample, batch_idx: int) -> dict[str, Any]:
        """Reconstruct one batch; return what fastMRI's aggregation needs, in the data's units.

        Without references, `target` has no image axes: (batch,).
        """
        if batch.target.ndim > 1:
            image = self.whole_image(batch)
            output, target = transforms.center_crop_to_smallest(image, batch.target)
        else:
            output, target = self.reconstruct(batch), batch.target
        return {
            "batch_idx": batch_idx,
            "fname": batch.fname,
            "slice_num": batch.slice_num,
            "max_value": batch.max_value,
            "output": output,
            "target": target,
            "val_loss": self.validation_loss(output, target, batch),
        }

    def test_step(self, batch: VarNetSample, batch_idx: int) -> dict[str, Any]:
        """Reconstruct one batch for fastMRI's submission writer, cropped to the header's size."""
        output = self.reconstruct(batch).cpu().numpy()
        return {"fname": batch.fname, "slice": batch.slice_num, "output": output}


class ZeroFilledModule(KspaceModule, ZeroFilling):
    """Zero-filling, the inverse FFT of the masked k-space: the baseline; it has no parameters.

    Example:
        >>> ZeroFilledModule()(torch.zeros(1, 4, 64, 48, 2), torch.ones(1, 1, 1, 48, 1)).shape
        torch.Size([1, 64, 48])
    """

    model_name = ZERO_FILLED
