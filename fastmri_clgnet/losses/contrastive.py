"""The contrastive loss in the space of a frozen feature extractor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import nn

FeatureExtractor = Callable[[torch.Tensor], Sequence[torch.Tensor]]
Negatives = Literal["batch", "same_slice", "both"]
NUM_NEGATIVES = 6  # as in the paper


class _MeanAbsoluteDifferences(torch.autograd.Function):
    """mean |anchors[i] - others[index[i][k]]|, with a backward pass that keeps no copies."""

    @staticmethod
    def forward(
        ctx: Any, anchors: torch.Tensor, others: torch.Tensor, index: list[list[int]]
    ) -> torch.Tensor:
        ctx.save_for_backward(anchors, others)
        ctx.index = index
        rows = [
            torch.stack([_difference(anchor, others[k]).abs_().mean() for k in row])
            for anchor, row in zip(anchors, index, strict=True)
        ]
        return torch.stack(rows)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        anchors, others = ctx.saved_tensors
        weights = gradient / anchors[0].numel()
        total = torch.zeros_like(anchors, dtype=weights.dtype)
        for i, row in enumerate(ctx.index):
            for k, weight in zip(row, weights[i], strict=True):
                total[i] += _difference(anchors[i], others[k]).sign_().mul_(weight)
        return total.to(anchors.dtype), None, None


def _difference(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Subtract two feature maps, in float32 at least."""
    return one.to(torch.promote_types(one.dtype, torch.float32)).sub(other)


