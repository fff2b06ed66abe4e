"""The loss of self-supervised training: predicted k-space samples against measured ones."""

from __future__ import annotations

import torch


def ssdu_loss(
    predicted: torch.Tensor, measured: torch.Tensor, held_out: torch.Tensor
) -> torch.Tensor:
    """Compute ||u - v||_2 / ||u||_2 + ||u - v||_1 / ||u||_1 of each slice; give their mean.

    u are the measured samples that were held out, of all coils, v the predicted ones. The norms are
    those of complex vectors. A prediction of zeros has 2. A slice without signal there counts as 0.

    Args:
        predicted: k-space, (batch, coils, height, width, 2), real; computed in float32 at least.
        measured: k-space, of the same shape.
        held_out: Columns of u, (batch, 1, 1, width, 1), bool.

    Returns:
        A scalar.

    Example:
        >>> measured = torch.randn(2, 4, 32, 24, 2)
        >>> held_out = torch.rand(2, 1, 1, 24, 1) < 0.5
        >>> ssdu_loss(torch.zeros_like(measured), measured, held_out)
        tensor(2.)

    References:
        Yaman et al. Self-supervised learning of physics-guided reconstruction neural networks
        without fully sampled reference data. MRM 2020.
    """
    with torch.autocast(predicted.device.type, enabled=False):
        kind = torch.promote_types(predicted.dtype, torch.float32)
        u, v = measured.to(kind) * held_out, predicted.to(kind) * held_out
        loss = torch.zeros((), dtype=kind, device=predicted.device)
        for order in (2, 1):
            difference, norm = (_norm(each, order) for each in (u - v, u))
            loss = loss + (difference / norm.masked_fill(norm == 0, torch.inf)).mean()
    return loss


def _norm(values: torch.Tensor, order: int) -> torch.Tensor:
    """The norm of each slice's complex samples, (batch,); its gradient at 0 is 0."""
    magnitude = torch.linalg.vector_norm(values, dim=-1)
    return torch.linalg.vector_norm(magnitude.flatten(1), order, dim=1)
