r"""The spatial-Fourier layer as one function with its own backward pass.

Without concatenation, and with the fusing convolution's local half folded into the 3x3 kernel K and
its bias c, the layer is

    z = rfft2(f)            half spectrum, real parts before imaginary parts
    y = W z + b             the spectral 1x1 convolution
    a = act(y)              see `activate`
    o = K * f + c + V irfft2(a)

The gradients follow from the gradient o' of its output, the transposes of `real_fft`, and torch's
rules for convolution, normalisation and ReLU:

    s  = irfft2^T(o')
    V' = s a^T              summed over real and imaginary parts: V and the FFT commute, so no
    a' = V^T s              image is needed
    y' = act'(y)^T a'
    W' = y' z^T,  b' = sum y'
    f' = K^T * o' + rfft2^T(W^T y')

y and a are computed again from z. That costs one product and halves the memory of a training step:
only f and z are kept. Autograd would also keep y, a and the image, and differentiate each real FFT
with a complex one of twice the work.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F

from fastmri_clgnet.models.real_fft import irfft2, irfft2_transposed, rfft2, rfft2_transposed
from fastmri_clgnet.models.spectral_unit import Spectrum, activate, activate_with_transpose


def lean_layer(
    features: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor,
    weight: torch.Tensor,
    spectral_bias: torch.Tensor,
    fuse: torch.Tensor,
    spectrum: Spectrum,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Evaluate the layer; derivatives of any order and kind work.

    Args:
        features: f, (batch, chans, height, width), real floating point.
        kernel: K, (chans, chans, 3, 3), float32 or float64, as all arguments below.
        bias: c, (chans).
        weight: W, (2 * chans, 2 * chans), real parts before imaginary parts.
        spectral_bias: b, (2 * chans). Under "norm_relu" the normalisation cancels it.
        fuse: V, (chans, chans).
        spectrum: See `activate`.
        dtype: Type of the convolution and the output; FFTs, normalisation and the product between
            them are evaluated in the weights' precision.

    Returns:
        o, of the shape of features, channels-last.
    """
    arguments = (features, kernel, bias, weight, spectral_bias, fuse, spectrum, dtype)
    if torch.compiler.is_dynamo_compiling():  # which supports no function with its own jvp
        evaluate = _BackwardWritten.apply
    else:
        evaluate = _evaluate if torch.compiler.is_compiling() else _LeanLayer.apply
    pixels: torch.Tensor = evaluate(*arguments)[0]
    batch, chans, height, width = features.shape
    return pixels.view(batch, height, width, chans).permute(0, 3, 1, 2)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast; a meta device, which counts shapes only, has none."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def _evaluate(
    features: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor,
    weight: torch.Tensor,
    spectral_bias: torch.Tensor,
    fuse: torch.Tensor,
    spectrum: Spectrum,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute o, as a matrix with one row per pixel, and z."""
    size = (features.shape[-2], features.shape[-1])
    half = rfft2(_chans_first(features.to(weight.dtype)))
    values = _product(half.flatten(1), weight, spectral_bias, spectrum)
    activated = activate(_images(values, half), spectrum)
    image = irfft2(activated.view(half.shape), size)
    local = F.conv2d(features.to(dtype), kernel.to(dtype), bias.to(dtype), padding=1)
    return torch.addmm(_pixels(local), image.flatten(1).t().to(dtype), fuse.t().to(dtype)), half


def _product(
    half: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, spectrum: Spectrum
) -> torch.Tensor:
    """Compute W z + b, (2 * chans, positions), without b if normalisation removes it.

    When compiled, b is always added: it costs nothing, and autograd needs its gradient.
    """
    if spectrum == "norm_relu" and not torch.compiler.is_compiling():
        return torch.mm(weight, half)
    return torch.addmm(bias[:, None], weight, half)


def _pixels(features: torch.Tensor) -> torch.Tensor:
    """Return a matrix with one row per pixel, a view of channels-last features."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def _chans_first(features: torch.Tensor) -> torch.Tensor:
    """Copy channels-last features to (chans, batch, height, width), contiguous.

    The FFT takes a fifth of the time on contiguous images. torch transposes a matrix in a quarter
    of the time of the same copy of a tensor with more axes.
    """
    batch, chans, height, width = features.shape
    return _pixels(features).t().contiguous().view(chans, batch, height, width)


