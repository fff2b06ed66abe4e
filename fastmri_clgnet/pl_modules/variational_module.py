"""The losses of variational networks, fastMRI's and CLGNet's: 1 - SSIM, or self-supervised."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from fastmri.data.transforms import VarNetSample

from fastmri_clgnet.data.ssdu import Partition, PartitionedSample
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.losses import ssdu_loss
from fastmri_clgnet.models.registry import VariationalReconstructor
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule

Loss = Literal["ssim", "ssdu"]


class VariationalModule(KspaceModule, VariationalReconstructor):
    """A module called as fastMRI's `VarNet`, trained with fastMRI's SSIM loss, or by SSDU.

    Its steps are those of fastMRI's `VarNetModule` for batches of any size, with the loss in full
    precision for any precision of the trainer. A subclass makes `varnet` and `loss`.

    With a `partition` it needs no references (SSDU, self-supervised): the network gets a part of
    the measured columns, and its k-space is compared with the others by `ssdu_loss`. Batches then
    are of `PartitionedDataTransform`. Images are made of all measured columns.
    """

    partition: Partition | None = None

    def image_loss(
        self, output: torch.Tensor, target: torch.Tensor, batch: VarNetSample
    ) -> torch.Tensor:
        """Compute 1 - SSIM; its variances of values of 1e-4 need float32."""
        data_range = torch.as_tensor(batch.max_value).to(output)
        with torch.autocast(output.device.type, enabled=False):
            loss: torch.Tensor = self.loss(output[:, None], target[:, None], data_range=data_range)
        return loss

    def held_out_loss(self, batch: PartitionedSample) -> torch.Tensor:
        """Compute the mean loss of the predicted columns over the slices and their splits."""
        n_masks = batch.held_out.shape[1]
        kspace, mask, centre = (
            torch.as_tensor(each).repeat_interleave(n_masks, dim=0)
            for each in (batch.masked_kspace, batch.mask, batch.num_low_frequencies)
        )
        held_out = batch.held_out.flatten(0, 1)
        given = mask & ~held_out
        return ssdu_loss(self.predict_kspace(kspace * given, given, centre), kspace, held_out)

    def batch_loss(self, batch: VarNetSample) -> torch.Tensor:
        """Compute the training loss of one batch."""
        return super().batch_loss(batch) if self.partition is None else self.held_out_loss(batch)

    def validation_loss(
        self, output: torch.Tensor, target: torch.Tensor, batch: VarNetSample
    ) -> torch.Tensor:
        """Compute the loss of one validation batch, which of SSDU needs no references."""
        if self.partition is None:
            return super().validation_loss(output, target, batch)
        return self.held_out_loss(batch)


def partition_of(loss: Loss, ssdu_ratio: float, ssdu_masks: int) -> Partition | None:
    """The split of a loss that needs one.

    Raises:
        InputError: If the loss is unknown, or the split cannot be made.
    """
    if loss not in get_args(Loss):
        raise InputError(f"loss {loss!r}: expected {words(get_args(Loss))}")
    partition = Partition(ssdu_ratio, ssdu_masks)
    return partition if loss == "ssdu" else None
