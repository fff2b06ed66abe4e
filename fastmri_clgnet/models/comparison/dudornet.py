"""DuDoRNet, a dual-domain recurrent network, without its T1 prior."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.models.comparison.kspace_network import (
    KspaceNetwork,
    Reconstruction,
    Reference,
    convolution,
    crop_like,
    from_channels,
    to_channels,
)
from fastmri_clgnet.models.fourier import (
    hard_data_consistency,
    replace_measured,
    to_image,
    to_kspace,
)


class SqueezeAndExcitation(nn.Module):
    """Scales channels by a gate computed from their means."""

    def __init__(self, chans: int, reduction: int) -> None:
        super().__init__()
        inner = max(1, chans // reduction)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(chans, inner, bias=False),
            nn.ReLU(),
            nn.Linear(inner, chans, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scale (batch, chans, height, width)."""
        return features * self.gate(features)[:, :, None, None]


class DilatedResidualDenseBlock(nn.Module):
    """Four dense dilated convolutions, fused, gated, with a residual."""

    def __init__(self, chans: int, reduction: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(
            nn.Sequential(convolution((i + 1) * chans, chans, dilation), nn.ReLU())
            for i, dilation in enumerate((1, 2, 3, 3))
        )
        self.fuse = nn.Conv2d(5 * chans, chans, 1)
        self.gate = SqueezeAndExcitation(chans, reduction)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the block to (batch, chans, height, width); the shape stays."""
        collected = features
        for layer in self.dense:
            collected = torch.cat([collected, layer(collected)], dim=1)
        gated: torch.Tensor = self.gate(self.fuse(collected))
        return features + gated


class DilatedResidualDenseNetwork(nn.Module):
    """DRDN: three dense blocks with fused outputs; no residual from the input."""

    def __init__(self, chans: int, reduction: int, num_blocks: int = 3) -> None:
        super().__init__()
        self.first = convolution(2, chans)
        self.second = convolution(chans, chans)
        self.blocks = nn.ModuleList(
            DilatedResidualDenseBlock(chans, reduction) for _ in range(num_blocks)
        )
        self.fuse = nn.Sequential(
            nn.Conv2d(num_blocks * chans, chans, 1), convolution(chans, chans)
        )
        self.last = nn.Sequential(convolution(chans, chans), convolution(chans, 2))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map (batch, height, width, 2) to the same shape."""
        first = self.first(to_channels(values))
        features = self.second(first)
        outputs = []
        for block in self.blocks:
            features = block(features)
            outputs.append(features)
        return from_channels(self.last(first + self.fuse(torch.cat(outputs, dim=1))))


class DuDoRNet(KspaceNetwork):
    """Recurrent restoration of image and k-space with shared weights and hard data consistency.

    One recurrence: image network, data consistency, FFT, k-space network, data consistency, inverse
    FFT.

    649,476 parameters, 851.53 GMac at 512 x 512, as in Table 2 of CLGNet's paper. Loss, as
    in the paper: the mean absolute error of the complex image after the image network's data
    consistency, plus that of k-space before the k-space network's, both of real and imaginary
    parts, summed over recurrences. k-space is that of orthonormal FFTs; images are cropped to the
    reference, k-space is not.

    Args:
        num_recurrences: Number of recurrences.
        chans: Width of both networks.
        reduction: Reduction of the inner widths of their squeeze-and-excitation gates.

    Example:
        >>> network = DuDoRNet(num_recurrences=1)
        >>> mask = torch.ones(1, 1, 48, 1)
        >>> network(torch.randn(1, 64, 48, 2), mask).image.shape
        torch.Size([1, 64, 48, 2])

    References:
        Zhou, Zhou. DuDoRNet: Learning a Dual-Domain Recurrent Network for Fast MRI Reconstruction
        with Deep T1 Prior. CVPR 2020.
    """

    repeated = (DilatedResidualDenseBlock,)
    learning_rate = 5e-4
    betas = (0.5, 0.999)

    def __init__(self, num_recurrences: int = 5, chans: int = 32, reduction: int = 16) -> None:
        super().__init__()
        self.num_recurrences = num_recurrences
        self.image_network = DilatedResidualDenseNetwork(chans, reduction)
        self.kspace_network = DilatedResidualDenseNetwork(chans, reduction)

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Reconstruct; see `KspaceNetwork`."""
        image = to_image(masked_kspace)
        images, kspaces = [], []
        for _ in range(self.num_recurrences):
            image = hard_data_consistency(self.image_network(image), masked_kspace, mask)
            kspace = self.kspace_network(to_kspace(image))
            images.append(image)
            kspaces.append(kspace)
            image = to_image(replace_measured(kspace, masked_kspace, mask))
        return Reconstruction(image, {"images": tuple(images), "kspaces": tuple(kspaces)})

    def losses(self, output: Reconstruction, reference: Reference) -> dict[str, torch.Tensor]:
        """Return mean absolute errors, summed over recurrences: {"image": ..., "kspace": ...}."""
        images, kspaces = output.auxiliary["images"], output.auxiliary["kspaces"]
        errors = [F.l1_loss(crop_like(image, reference.image), reference.image) for image in images]
        kspace_errors = [F.l1_loss(kspace, reference.kspace) for kspace in kspaces]
        return {"image": torch.stack(errors).sum(), "kspace": torch.stack(kspace_errors).sum()}
