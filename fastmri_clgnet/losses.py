"""Training losses: callables on normalised images that name their parts."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import nn


class ReconstructionLoss(Protocol):
    """What a training loss is called with, and gives.

    All images are (batch, 1, height, width), normalised per slice as the network sees them.
    """

    def __call__(
        self, output: torch.Tensor, target: torch.Tensor, undersampled: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compare `output` with `target`; `undersampled` is the zero-filled image.

        Returns:
            Scalars by name: "loss" is what is minimised, the others are its parts, to be logged.
        """
        ...


class L1Loss(nn.Module):
    """Mean absolute error, |GT - O| averaged over pixels and batch."""

    def forward(
        self, output: torch.Tensor, target: torch.Tensor, undersampled: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return {"loss": mean absolute error}; see `ReconstructionLoss`."""
        return {"loss": F.l1_loss(output, target)}