class ContrastiveLoss(nn.Module):
    r"""Pulls reconstructions to their targets and pushes them from undersampled images (eq. 9).

        L_CL = mean_i sum_j lambda_j d_j(O_i, GT_i) / (sum_k d_j(O_i, Neg_k) + eps),
        d_j(a, b) = mean |phi_j(a) - phi_j(b)|

    with the feature maps phi_j and K negatives Neg_k: undersampled images drawn without replacement
    by torch's own generator from the same batch (that of the process, in distributed training). The
    paper sums over i; the mean makes the weight of the loss independent of the batch size. Only the
    output receives a gradient.

    Each image's features are computed once and shared by all anchors: three passes through the
    extractor for any K, one of them with a graph. First, intensities are mapped per image and
    without gradient so that the target spans [0, 1]: x -> (x - min GT_i) / (max GT_i - min GT_i).
    The output and the undersampled image of a slice are mapped like its target. Under autocast the
    extractor runs in the lower precision, the distances in float32.

    Other negatives than the paper's: K zero-filled images of the anchor's own slice under other
    masks, whose anatomy is the anchor's and whose artefacts are not; or K of each kind. They cost K
    more images per slice in the extractor, and the memory of their feature maps.

    Args:
        feature_extractor: Maps images (batch, 1, height, width), about [0, 1], to a sequence of
            feature maps (batch, ...). A module is not registered: it appears in no optimizer and no
            checkpoint, but moves with this module.
        layer_weights: lambda_j, one for each feature map.
        num_negatives: K. In a smaller batch all images are negatives, with one warning. 0 omits the
            denominator (the paper's ablation "w/o negative").
        eps: Added to the denominator; keeps the gradient finite if the output equals its
            negatives.
        negatives: batch, the paper's; same_slice, the same slice under other masks; or both.

    Example:
        >>> def features(images):
        ...     return [images, nn.functional.avg_pool2d(images, 2)]
        >>> loss = ContrastiveLoss(features, layer_weights=(0.5, 1.0), num_negatives=2)
        >>> target, undersampled = torch.rand(2, 4, 1, 32, 32)
        >>> float(loss(target, target, undersampled))  # the output equals its target
        0.0

    Raises:
        ValueError: If num_negatives is negative or negatives unknown, or, when called, if shapes do
            not fit or the numbers of feature maps and layer weights differ.

    References:
        Yi et al. Contrastive Learning for Local and Global Learning MRI Reconstruction.
        arXiv:2111.15200, eq. 9.
    """

    def __init__(
        self,
        feature_extractor: FeatureExtractor,
        layer_weights: Sequence[float],
        num_negatives: int = NUM_NEGATIVES,
        eps: float = 1e-7,
        negatives: Negatives = "batch",
    ) -> None:
        super().__init__()
        if num_negatives < 0:
            raise ValueError(f"num_negatives={num_negatives}: expected 0 or more")
        if negatives not in get_args(Negatives):
            raise ValueError(
                f"negatives={negatives!r}: expected {' or '.join(get_args(Negatives))}"
            )
        # a tuple, so that nn.Module does not register it
        self._extractor = (feature_extractor,)
        self.layer_weights = tuple(layer_weights)
        self.num_negatives = num_negatives
        self.negatives = negatives
        self.from_batch = 0 if negatives == "same_slice" else num_negatives
        self.other_masks = 0 if negatives == "batch" else num_negatives
        self.eps = eps
        self._warned = False

    @property
    def feature_extractor(self) -> FeatureExtractor:
        """Return the extractor."""
        return self._extractor[0]

    def _apply(self, fn: Any, recurse: bool = True) -> ContrastiveLoss:
        """Move the extractor together with this module."""
        if isinstance(self.feature_extractor, nn.Module):
            self.feature_extractor._apply(fn)
        super()._apply(fn, recurse)
        return self

    def draw_negatives(self, batch_size: int) -> torch.Tensor:
        """Draw those of the batch: indices (batch_size, min(K, batch_size)), distinct in rows."""
        if batch_size < self.from_batch and not self._warned:
            self._warned = True
            warnings.warn(
                f"a batch of {batch_size} images has fewer than the {self.from_batch} negatives "
                "of the contrastive loss: all of them are used; a larger batch_size gives more",
                stacklevel=2,
            )
        n_drawn = min(self.from_batch, batch_size)
        return torch.stack([torch.randperm(batch_size)[:n_drawn] for _ in range(batch_size)])

    def forward(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        undersampled: torch.Tensor,
        others: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the loss.

        Args:
            output: Reconstructions, (batch, 1, height, width).
            target: Their references, of the same shape.
            undersampled: The zero-filled images before reconstruction, of the same shape.
            others: The zero-filled images of the same slices under K other masks, (batch, K,
                height, width), where `negatives` is not batch.

        Returns:
            A scalar, in float32 at least.
        """
        if not output.shape == target.shape == undersampled.shape or output.ndim != 4:
            raise ValueError(
                "expected output, target and undersampled of one shape (batch, 1, height, width), "
                f"got {tuple(output.shape)}, {tuple(target.shape)}, {tuple(undersampled.shape)}"
            )
        n_others = 0 if others is None else others.shape[1]
        if n_others != self.other_masks or (
            others is not None and others.shape != (len(output), n_others, *output.shape[2:])
        ):
            raise ValueError(
                f"expected others of {self.other_masks} images per slice, (batch, "
                f"{self.other_masks}, height, width), got "
                f"{None if others is None else tuple(others.shape)}"
            )
        lowest = target.amin(dim=(1, 2, 3), keepdim=True)
        span = target.amax(dim=(1, 2, 3), keepdim=True) - lowest
        span = span.masked_fill(span < self.eps, 1)  # without a signal; float16 overflows at 7e4

        def features(images: torch.Tensor) -> Sequence[torch.Tensor]:
            """Of (batch, n, height, width), each mapped like its slice's target: (batch n, ...)."""
            mapped = (images - lowest) / span
            maps = self.feature_extractor(mapped.reshape(-1, 1, *mapped.shape[2:]))
            if len(maps) != len(self.layer_weights):
                raise ValueError(
                    f"the feature extractor gives {len(maps)} feature maps, but there are "
                    f"{len(self.layer_weights)} layer weights"
                )
            return maps

        with torch.no_grad():
            positives = features(target)
            of_batch = features(undersampled) if self.from_batch else ()
            of_slice = features(others) if others is not None else ()
        anchors = features(output)

        own = [[i] for i in range(len(output))]
        rows = [[n_others * i + k for k in range(n_others)] for i in range(len(output))]
        drawn = self.draw_negatives(len(output)).tolist() if self.from_batch else own
        total = torch.zeros((), device=output.device)
        for j, weight in enumerate(self.layer_weights):
            term = _MeanAbsoluteDifferences.apply(anchors[j], positives[j], own).squeeze(1)
            pushes = [
                _MeanAbsoluteDifferences.apply(anchors[j], negatives[j], index).sum(dim=1)
                for negatives, index in ((of_batch, drawn), (of_slice, rows))
                if negatives
            ]
            if pushes:
                term = term / (torch.stack(pushes).sum(dim=0) + self.eps)
            total = total + weight * term.mean()
        return total
