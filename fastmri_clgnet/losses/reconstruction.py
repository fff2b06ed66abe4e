"""Training losses: callables on normalised images that return named parts."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.losses.contrastive import ContrastiveLoss

ALPHA = 0.05  # weight of the contrastive loss, as in the paper


class ReconstructionLoss(Protocol):
    """The signature of a training loss.

    All images are (batch, 1, height, width), normalised per slice as the network sees them. A loss
    with an attribute `other_masks` above 0 is also given `others`, the zero-filled images of each
    slice under so many other masks, (batch, other_masks, height, width).

    Example:
        >>> from fastmri_clgnet import CLGNetModule
        >>> class SquaredError(nn.Module):
        ...     def forward(self, output, target, undersampled):
        ...         return {"loss": F.mse_loss(output, target)}
        >>> module = CLGNetModule(chans=8, loss=SquaredError())
        >>> module.loss(*torch.zeros(3, 2, 1, 32, 32))
        {'loss': tensor(0.)}
    """

    def __call__(
        self, output: torch.Tensor, target: torch.Tensor, undersampled: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compare `output` with `target`; `undersampled` is the zero-filled image.

        Returns:
            Scalars by name: "loss" is minimised; the others are its parts, to be logged.
        """
        ...


class CLGNetLoss(nn.Module):
    """L = ||GT - O||_1 + alpha L_CL (eq. 10), the first term a mean over pixels and batch.

    Args:
        alpha: Weight of the contrastive loss; 0 means the mean absolute error only.
        contrastive: The contrastive loss; required if alpha is not 0.

    Example:
        >>> contrastive = ContrastiveLoss(lambda images: [images], (1.0,), num_negatives=2)
        >>> loss = CLGNetLoss(alpha=0.05, contrastive=contrastive)
        >>> output, target, undersampled = torch.rand(3, 4, 1, 32, 32)  # 4 images of each
        >>> list(loss(output, target, undersampled))
        ['loss', 'l1', 'contrastive']

    Raises:
        ValueError: If alpha is negative, or is not 0 and there is no contrastive loss.

    References:
        Yi et al. Contrastive Learning for Local and Global Learning MRI Reconstruction.
        arXiv:2111.15200, eq. 10, alpha = 0.05.
    """

    def __init__(self, alpha: float = ALPHA, contrastive: ContrastiveLoss | None = None) -> None:
        super().__init__()
        if alpha < 0:
            raise ValueError(f"alpha={alpha}: expected a weight of 0 or more")
        if alpha > 0 and contrastive is None:
            raise ValueError(f"alpha={alpha} weights a contrastive loss, but none was given")
        self.alpha = alpha
        self.contrastive = contrastive if alpha > 0 else None
        self.other_masks = 0 if self.contrastive is None else self.contrastive.other_masks

    def forward(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        undersampled: torch.Tensor,
        others: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return {"loss": total, "l1": ..., "contrastive": ...}; see `ReconstructionLoss`."""
        l1 = F.l1_loss(output, target)
        if self.contrastive is None:
            return {"loss": l1, "l1": l1}
        contrastive = self.contrastive(output, target, undersampled, others)
        return {"loss": l1 + self.alpha * contrastive, "l1": l1, "contrastive": contrastive}
