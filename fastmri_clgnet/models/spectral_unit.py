"""Normalisation and ReLU after the pointwise convolution of the half spectrum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F

Spectrum = Literal["norm_relu", "relu", "linear"]
SPECTRA: tuple[Spectrum, ...] = get_args(Spectrum)
EPS = 1e-5


def check_spectrum(spectrum: str) -> None:
    """Raise ValueError unless `spectrum` is one of `SPECTRA`."""
    if spectrum not in SPECTRA:
        raise ValueError(f"spectrum={spectrum!r}: expected one of {', '.join(SPECTRA)}")


def activate(values: torch.Tensor, spectrum: Spectrum) -> torch.Tensor:
    """Apply normalisation and ReLU, or part of them, after the pointwise convolution.

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
        if torch.compiler.is_dynamo_compiling():
            # the same; group_norm would fix the number of groups, and with it the batch
            values = F.layer_norm(values, values.shape[2:], eps=EPS)
        else:
            # torch's instance_norm is the same but several times slower on the CPU
            values = F.group_norm(values, values.shape[1], eps=EPS)
    return F.relu(values, inplace=True)


def activate_with_transpose(
    values: torch.Tensor, spectrum: Spectrum
) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Apply `activate` with torch's operators; also return the transpose of its derivative.

    Args:
        values: (batch, chans, height, width), not changed.
        spectrum: See `activate`.

    Returns:
        The activated values, and the map from their gradient to that of the values.
    """
    if spectrum == "linear":
        return values, lambda gradient: gradient
    size = values.shape[2:]
    if spectrum == "norm_relu":
        # the same as group normalisation, with a backward pass of half its time
        normal, mean, scale = torch.native_layer_norm(values, size, None, None, EPS)
        activated = normal.relu_()
    else:
        activated = values.relu()

    def transpose(gradient: torch.Tensor) -> torch.Tensor:
        gradient = torch.ops.aten.threshold_backward(gradient, activated, 0)
        if spectrum == "norm_relu":
            gradient = torch.ops.aten.native_layer_norm_backward(
                gradient, values, size, mean, scale, None, None, [True, False, False]
            )[0]
        return gradient

    return activated, transpose
