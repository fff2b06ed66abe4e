r"""The folded spatial-Fourier layer as one operator of torch, forward and backward.

    y = conv3x3(f) + R g + mirror(Q f - T g) + a d + b H d,    g = H f

H is the Hilbert transform along the width, the mirror is at the origin, d is one there and zero
elsewhere; why this is the layer is at the top of `spatial_fourier`. Since R, Q and T mix channels
alone and H mirror = -mirror H, one Hilbert transform and one mirror serve all. Backward, with
m = mirror(dy), k = H dy and H^T = -H:

    df = conv3x3^T(dy) + Q^T m - R^T k - T^T mirror(k)
    dR = -k f^T,    dQ = m f^T,    dT = -mirror(k) f^T

so that f alone is kept, and one Hilbert transform serves all there, too. Features are kept
channels-last: each product with R, Q, T is one matrix product over all pixels, accumulated in
place. As an operator it is one opaque node to `torch.compile`.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import torch
import torch.nn.functional as F

_LAST = torch.channels_last


@functools.lru_cache(maxsize=64)
def _cached_hilbert_matrix(width: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    spectrum = 1j * torch.fft.rfft(torch.eye(width, dtype=torch.float64), dim=0)
    spectrum[0] = 0
    if width % 2 == 0:
        spectrum[-1] = 0
    return torch.fft.irfft(spectrum, n=width, dim=0).to(device, dtype)


def hilbert_matrix(width: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Matrix of the Hilbert transform along the width, H f = irfft(i * rfft(f)).

    Frequency zero and, for even widths, the Nyquist frequency become zero: the inverse real FFT
    ignores their imaginary parts.

    Args:
        width: Number of columns of the image.
        dtype: Real floating point type of the result.
        device: Where it is needed.

    Returns:
        (width, width), antisymmetric and circulant. Kept for the next call.
    """
    with torch.inference_mode(False), torch.no_grad():
        return _cached_hilbert_matrix(width, dtype, device)