def _images(values: torch.Tensor, half: torch.Tensor) -> torch.Tensor:
    """View half spectra as (1, 2 * chans * batch, height, columns), to normalise each one."""
    return values.view(1, -1, *half.shape[2:])


def _gradients(
    gradient: torch.Tensor,
    features: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor,
    weight: torch.Tensor,
    spectral_bias: torch.Tensor,
    fuse: torch.Tensor,
    half: torch.Tensor,
    spectrum: Spectrum,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, ...]:
    """Compute the gradients of the six tensors from that of o: see this module's docstring."""
    batch, chans, height, width = features.shape
    gradient = gradient.view(batch, height, width, chans).permute(0, 3, 1, 2)
    parts = (2, chans, -1)  # real and imaginary parts, each a matrix
    # s = irfft2^T(o'), y and a
    outer = irfft2_transposed(_chans_first(gradient.to(weight.dtype))).view(parts)
    flat = half.flatten(1)
    values = _product(flat, weight, spectral_bias, spectrum)
    activated, transpose = activate_with_transpose(_images(values, half), spectrum)
    # V' = s a^T, a' = V^T s, y' = act'(y)^T a'
    fuse_gradient = torch.bmm(outer, activated.view(parts).transpose(1, 2)).sum(0)
    inner = torch.bmm(fuse.t().expand(2, -1, -1), outer).view(activated.shape)
    inner = transpose(inner).view(flat.shape)
    # W' = y' z^T and rfft2^T(W^T y')
    weight_gradient = torch.mm(inner, flat.t())
    half_gradient = torch.mm(weight.t(), inner).view(half.shape)
    spectral = rfft2_transposed(half_gradient, (height, width))
    # K^T * o', K' and c'
    local, kernel_gradient, bias_gradient = torch.ops.aten.convolution_backward(
        gradient, features.to(dtype), kernel.to(dtype), [chans],
        [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, True],
    )  # fmt: skip
    return (
        local.to(features.dtype).add_(spectral.transpose(0, 1)),
        kernel_gradient.to(kernel.dtype),
        bias_gradient.to(bias.dtype),
        weight_gradient,
        inner.sum(1),
        fuse_gradient,
    )


class _BackwardWritten(torch.autograd.Function):
    """`_evaluate`, with the backward pass of this module's docstring, for the compiler."""

    @staticmethod
    def forward(*arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return _evaluate(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        half = output[1]
        ctx.mark_non_differentiable(half)
        ctx.save_for_backward(*inputs[:6], half)
        ctx.settings = inputs[6:]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, ...]:
        with full_precision(gradient.device):  # as forward, also if backward is called inside
            return *_gradients(gradient, *ctx.saved_tensors, *ctx.settings), None, None


class _LeanLayer(_BackwardWritten):
    """The same with derivatives of every other kind."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        _BackwardWritten.setup_context(ctx, inputs, output)
        ctx.set_materialize_grads(False)  # no zeros for half
        ctx.save_for_forward(*inputs[:6])

    @staticmethod
    def backward(
        ctx: Any, gradient: torch.Tensor | None, _: None
    ) -> tuple[torch.Tensor | None, ...]:
        if gradient is None:
            return (None,) * 8
        if not torch.is_grad_enabled():
            return _BackwardWritten.backward(ctx, gradient, None)
        inputs = ctx.saved_tensors[:6]
        # to be differentiated again: by autograd, of the plain form
        with full_precision(gradient.device):
            pull_back = torch.func.vjp(lambda *x: _evaluate(*x, *ctx.settings)[0], *inputs)[1]
            return *pull_back(gradient), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[torch.Tensor, None]:
        primals = ctx.saved_tensors
        moved = tuple(
            torch.zeros_like(primal) if tangent is None else tangent
            for primal, tangent in zip(primals, tangents[:6], strict=True)
        )
        # transpose the backward pass, since torch does not nest forward mode
        evaluated = torch.func.vjp(lambda *x: _evaluate(*x, *ctx.settings)[0], *primals)
        output, pull_back = evaluated[:2]
        push_forward = torch.func.vjp(pull_back, torch.zeros_like(output))[1]
        (tangent,) = push_forward(moved)
        return tangent, None
