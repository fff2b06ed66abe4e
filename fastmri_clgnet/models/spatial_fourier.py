"""The spatial-Fourier layer (SFL) and the residual blocks built from it (eq. 6 to 8 of CLGNet)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import nn

from fastmri_clgnet.models.configuration import PAPER
from fastmri_clgnet.models.lean_layer import full_precision, lean_layer
from fastmri_clgnet.models.spectral_unit import Spectrum, check_spectrum


class SpatialFourierLayer(nn.Module):
    """Spatial-Fourier layer: a local convolution and a convolution in the spectrum, fused.

        SFL(f)  = fuse([local(f), irfft2(unit(rfft2(f)))])          eq. 6 to 8
        unit(z) = ReLU(norm(spectral([Re z, Im z])))

    The FFTs are orthonormal, over height and width; norm is instance normalisation without
    parameters over the half spectrum, eps 1e-5. Any height and width work, even odd ones.

    Deviations from the paper. Eq. 7 has only the convolution between FFT and inverse FFT. Taken
    literally, each output pixel then depends only on its neighbourhood, its row and its mirror
    image, which gains next to nothing. The paper builds on fast Fourier convolutions, whose unit is
    convolution, batch normalisation, ReLU. Instance normalisation needs no parameters and no
    statistics of other images. spectrum="linear" is exactly eq. 7. The paper does not say which
    FFT; a real one over both axes gives its counts of parameters and operations.

    It is evaluated without concatenation: the fusing convolution's local half is folded into the
    3x3 kernel, and the rest is one function, `lean_layer`. FFTs, normalisation and the product
    between them run in float32 or float64 even under autocast.

    Args:
        chans: Channels of input and output.
        spectrum: What follows the spectral convolution: "norm_relu", "relu" or "linear" (nothing).
            Under "norm_relu" its bias has no effect, and the global half depends on every pixel but
            the first, whose spectrum is constant.

    Attributes:
        local: nn.Conv2d, 3x3, chans to chans.
        spectral: nn.Conv2d, 1x1, 2 * chans to 2 * chans.
        fuse: nn.Conv2d, 1x1, 2 * chans to chans.

    Raises:
        ValueError: If spectrum is not one of the three.

    Example:
        >>> layer = SpatialFourierLayer(32)
        >>> layer(torch.zeros(1, 32, 40, 36)).shape
        torch.Size([1, 32, 40, 36])

    References:
        Yi et al. Contrastive Learning for Local and Global Learning MRI Reconstruction.
        arXiv:2111.15200, eq. 6 to 8. Chi et al. Fast Fourier Convolution. NeurIPS 2020.
    """

    def __init__(self, chans: int, spectrum: Spectrum = PAPER.spectrum) -> None:
        """Make the three convolutions."""
        super().__init__()
        check_spectrum(spectrum)
        self.chans = chans
        self.spectrum: Spectrum = spectrum
        self.local = nn.Conv2d(chans, chans, kernel_size=3, padding=1)
        self.spectral = nn.Conv2d(2 * chans, 2 * chans, kernel_size=1)
        self.fuse = nn.Conv2d(2 * chans, chans, kernel_size=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the layer.

        Args:
            features: (batch, chans, height, width), real floating point.

        Returns:
            The same shape, channels-last; under autocast, in its lower precision.
        """
        dtype = _autocast_dtype(features)
        with full_precision(features.device):
            fused = _FUSED.get().get(self) if not torch.compiler.is_compiling() else None
            kernel, bias, fuse = fused or fuse_weights([self])[0]
            return lean_layer(
                features,
                kernel,
                bias,
                self.spectral.weight.flatten(1),
                _bias(self.spectral),
                fuse,
                self.spectrum,
                dtype,
            )


class FusedWeights(NamedTuple):
    """The weights of one layer after folding in the fusing convolution.

    Attributes:
        kernel: (chans, chans, 3, 3), its local half times the local convolution.
        bias: (chans).
        fuse: (chans, chans), its global half.
    """

    kernel: torch.Tensor
    bias: torch.Tensor
    fuse: torch.Tensor


