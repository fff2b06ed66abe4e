"""The global half of the spatial-Fourier layer: a convolution and a non-linearity in the spectrum.

    g = V irfft2(act(norm(W rfft2(f) + b)))

W is a 1x1 convolution of the stacked real and imaginary parts, V the part of the fusing 1x1
convolution that acts on this half. In training the unit keeps the spectrum of f and no other
intermediate result: the backward pass computes the rest again, which costs one product, since V and
the inverse FFT commute and the gradient of V can be had in the spectrum.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F

from fastmri_clgnet.models.real_fft import irfft2, irfft2_transposed, rfft2

Spectrum = Literal["norm_relu", "relu", "linear"]
SPECTRA: tuple[Spectrum, ...] = get_args(Spectrum)
EPS = 1e-5


def check_spectrum(spectrum: str) -> None:
    """Raise ValueError unless it is one of `SPECTRA`."""
    if spectrum not in SPECTRA:
        raise ValueError(f"spectrum={spectrum!r}: expected one of {', '.join(SPECTRA)}")


def activate(values: torch.Tensor, spectrum: Spectrum) -> torch.Tensor:
    """Apply what follows the pointwise convolution.

    Args:
        values: (batch, chans, height, width), changed in place where possible.
        spectrum: "norm_relu": each channel to mean 0 and variance 1 (biased, eps 1e-5) over its
            values, then ReLU; "relu": ReLU; "linear": nothing.

    Returns:
        The same shape.
    """
    if spectrum == "linear":
        return values
    if spectrum == "norm_relu":
        # torch's instance_norm is the same and several times as slow on the CPU
        values = F.group_norm(values, values.shape[1], eps=EPS)
    return F.relu(values, inplace=True)


def spectral_unit(
    features: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    fuse: torch.Tensor,
    spectrum: Spectrum,
) -> torch.Tensor:
    """Evaluate the unit; all tensors are float32, or all float64.

    Args:
        features: f, (batch, chans, height, width).
        weight: W, (2 * chans, 2 * chans), real parts in front of imaginary parts.
        bias: b, (2 * chans). Under "norm_relu" the normalisation cancels it.
        fuse: V, (chans, chans).
        spectrum: See `activate`.

    Returns:
        g, as features, channels-last.
    """
    size = (features.shape[-2], features.shape[-1])
    arguments = (rfft2(features), weight, bias, fuse, spectrum, size)
    if torch.compiler.is_compiling():  # which decides by itself what to compute again
        return _after_fft(*arguments)
    output: torch.Tensor = _AfterFFT.apply(*arguments)
    return output


def _in_spectrum(
    half: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, spectrum: Spectrum
) -> torch.Tensor:
    """act(norm(W z + b)) of a half spectrum z, (batch, 2 * chans, height, columns)."""
    batch = half.shape[0]
    product = torch.baddbmm(
        bias[:, None].expand(batch, -1, 1), weight.expand(batch, -1, -1), half.flatten(2)
    )
    return activate(product.view(half.shape), spectrum)


def _after_fft(
    half: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    fuse: torch.Tensor,
    spectrum: Spectrum,
    size: tuple[int, int],
) -> torch.Tensor:
    """Evaluate the unit from rfft2(f) on."""
    image = irfft2(_in_spectrum(half, weight, bias, spectrum), size)
    pixels = torch.matmul(image.flatten(2).transpose(1, 2), fuse.t())
    return pixels.reshape(-1, *size, fuse.shape[0]).permute(0, 3, 1, 2)


class _AfterFFT(torch.autograd.Function):
    """`_after_fft`, whose backward pass starts from the half spectrum again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> torch.Tensor:
        return _after_fft(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs[:4])
        ctx.save_for_forward(*inputs[:4])
        ctx.settings = inputs[4:]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        half, weight, bias, fuse = ctx.saved_tensors
        spectrum, _ = ctx.settings
        activated, pull_back = torch.func.vjp(
            lambda *x: _in_spectrum(x[0], x[1], x[2], spectrum), half, weight, bias
        )[:2]
        # (batch, real and imaginary, chans, positions): V acts on both parts alike
        parts = (half.shape[0], 2, fuse.shape[1], -1)
        outer = irfft2_transposed(gradient).reshape(parts)
        inner = activated.reshape(parts)
        fuse_gradient = torch.matmul(outer, inner.transpose(2, 3)).sum((0, 1))
        activated_gradient = torch.matmul(fuse.t(), outer).reshape(activated.shape)
        return *pull_back(activated_gradient), fuse_gradient, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        primals = ctx.saved_tensors
        moved = tuple(
            torch.zeros_like(primal) if tangent is None else tangent
            for primal, tangent in zip(primals, tangents[:4], strict=True)
        )
        # the transpose of the backward pass, since torch does not nest forward mode
        output, pull_back = torch.func.vjp(lambda *x: _after_fft(*x, *ctx.settings), *primals)[:2]
        push_forward = torch.func.vjp(pull_back, torch.zeros_like(output))[1]
        (tangent,) = push_forward(moved)
        return tangent
