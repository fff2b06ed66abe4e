"""The Lightning module of the comparison methods, which work on k-space and mask."""

from __future__ import annotations

from typing import Literal

import torch

from fastmri_clgnet.data.reference import ReferenceSample
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.models.comparison import Reference
from fastmri_clgnet.models.registry import ComparisonReconstructor, single_coil
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule

ComparisonMethod = Literal["dccnn", "ista", "cddn", "pd", "dudor", "octconv"]


class ComparisonModule(KspaceModule, ComparisonReconstructor):
    """Any of the comparison methods, with its own loss and optimizer.

    It trains on batches of `ReferenceDataTransform` samples of single-coil data, since the papers'
    losses compare complex images and k-space with the fully sampled ones (see each method's
    `losses`). Validation and test compare magnitude images, and also accept samples of fastMRI's
    `VarNetDataTransform`. k-space and reference are divided per slice by the largest magnitude of
    the zero-filled image, and the output is multiplied by it again.

    Example:
        >>> module = ComparisonModule("dccnn", lr=1e-3)
        >>> module(torch.randn(1, 64, 48, 2), torch.ones(1, 1, 48, 1)).shape
        torch.Size([1, 64, 48])
    """

    model_name = "comparison"
    needs_reference = True

    def __init__(
        self,
        method: ComparisonMethod,
        lr: float | None = None,
        num_log_images: int = 16,
    ) -> None:
        """Make the network.

        Args:
            method: dccnn, ista, cddn, pd, dudor or octconv.
            lr: Adam's learning rate; null uses that of the method's paper.
            num_log_images: Number of validation batches whose first image is logged.
        """
        arguments = dict(locals())
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters()
        self.make_network(arguments)
        self.lr = self.network.learning_rate if lr is None else lr

    def training_step(self, batch: ReferenceSample, batch_idx: int) -> torch.Tensor:
        """Compute and log the method's loss of one batch.

        Raises:
            InputError: If there is no fully sampled k-space, or there are several coils.
        """
        image, kspace = _reference(batch)
        output, scale = self.apply_network(batch.masked_kspace, batch.mask)
        reference = Reference(image / scale[..., None], kspace / scale[..., None])
        terms = self.network.losses(output, reference)
        if len(terms) > 1:
            for name, term in terms.items():
                self.log(f"train_loss/{name}", term.detach())
        loss = torch.stack(list(terms.values())).sum()
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam with the settings of the method's paper."""
        return torch.optim.Adam(
            self.parameters(),
            lr=self.lr,
            betas=self.network.betas,
            weight_decay=self.network.weight_decay,
        )


def _reference(batch: ReferenceSample) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the complex image and the whole k-space of a batch, without coil axis."""
    kspace = getattr(batch, "kspace", None)
    if kspace is None or not kspace.numel():
        raise InputError(
            f"{', '.join(sorted(set(batch.fname)))}: this method's loss needs fully sampled "
            "k-space: train on files without a mask, through Data.module(..., "
            "needs_reference=True) or ReferenceDataTransform with a mask_func"
        )
    return single_coil(batch.image), single_coil(kspace)
