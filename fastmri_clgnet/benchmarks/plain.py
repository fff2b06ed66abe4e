"""CLGNet evaluated literally by its equations, for comparison."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from fastmri_clgnet.models import CLGNet, SpatialFourierLayer


class PlainSpatialFourierLayer(SpatialFourierLayer):
    """The layer as in the equations: concatenations, and torch's own derivatives of the FFTs."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (batch, chans, height, width); the shape stays."""
        dtype = self.spectral.weight.dtype  # FFTs and normalisation do not support half precision
        half = torch.fft.rfft2(features.to(dtype), norm="ortho")
        mixed = self.spectral(torch.cat([half.real, half.imag], dim=1)).to(dtype)
        if self.spectrum == "norm_relu":
            mixed = F.instance_norm(mixed, eps=1e-5)
        if self.spectrum != "linear":
            mixed = F.relu(mixed)
        real, imaginary = mixed.chunk(2, dim=1)
        size = (features.shape[-2], features.shape[-1])
        image = torch.fft.irfft2(torch.complex(real, imaginary), s=size, norm="ortho")
        return self.fuse(torch.cat([self.local(features), image], dim=1))


def plain_clgnet(model: CLGNet | None = None) -> CLGNet:
    """Evaluate every spatial-Fourier layer plainly; by default in a CLGNet of the paper's size."""
    model = CLGNet() if model is None else model
    for module in model.modules():
        if isinstance(module, SpatialFourierLayer):
            module.__class__ = PlainSpatialFourierLayer
    return model
