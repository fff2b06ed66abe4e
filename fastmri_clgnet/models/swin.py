"""The residual Swin transformer group, which replaces CLGNet's groups in the ablation "tran"."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.swin_transformer import SwinTransformerBlock

# give the parameters of Table 4 (0.95 M); the paper does not state them
DEPTH, HEADS, WINDOW, MLP_RATIO = 8, 4, 8, 3.0


class ResidualSwinGroup(nn.Module):
    """f + Conv3x3(STL x8 (f)), on torchvision's Swin blocks (SwinIR, Liang et al., ICCVW 2021)."""

    def __init__(self, chans: int) -> None:
        super().__init__()
        if chans % HEADS:
            raise ValueError(
                f"chans={chans}: expected a multiple of the transformer's {HEADS} heads"
            )
        self.blocks = nn.Sequential(
            *(
                SwinTransformerBlock(
                    chans,
                    HEADS,
                    window_size=[WINDOW] * 2,
                    shift_size=[WINDOW // 2 * (i % 2)] * 2,
                    mlp_ratio=MLP_RATIO,
                )
                for i in range(DEPTH)
            )
        )
        self.convolution = nn.Conv2d(chans, chans, kernel_size=3, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the group to (batch, chans, height, width); the shape stays."""
        transformed = self.blocks(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return features + self.convolution(transformed)
