"""The optimizer of the modules that train CLGNet."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule


def adam_with_step_decay(module: LightningModule) -> Any:
    """Adam as a module's hyperparameters have it: lr, weight_decay, lr_step_size, lr_gamma."""
    lr, step_size, gamma, weight_decay = (
        module.hparams[name] for name in ("lr", "lr_step_size", "lr_gamma", "weight_decay")
    )
    optimizer = torch.optim.Adam(module.parameters(), lr=lr, weight_decay=weight_decay)
    if step_size is None:
        return optimizer
    return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size, gamma)]
