"""The precisions that networks are measured and used in, by Lightning's names."""

from __future__ import annotations

import torch

PRECISIONS = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Torch's autocast to a precision on a device; switched off for 32-true."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not None)