@functools.lru_cache(maxsize=64)
def _odd_from_even(width: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return hilbert_matrix(width, dtype, device)[1::2, 0::2].contiguous()


def hilbert(pixels: torch.Tensor, work: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Hilbert transform along the width.

    Of an even width, H maps even columns to odd ones and odd to even, both by the same circulant
    matrix of half the size: with neighbouring columns side by side one product does it, and what
    comes out is one column too far to the left.

    Args:
        pixels: (batch, height, width, chans), contiguous.
        work: A contiguous tensor of the same shape and type to work in.
        out: The same, to write the result to; it may be `pixels`.

    Returns:
        `out`.
    """
    batch, height, width, chans = pixels.shape
    matrix = hilbert_matrix if width % 2 else _odd_from_even
    n_columns, n_vectors = (width, chans) if width % 2 else (width // 2, 2 * chans)
    shape = (batch * height, n_columns, n_vectors)
    torch.matmul(
        matrix(width, pixels.dtype, pixels.device), pixels.view(shape), out=work.view(shape)
    )
    if width % 2:
        return out.copy_(work)
    out[:, :, 1:] = work[:, :, :-1]
    out[:, :, 0] = work[:, :, -1]
    return out


def _hilbert_of_impulse(pixels: torch.Tensor) -> torch.Tensor:
    """Hilbert transform of a row that is one in its first column, (width, 1)."""
    return hilbert_matrix(pixels.shape[2], pixels.dtype, pixels.device)[:, :1]


@functools.lru_cache(maxsize=64)
def _mirrored_positions(batch: int, height: int, width: int, device: torch.device) -> torch.Tensor:
    images, rows, columns = (torch.arange(size) for size in (batch, height, width))
    positions = (-rows % height)[:, None] * width + (-columns % width)
    with torch.inference_mode(False):
        return (images[:, None] * height * width + positions.flatten()).flatten().to(device)


def mirror(pixels: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Mirror at the origin with periodic borders: the spectrum becomes its complex conjugate.

    Args:
        pixels: (batch, height, width, chans), contiguous.
        out: Another tensor of the same shape and type to write the result to.

    Returns:
        `out`; pixel (y, x) holds what (-y mod height, -x mod width) held.
    """
    *size, chans = pixels.shape
    flat = (-1, chans)  # along the first axis torch copies in parallel
    positions = _mirrored_positions(*size, pixels.device)
    torch.index_select(pixels.view(flat), 0, positions, out=out.view(flat))
    return out


_buffers = threading.local()


def _scratch(pixels: torch.Tensor, count: int) -> tuple[torch.Tensor, ...]:
    """Uninitialised tensors like `pixels`.

    On the CPU they are the same memory in every call of a thread: mapping a few megabytes anew
    costs as much as filling them. A CUDA device has its own pool.
    """
    if pixels.device.type != "cpu":
        return tuple(torch.empty_like(pixels) for _ in range(count))
    size = count * pixels.numel()
    buffer = getattr(_buffers, str(pixels.dtype), None)
    if buffer is None or buffer.numel() < size:
        with torch.inference_mode(False):
            buffer = torch.empty(size, dtype=pixels.dtype)
        setattr(_buffers, str(pixels.dtype), buffer)
    return tuple(part.view(pixels.shape) for part in buffer[:size].chunk(count))


def _pixels(features: torch.Tensor) -> torch.Tensor:
    """(batch, chans, height, width) as contiguous (batch, height, width, chans)."""
    return features.permute(0, 2, 3, 1).contiguous()


@torch.library.custom_op("fastmri_clgnet::spatial_fourier", mutates_args=())
def spatial_fourier(
    features: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor,
    pointwise: torch.Tensor,
    impulse: torch.Tensor,
) -> torch.Tensor:
    """Evaluate the folded layer; all arguments have one floating point type.

    Args:
        features: (batch, chans, height, width).
        kernel: (chans, chans, 3, 3).
        bias: (chans).
        pointwise: R, Q and T, (3, chans, chans), output channels first.
        impulse: a and b, (2, chans).

    Returns:
        (batch, chans, height, width), channels-last.
    """
    pixels = _pixels(features)
    kernel = kernel.contiguous(memory_format=_LAST)
    output = F.conv2d(pixels.permute(0, 3, 1, 2), kernel, bias, padding=1)
    output = output.contiguous(memory_format=_LAST)
    output_pixels = output.permute(0, 2, 3, 1)
    work, transformed = _scratch(pixels, 2)
    hilbert(pixels, work, out=transformed)
    r, q, t = pointwise.transpose(1, 2)
    flat, work_flat, transformed_flat = (x.flatten(0, 2) for x in (pixels, work, transformed))
    output_pixels.view(flat.shape).addmm_(transformed_flat, r)
    torch.mm(flat, q, out=work_flat).addmm_(transformed_flat, t, alpha=-1)
    output_pixels += mirror(work, out=transformed)
    output_pixels[:, 0, 0] += impulse[0]
    output_pixels[:, 0] += _hilbert_of_impulse(pixels) * impulse[1]
    return output


@spatial_fourier.register_fake
def _(
    features: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor,
    pointwise: torch.Tensor,
    impulse: torch.Tensor,
) -> torch.Tensor:
    return torch.empty_like(features, memory_format=_LAST)


@torch.library.custom_op("fastmri_clgnet::spatial_fourier_backward", mutates_args=())
def _backward(
    gradient: torch.Tensor, features: torch.Tensor, kernel: torch.Tensor, pointwise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of features, kernel, bias, pointwise and impulse."""
    pixels, outer = _pixels(features), _pixels(gradient)
    chans = pixels.shape[-1]
    local, kernel_gradient, bias_gradient = torch.ops.aten.convolution_backward(
        outer.permute(0, 3, 1, 2),
        pixels.permute(0, 3, 1, 2),
        kernel.contiguous(memory_format=_LAST),
        [chans],
        [1, 1],
        [1, 1],
        [1, 1],
        False,
        [0, 0],
        1,
        [True, True, True],
    )
    local = local.contiguous(memory_format=_LAST)
    inner = local.permute(0, 2, 3, 1)
    work, transformed, mirrored = _scratch(pixels, 3)
    hilbert(outer, work, out=transformed)
    mirror(outer, out=mirrored)
    both = mirror(transformed, out=work)
    f, df, k, m, mk = (x.flatten(0, 2) for x in (pixels, inner, transformed, mirrored, both))
    r, q, t = pointwise
    df.addmm_(m, q).addmm_(k, r, alpha=-1).addmm_(mk, t, alpha=-1)
    pointwise_gradient = torch.stack([-(k.T @ f), m.T @ f, -(mk.T @ f)])
    first_row = outer[:, 0].sum(0)
    impulse_gradient = torch.stack([first_row[0], (_hilbert_of_impulse(pixels).T @ first_row)[0]])
    return local, kernel_gradient, bias_gradient, pointwise_gradient, impulse_gradient


@_backward.register_fake
def _(
    gradient: torch.Tensor, features: torch.Tensor, kernel: torch.Tensor, pointwise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    chans = kernel.shape[0]
    return (
        torch.empty_like(features, memory_format=_LAST),
        torch.empty_like(kernel),
        kernel.new_empty(chans),
        torch.empty_like(pointwise),
        kernel.new_empty(2, chans),
    )


def _save(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
    features, kernel, _, pointwise, _ = inputs
    ctx.save_for_backward(features, kernel, pointwise)


def _differentiate(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
    gradients: tuple[torch.Tensor, ...] = _backward(gradient, *ctx.saved_tensors)
    return gradients


spatial_fourier.register_autograd(_differentiate, setup_context=_save)
