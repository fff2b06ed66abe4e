"""CLGNet evaluated as the paper writes it, to compare with."""

from __future__ import annotations

import torch

from fastmri_clgnet.models import CLGNet, SpatialFourierLayer


class PlainSpatialFourierLayer(SpatialFourierLayer):
    """Eq. 6 to 8 as they are written: FFT, three convolutions, inverse FFT.

    Args:
        chans: Channels of input and output.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (batch, chans, height, width); the shape stays."""
        spectrum = torch.fft.rfft2(features, norm="ortho")
        mixed = self.spectral(torch.cat([spectrum.real, spectrum.imag], dim=1))
        real, imaginary = mixed.chunk(2, dim=1)
        spectrum = torch.complex(real, imaginary)
        size = (features.shape[-2], features.shape[-1])
        spectral = torch.fft.irfft2(spectrum, s=size, norm="ortho")
        output: torch.Tensor = self.fuse(torch.cat([self.local(features), spectral], dim=1))
        return output


def plain_clgnet() -> CLGNet:
    """Make CLGNet with every spatial-Fourier layer evaluated plainly; parameters are the same."""
    model = CLGNet()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, SpatialFourierLayer):
                plain = PlainSpatialFourierLayer(child.chans)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
    return model
