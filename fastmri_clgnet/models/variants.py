"""The paper's ablations of CLGNet (its Tables 3 and 4), made by replacing parts of a CLGNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.models.clgnet import CLGNet
from fastmri_clgnet.models.spatial_fourier import (
    SpatialFourierLayer,
    SpatialFourierResidualGroup,
)
from fastmri_clgnet.models.spectral_unit import Spectrum, activate, check_spectrum

Variant = Literal["clgnet", "wo_wavelet", "wo_sfl", "wo_cl", "wo_negative", "sa", "tran"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

# gives the parameters of Table 4 (0.88 M); the paper does not state it
ATTENTION_CHANS = 2  # inner width of the self-attention, in widths of the network


class ImageDomainLayer(nn.Module):
    """fuse([local(f), ReLU(norm(pointwise(f)))]): the layer without FFT and inverse FFT."""

    def __init__(self, chans: int, spectrum: Spectrum) -> None:
        super().__init__()
        check_spectrum(spectrum)
        self.spectrum: Spectrum = spectrum
        self.local = nn.Conv2d(chans, chans, kernel_size=3, padding=1)
        self.pointwise = nn.Conv2d(chans, chans, kernel_size=1)
        self.fuse = nn.Conv2d(2 * chans, chans, kernel_size=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (batch, chans, height, width); the shape stays."""
        activated = activate(self.pointwise(features), self.spectrum)
        return self.fuse(torch.cat([self.local(features), activated], dim=1))


class SelfAttention(nn.Module):
    """f + out(softmax(q k^T / sqrt(d)) v) among all pixels (Wang et al., CVPR 2018)."""

    def __init__(self, chans: int, inner_chans: int) -> None:
        super().__init__()
        self.query_key_value = nn.Conv2d(chans, 3 * inner_chans, kernel_size=1)
        self.out = nn.Conv2d(inner_chans, chans, kernel_size=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the attention to (batch, chans, height, width); the shape stays."""
        size = features.shape[-2:]
        # (batch, one head, pixels, inner_chans); torch's fused form needs contiguous channels and
        # otherwise silently falls back to one with quadratic memory
        tokens = self.query_key_value(features).flatten(2).transpose(1, 2).unsqueeze(1)
        attended = F.scaled_dot_product_attention(*tokens.contiguous().chunk(3, dim=-1))
        return features + self.out(attended.squeeze(1).transpose(1, 2).unflatten(2, size))


class SecondSpatialBranch(nn.Module):
    """A spatial branch that replaces the wavelet branch: f + Up(groups(Down(f)))."""

    def __init__(self, chans: int, num_groups: int, num_blocks: int, spectrum: Spectrum) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            # 7x7 replaces the parameters of the wavelet branch's head and tail, within 1 %
            nn.Conv2d(chans, chans, kernel_size=7, stride=2, padding=3),
            *(SpatialFourierResidualGroup(chans, num_blocks, spectrum) for _ in range(num_groups)),
            nn.ConvTranspose2d(chans, chans, kernel_size=4, stride=2, padding=1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the branch to (batch, chans, height, width), even sizes; the shape stays."""
        return features + self.layers(features)


def _replace(model: nn.Module, old: type[nn.Module], make: Callable[[], nn.Module]) -> None:
    """Replace every module of a type by a new one."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, old):
                setattr(module, name, make())


def make_variant(variant: Variant, model: CLGNet | None = None) -> CLGNet:
    """Make one of the paper's ablations of CLGNet.

    Args:
        variant: "clgnet"; "wo_wavelet": a second spatial branch instead of the wavelet branch;
            "wo_sfl": without FFT and inverse FFT, the rest of the layer unchanged (the paper's
            CLGNet_non); "sa": the same with self-attention at the end of each group (CLGNet_SA);
            "tran": residual Swin transformer groups (CLGNet_Tran); "wo_cl" and "wo_negative" differ
            only in the loss and are CLGNet.
        model: The CLGNet to change; by default one of the paper's size.

    Returns:
        The changed model, with new weights in the replaced parts.

    Example:
        >>> model = make_variant("sa", CLGNet(chans=8))
        >>> model(torch.zeros(1, 1, 64, 64)).shape
        torch.Size([1, 1, 64, 64])

    Raises:
        ValueError: If there is no such variant, or an argument does not fit.

    References:
        Yi et al. Contrastive Learning for Local and Global Learning MRI Reconstruction.
        arXiv:2111.15200, Tables 3 and 4.
    """
    model = CLGNet() if model is None else model
    chans = model.chans
    if variant in ("clgnet", "wo_cl", "wo_negative"):
        return model
    if variant == "wo_wavelet":
        model.wavelet_branch = SecondSpatialBranch(
            chans, model.num_groups, model.num_blocks, model.spectrum
        )
    elif variant in ("wo_sfl", "sa"):
        _replace(model, SpatialFourierLayer, lambda: ImageDomainLayer(chans, model.spectrum))
        if variant == "sa":
            for group in model.modules():
                if isinstance(group, SpatialFourierResidualGroup):
                    group.blocks.append(SelfAttention(chans, ATTENTION_CHANS * chans))
    elif variant == "tran":
        # torchvision takes as long to import as torch, and is only needed here
        from fastmri_clgnet.models.swin import ResidualSwinGroup

        _replace(model, SpatialFourierResidualGroup, lambda: ResidualSwinGroup(chans))
    else:
        raise ValueError(f"variant={variant!r}: expected one of {', '.join(VARIANTS)}")
    changed: CLGNet = model.to(memory_format=torch.channels_last)  # the new parts as the others
    return changed
