"""What image-to-image modules share: steps on `UnetDataTransform` samples; and zero-filling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from fastmri.data.transforms import UnetSample
from fastmri.pl_modules import MriModule

from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin


class ImageModule(Lightning2Mixin, MriModule):
    """Validation and test of a network that maps normalised magnitude images to such images.

    A subclass defines `forward`, from (batch, height, width) to the same shape. Batches are those
    of `fastmri.data.transforms.UnetDataTransform`, of either challenge.

    Example:
        >>> class SmoothedModule(ImageModule):
        ...     def forward(self, image):
        ...         return F.avg_pool2d(image[:, None], 3, stride=1, padding=1)[:, 0]
        >>> SmoothedModule()(torch.zeros(2, 64, 48)).shape
        torch.Size([2, 64, 48])
    """

    on_kspace = False

    def validation_step(self, batch: UnetSample, batch_idx: int) -> dict[str, Any]:
        """Reconstruct one batch; gives what fastMRI's aggregation asks for, in the data's units."""
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
        return {
            "fname": batch.fname,
            "slice": batch.slice_num,
            "output": denormalise(self(batch.image), batch).cpu().numpy(),
        }


class ZeroFilledModule(ImageModule):
    """Zero-filling, the inverse FFT of the masked k-space: the baseline; it has no parameters.

    Example:
        >>> image = torch.rand(2, 64, 48)
        >>> torch.equal(ZeroFilledModule()(image), image)
        True
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the zero-filled image as it is."""
        return image


def with_channel(image: torch.Tensor) -> torch.Tensor:
    """A view (batch, 1, height, width) of images without channel, or of one slice."""
    if image.ndim not in (2, 3):
        raise ValueError(
            "expected normalised magnitude images (batch, height, width), or one slice (height, "
            f"width), got {tuple(image.shape)}; the module's network itself (its attribute clgnet "
            "or unet) takes (batch, 1, height, width)"
        )
    return image.reshape(-1, 1, *image.shape[-2:])


def denormalise(image: torch.Tensor, batch: UnetSample) -> torch.Tensor:
    """Undo the normalisation of a batch's images, (batch, height, width), in its precision."""
    return image.to(batch.std.dtype) * batch.std[:, None, None] + batch.mean[:, None, None]