def fuse_weights(layers: Sequence[SpatialFourierLayer]) -> list[FusedWeights]:
    """Fold the fusing convolutions of layers of the same width, in one batched product."""
    fuse = torch.stack([layer.fuse.weight.flatten(1) for layer in layers])
    # (layers, chans, 9 * chans), in the memory order of a channels-last kernel
    local = torch.stack([layer.local.weight.permute(0, 2, 3, 1).flatten(1) for layer in layers])
    fuse_local, fuse_global = fuse.chunk(2, dim=2)
    kernels = torch.bmm(fuse_local, local).unflatten(2, (3, 3, -1)).permute(0, 1, 4, 2, 3)
    biases = torch.baddbmm(
        torch.stack([_bias(layer.fuse) for layer in layers])[..., None],
        fuse_local,
        torch.stack([_bias(layer.local) for layer in layers])[..., None],
    )
    parts = (kernels.unbind(), biases.squeeze(2).unbind(), fuse_global.unbind())
    return [FusedWeights(*each) for each in zip(*parts, strict=True)]


_FUSED: ContextVar[Mapping[nn.Module, FusedWeights]] = ContextVar(
    "fused weights", default=MappingProxyType({})
)


@contextmanager
def fused_together(network: nn.Module) -> Iterator[None]:
    """Fold the fusing convolutions of all layers of a network at once, for one forward pass.

    Each layer inside the context uses the result. The arithmetic is the same, with a fraction of
    the operators. Compiled layers, and those of compiled blocks, fold their own.
    """
    modules = list(network.modules())
    layers = [module for module in modules if isinstance(module, SpatialFourierLayer)]
    compiled = torch.compiler.is_compiling() or any(m._compiled_call_impl for m in modules)
    if compiled or not layers:
        yield
        return
    with full_precision(layers[0].fuse.weight.device):
        token = _FUSED.set(dict(zip(layers, fuse_weights(layers), strict=True)))
    try:
        yield
    finally:
        _FUSED.reset(token)


def _autocast_dtype(features: torch.Tensor) -> torch.dtype:
    """Return the precision of a convolution of the features, which autocast may lower."""
    device = features.device.type
    exempt = device == "meta" or features.dtype is torch.float64
    if exempt or not torch.is_autocast_enabled(device):
        return features.dtype
    return torch.get_autocast_dtype(device)


def _bias(convolution: nn.Conv2d) -> torch.Tensor:
    """Return the bias of a convolution that must have one."""
    if convolution.bias is None:
        raise ValueError("the spatial-Fourier layer's convolutions need their biases")
    return convolution.bias


class SpatialFourierResidualBlock(nn.Module):
    """SFRB(f) = f + SFL(ReLU(SFL(f))).

    Args:
        chans: Channels of input and output.
        spectrum: See `SpatialFourierLayer`.

    Example:
        >>> block = SpatialFourierResidualBlock(32)
        >>> block(torch.zeros(1, 32, 40, 36)).shape
        torch.Size([1, 32, 40, 36])
    """

    def __init__(self, chans: int, spectrum: Spectrum = PAPER.spectrum) -> None:
        """Make the two layers."""
        super().__init__()
        self.layers = nn.Sequential(
            SpatialFourierLayer(chans, spectrum),
            nn.ReLU(),
            SpatialFourierLayer(chans, spectrum),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the block to (batch, chans, height, width); the shape stays."""
        output: torch.Tensor = self.layers(features)
        return features + output


class SpatialFourierResidualGroup(nn.Module):
    """The paper's SFRIR: f + Conv3x3(SFRB(...SFRB(f))), a residual block of residual blocks.

    Args:
        chans: Channels of input and output.
        num_blocks: Number of `SpatialFourierResidualBlock`.
        spectrum: See `SpatialFourierLayer`.

    Example:
        >>> group = SpatialFourierResidualGroup(32, num_blocks=2)
        >>> group(torch.zeros(1, 32, 40, 36)).shape
        torch.Size([1, 32, 40, 36])
    """

    def __init__(
        self,
        chans: int,
        num_blocks: int = PAPER.num_blocks,
        spectrum: Spectrum = PAPER.spectrum,
    ) -> None:
        """Make the blocks and the closing convolution."""
        super().__init__()
        self.blocks = nn.Sequential(
            *(SpatialFourierResidualBlock(chans, spectrum) for _ in range(num_blocks)),
            nn.Conv2d(chans, chans, kernel_size=3, padding=1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the group to (batch, chans, height, width); the shape stays."""
        output: torch.Tensor = self.blocks(features)
        return output.add_(features)
