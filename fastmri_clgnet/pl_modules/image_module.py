"""Steps of image-to-image modules on `UnetDataTransform` samples."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from fastmri.data.transforms import UnetSample
from fastmri.pl_modules import MriModule

from fastmri_clgnet.models.reconstructor import ImageReconstructor, denormalise
from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin


class ImageModule(Lightning2Mixin, ImageReconstructor, MriModule):
    """Validation and test of a network that maps normalised magnitude images to such images.

    A subclass defines `forward`, from (batch, height, width) to the same shape. Batches come from
    `fastmri.data.transforms.UnetDataTransform`, of either challenge.

    Example:
        >>> class SmoothedModule(ImageModule):
        ...     def forward(self, image):
        ...         return F.avg_pool2d(image[:, None], 3, stride=1, padding=1)[:, 0]
        >>> import torch
        >>> SmoothedModule()(torch.zeros(2, 64, 48)).shape
        torch.Size([2, 64, 48])
    """

    def validation_step(self, batch: UnetSample, batch_idx: int) -> dict[str, Any]:
        """Reconstruct one batch; return what fastMRI's aggregation needs, in the data's units."""
        output = self(batch.image)
        return {
            "batch_idx": batch_idx,
            "fname": batch.fname,
            "slice_num": batch.slice_num,
            "max_value": batch.max_value,
            "output": denormalise(output, batch),
            "target": denormalise(batch.target, batch),
            "val_loss": F.l1_loss(output, batch.target),
        }

    def test_step(self, batch: UnetSample, batch_idx: int) -> dict[str, Any]:
        """Reconstruct one batch for fastMRI's submission writer, in the data's units."""
        output = self.reconstruct(batch).cpu().numpy()
        return {"fname": batch.fname, "slice": batch.slice_num, "output": output}
