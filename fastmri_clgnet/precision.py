"""The precisions for measuring and applying networks, with Lightning's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return torch's autocast to a precision on a device; disabled for 32-true."""
    import torch

    dtypes = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
    dtype = dtypes[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not None)
