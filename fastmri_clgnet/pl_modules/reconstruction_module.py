"""The Lightning module of the comparison methods, which work on k-space and mask."""

from __future__ import annotations

from typing import Literal

import torch
from fastmri.data import transforms
from fastmri.data.transforms import VarNetSample

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.models.comparison import COMPARISON_METHODS
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule, zero_filled_scale

ComparisonMethod = Literal["dccnn", "ista", "cddn", "pd", "dudor", "octconv"]


class ReconstructionModule(KspaceModule):
    """Any of the comparison methods, with its own loss and optimizer.

    Takes batches of `fastmri.data.transforms.VarNetDataTransform` samples of single-coil data.
    k-space is divided per slice by the largest magnitude of its zero-filled image; the output is
    multiplied by it again. The loss compares magnitude images, cropped to the target, in normalised
    units.
    """

    def __init__(
        self,
        method: ComparisonMethod,
        lr: float | None = None,
        num_log_images: int = 16,
    ) -> None:
        """Make the network.

        Args:
            method: dccnn, ista, cddn, pd, dudor or octconv.
            lr: Adam's learning rate; null takes the method's own.
            num_log_images: Validation batches whose first image is logged.
        """
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters()
        if method not in COMPARISON_METHODS:
            raise ValueError(f"method={method!r}: expected one of {', '.join(COMPARISON_METHODS)}")
        self.network = COMPARISON_METHODS[method]()
        self.lr = self.network.learning_rate if lr is None else lr

    def _reconstruct(
        self, masked_kspace: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Give the normalised magnitude image, its scale (batch, 1, 1) and the network's losses."""
        kspace, mask = _single_coil(masked_kspace), _single_coil(mask)
        scale = zero_filled_scale(kspace)
        image, auxiliary = self.network(kspace / scale[..., None], mask)
        return _magnitude(image), scale, auxiliary

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Reconstruct.

        Args:
            masked_kspace: (batch, [1,] height, width, 2), centred, zero where nothing was measured.
            mask: (batch, [1,] 1, width, 1).

        Returns:
            Magnitude image of the whole field of view, (batch, height, width), in the data's units.

        Raises:
            InputError: If there are several coils.
        """
        image, scale, _ = self._reconstruct(masked_kspace, mask)
        return image * scale

    def training_step(self, batch: VarNetSample, batch_idx: int) -> torch.Tensor:
        """Compute and log the method's loss of one batch."""
        image, scale, auxiliary = self._reconstruct(batch.masked_kspace, batch.mask)
        output, target = transforms.center_crop_to_smallest(image, batch.target)
        loss = self.network.image_loss(output, target / scale)
        for name, term in auxiliary.items():
            self.log(f"train_loss/{name}", term.detach())
            loss = loss + term
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam as the method's paper has it."""
        return torch.optim.Adam(
            self.parameters(),
            lr=self.lr,
            betas=self.network.betas,
            weight_decay=self.network.weight_decay,
        )


def _magnitude(image: torch.Tensor) -> torch.Tensor:
    """|image| of (..., 2), with a gradient of 0 at 0, where the host's has NaN."""
    return torch.view_as_complex(image.contiguous()).abs()


def _single_coil(values: torch.Tensor) -> torch.Tensor:
    """Drop a coil axis of one coil."""
    if values.ndim == 5 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim != 4:
        raise InputError(
            f"the comparison methods take single-coil k-space (batch, height, width, 2), got "
            f"{tuple(values.shape)}; for multicoil data use --model clgnet or unet, which take the "
            "root sum of squares"
        )
    return values
