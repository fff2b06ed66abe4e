"""The adversary: small residual networks that guess the sampled axis of an image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from banding.metrics import percentile_99

_KERNEL = 5
_POOL = 4
_CHANS_PER_GROUP = 32  # of the group norms


class _ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), with a 1x1 convolution if the width grows."""

    def __init__(self, in_chans: int, out_chans: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for chans, next_chans in ((in_chans, in_chans), (in_chans, out_chans)):
            groups = range(max(chans // _CHANS_PER_GROUP, 1), 0, -1)
            layers += [
                nn.GroupNorm(next(n for n in groups if chans % n == 0), chans),
                nn.ReLU(),
                nn.Conv2d(chans, next_chans, _KERNEL, padding=_KERNEL // 2, bias=False),
            ]
        self.residual = nn.Sequential(*layers)
        self.shortcut = (
            nn.Identity()
            if in_chans == out_chans
            else nn.Conv2d(in_chans, out_chans, 1, bias=False)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_chans, height, width) to (batch, out_chans, height, width)."""
        return self.shortcut(features) + self.residual(features)


class OrientationDiscriminator(nn.Module):
    """Guesses whether a magnitude image was undersampled along its rows (logit above 0).

    The shallow ResNet of arXiv:2001.08699, with Kaiming's normal initialisation.
    """

    def __init__(self, chans: int = 64, in_chans: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            # images have a standard deviation of 1: see `standardise`
            nn.InstanceNorm2d(in_chans),
            nn.Conv2d(in_chans, chans, _KERNEL, padding=_KERNEL // 2),
            _ResidualBlock(chans, chans),
            _ResidualBlock(chans, chans),
            nn.MaxPool2d(_POOL),
            _ResidualBlock(chans, 2 * chans),
            _ResidualBlock(2 * chans, 2 * chans),
            nn.MaxPool2d(_POOL),
        )
        self.logit = nn.Linear(2 * chans, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map standardised images (batch, [in_chans,] height, width), 16 x 16 or more, to logits.

        These are (batch, 1).
        """
        features = self.features(image.unsqueeze(1) if image.ndim == 3 else image)
        return self.logit(F.relu(features.mean(dim=(2, 3))))


class OrientationAdversary(nn.Module):
    """An ensemble of discriminators.

    Args:
        num_adversaries: Number of discriminators.
        chans: Width of each before its first pooling; it is twice that after it.
        in_chans: Number of channels of the images.

    Example:
        >>> adversary = OrientationAdversary(num_adversaries=2, chans=8)
        >>> adversary(torch.zeros(3, 32, 32)).shape
        torch.Size([3, 2])

    Raises:
        ValueError: If a number is below 1.

    References:
        Defazio, Murrell, Recht. MRI Banding Removal via Adversarial Training. NeurIPS 2020,
        arXiv:2001.08699.
    """

    def __init__(self, num_adversaries: int = 1, chans: int = 64, in_chans: int = 1) -> None:
        super().__init__()
        if num_adversaries < 1 or chans < 1:
            raise ValueError(
                f"num_adversaries={num_adversaries}, chans={chans}: expected at least 1 of each"
            )
        self.members = nn.ModuleList(
            OrientationDiscriminator(chans, in_chans) for _ in range(num_adversaries)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map images (batch, [in_chans,] height, width) to logits (batch, num_adversaries)."""
        return torch.cat([member(image) for member in self.members], dim=1)


def standardise(image: torch.Tensor) -> torch.Tensor:
    """Scale images (batch, height, width) to mean 0 and standard deviation 1; a constant to 0."""
    # the gradient penalty would depend on the units of the images
    centred = image - image.mean(dim=(1, 2), keepdim=True)
    # the gradient of the norm at 0 is 0, that of the square root is not finite
    scale = torch.linalg.vector_norm(centred, dim=(1, 2), keepdim=True)
    scale = scale / (image.shape[1] * image.shape[2]) ** 0.5
    return centred / scale.clamp_min(1e-30)


def narrow(image: torch.Tensor, window: float) -> torch.Tensor:
    """Clip images (batch, height, width) at a fraction of their 99th percentile; 0 is no clip."""
    if window == 0:
        return image
    return torch.minimum(image, window * percentile_99(image.detach()))


def gradient_penalty(
    adversary: nn.Module, image: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (batch, members) and R1 = mean sum_j ||d logit_j / d image||^2 (arXiv:1801.04406)."""
    image = image.detach().requires_grad_()
    logits = adversary(image)
    penalty = image.new_zeros(())
    for member in logits.unbind(dim=1):
        (slope,) = torch.autograd.grad(member.sum(), image, create_graph=True)
        penalty = penalty + slope.square().flatten(1).sum(dim=1).mean()
    return logits, penalty
