"""The optimizer of the modules that train CLGNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def adam_with_step_decay(
    module: nn.Module, lr: float, lr_step_size: int | None, lr_gamma: float, weight_decay: float
) -> Any:
    """Adam for all parameters, with a decay by lr_gamma every lr_step_size epochs, if given."""
    optimizer = torch.optim.Adam(module.parameters(), lr=lr, weight_decay=weight_decay)
    if lr_step_size is None:
        return optimizer
    return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, lr_step_size, lr_gamma)]
