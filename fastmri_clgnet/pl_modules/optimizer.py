"""The optimizer of the modules that train CLGNet."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule


class AdamWithStepDecay(LightningModule):
    """Adam as the hyperparameters have it: lr, weight_decay, lr_step_size, lr_gamma."""

    def configure_optimizers(self) -> Any:
        """Adam, with a step decay where lr_step_size is given."""
        lr, step_size, gamma, weight_decay = (
            self.hparams[name] for name in ("lr", "lr_step_size", "lr_gamma", "weight_decay")
        )
        optimizer = torch.optim.Adam(self.parameters(), lr=lr, weight_decay=weight_decay)
        if step_size is None:
            return optimizer
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size, gamma)]
