"""Inputs of the size that a benchmark asks for, for any of the library's networks."""

from __future__ import annotations

import torch
from torch import nn

from fastmri_clgnet.models.comparison import KspaceNetwork


def example_inputs(
    model: nn.Module, size: tuple[int, int], device: torch.device, batch: int = 1
) -> tuple[torch.Tensor, ...]:
    """Make what a network is called with.

    Args:
        model: A `KspaceNetwork`, or a network on magnitude images (batch, 1, height, width).
        size: Height and width in pixels.
        device: Where to make it.
        batch: Number of images.

    Returns:
        Random k-space (batch, height, width, 2) and a mask of every fourth column, or random
        images; in the precision of the model's parameters, float32 without any.
    """
    parameter = next(model.parameters(), None)
    dtype = torch.float32 if parameter is None else parameter.dtype
    if not isinstance(model, KspaceNetwork):
        return (torch.randn(batch, 1, *size, dtype=dtype, device=device),)
    mask = torch.zeros(1, 1, size[1], 1, dtype=dtype, device=device)
    mask[:, :, ::4] = 1
    return mask * torch.randn(batch, *size, 2, dtype=dtype, device=device), mask
