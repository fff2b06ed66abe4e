"""Batches of samples, moved to where a network computes."""

from __future__ import annotations

from typing import Any

import torch


def to_device(values: Any, device: torch.device) -> Any:
    """Tensors in (named) tuples and lists on a device; anything else as it is.

    MPS, which has no float64, gets float32 in its place, such as of a volume's largest value.
    """
    if isinstance(values, torch.Tensor):
        if device.type == "mps" and values.dtype == torch.float64:
            values = values.float()
        return values.to(device, non_blocking=True)
    if isinstance(values, list | tuple):
        moved = [to_device(value, device) for value in values]
        return type(values)._make(moved) if hasattr(values, "_make") else type(values)(moved)
    return values
