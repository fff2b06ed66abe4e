"""ISTA-Net+, an unrolled iterative shrinkage-thresholding algorithm."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from fastmri_clgnet.models.comparison.kspace_network import (
    KspaceNetwork,
    Reconstruction,
    Reference,
    convolution,
    from_channels,
    to_channels,
)
from fastmri_clgnet.models.fourier import data_gradient, to_image


def soft_threshold(values: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """sign(v) max(|v| - threshold, 0), the proximal operator of threshold ||.||_1."""
    return values.sign() * F.relu(values.abs() - threshold)


class ISTAPhase(nn.Module):
    """One phase: a gradient step on the data term, then shrinkage in a learned transform.

    r = x - step A^H (A x - y), h = F2 ReLU F1 D r, x' = r + G B2 ReLU B1 soft(h).
    """

    def __init__(self, chans: int) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(0.5))
        self.threshold = nn.Parameter(torch.tensor(0.01))
        self.entry = convolution(2, chans)
        self.forward_1 = convolution(chans, chans)
        self.forward_2 = convolution(chans, chans)
        self.backward_1 = convolution(chans, chans)
        self.backward_2 = convolution(chans, chans)
        self.exit = convolution(chans, 2)

    def forward(
        self, image: torch.Tensor, masked_kspace: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next image and the residual B(F(D r)) - D r, (batch, chans, height, width)."""
        image = image - self.step * data_gradient(image, masked_kspace, mask)
        features = self.entry(to_channels(image))
        transformed = self.forward_2(F.relu(self.forward_1(features)))
        shrunk = soft_threshold(transformed, self.threshold)
        restored = self.backward_2(F.relu(self.backward_1(shrunk)))
        symmetry = self.backward_2(F.relu(self.backward_1(transformed))) - features
        return image + from_channels(self.exit(restored)), symmetry


class ISTANetPlus(KspaceNetwork):
    """ISTA-Net+ with two channels for the complex image.

    381,800 parameters, 148.57 GMac at 512 x 512, as in Table 2 of CLGNet's paper. The learned
    gradient step is its only data consistency, which is soft. Loss: mean squared error of the
    complex image plus 0.01 times the mean squared symmetry residual B(F(D r)) - D r over all
    phases, as in the paper, whose images are real.

    Args:
        num_phases: Number of phases.
        chans: Width of their transforms.
        symmetry_weight: Weight of the symmetry residual in the loss.

    Example:
        >>> network = ISTANetPlus(num_phases=2)
        >>> mask = torch.ones(1, 1, 48, 1)
        >>> network(torch.randn(1, 64, 48, 2), mask).image.shape
        torch.Size([1, 64, 48, 2])

    References:
        Zhang, Ghanem. ISTA-Net: Interpretable Optimization-Inspired Deep Network for Image
        Compressive Sensing. CVPR 2018.
    """

    repeated = (ISTAPhase,)

    def __init__(
        self, num_phases: int = 10, chans: int = 32, symmetry_weight: float = 0.01
    ) -> None:
        super().__init__()
        self.symmetry_weight = symmetry_weight
        self.phases = nn.ModuleList(ISTAPhase(chans) for _ in range(num_phases))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Reconstruct; see `KspaceNetwork`."""
        image = to_image(masked_kspace)
        residuals = []
        for phase in self.phases:
            image, symmetry = phase(image, masked_kspace, mask)
            residuals.append(symmetry.square().mean())
        return Reconstruction(image, {"symmetry": tuple(residuals)})

    def losses(self, output: Reconstruction, reference: Reference) -> dict[str, torch.Tensor]:
        """Return {"image": mean squared error, "symmetry": weighted mean of phases' residuals}."""
        symmetry = torch.stack(output.auxiliary["symmetry"]).mean()
        image = super().losses(output, reference)
        return {**image, "symmetry": self.symmetry_weight * symmetry}
