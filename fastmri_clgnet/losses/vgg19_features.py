"""Frozen VGG19 features for the contrastive loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import torch
from torch import nn
from torchvision.models import VGG19_Weights, vgg19

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.safe_loading import load_tensors
from fastmri_clgnet.formats.state_names import difference, plain_names

IMAGENET = "imagenet"
# lambda_j of eq. 9 by convolution of VGG19, counted from 1, from the literature that the
# paper builds on (Wu et al., Contrastive Learning for Compact Single Image Dehazing, CVPR 2021)
LAYER_WEIGHTS = {1: 1 / 32, 3: 1 / 16, 5: 1 / 8, 9: 1 / 4, 13: 1.0}

# the normalisation in the training of torchvision's weights
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class VGG19Features(nn.Module):
    """Activations of a frozen VGG19 after chosen convolutions and their ReLU.

    Grey images become three equal channels with ImageNet's normalisation. The network ends at the
    last requested layer, always stays in evaluation mode, and its parameters take no gradient. It
    never has random weights.

    Args:
        layers: Convolutions that give activations, counted from 1 to 16; the paper takes the 1st,
            3rd, 5th, 9th and 13th.
        weights: "imagenet" for torchvision's weights (a download of 550 MB on first use, into
            torch's cache), or a file with a state dict of torchvision's vgg19 or of its features;
            a file of only the first convolutions allows only those in `layers`.

    Example:
        >>> weight, bias = torch.rand(64, 3, 3, 3), torch.zeros(64)
        >>> first = {"features.0.weight": weight, "features.0.bias": bias}
        >>> torch.save(first, "vgg19.pth")  # in place of torchvision's file
        >>> features = VGG19Features(layers=(1,), weights="vgg19.pth")
        >>> [maps.shape for maps in features(torch.rand(2, 1, 32, 32))]
        [torch.Size([2, 64, 32, 32])]

    Raises:
        InputError: If weights are not available, or the file lacks a requested layer.
        ValueError: If there is no such convolution.

    References:
        Simonyan, Zisserman. Very Deep Convolutional Networks for Large-Scale Image Recognition.
        ICLR 2015.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, layers: Sequence[int] = tuple(LAYER_WEIGHTS), weights: str | Path = IMAGENET
    ) -> None:
        super().__init__()
        with torch.device("meta"):  # layers that are not loaded cannot be used by mistake
            network = vgg19(weights=None).features
        positions = [i for i, layer in enumerate(network) if isinstance(layer, nn.Conv2d)]
        if not layers or not all(1 <= layer <= len(positions) for layer in layers):
            raise ValueError(
                f"layers={tuple(layers)}: expected convolutions from 1 to {len(positions)}"
            )
        self.layers = tuple(layers)
        self._taps = tuple(positions[layer - 1] + 1 for layer in layers)  # after the ReLU
        self.network = network[: max(self._taps) + 1]
        expected = self.network.state_dict()
        state = _load(weights)
        there = takewhile(lambda i: {f"{i}.weight", f"{i}.bias"} <= state.keys(), positions)
        served = len(list(there))
        missing = [layer for layer in layers if layer > served]
        if missing:
            raise InputError(
                f"{weights}: no weights for convolution {', '.join(map(str, missing))} of VGG19; "
                f"the file has {f'1 to {served}' if served else 'none'} "
                f"({difference(state, expected)}). Use only those, or give a complete file of "
                "torchvision's vgg19"
            )
        state = {name: state[name] for name in expected}
        if unfit := difference(state, expected):
            raise InputError(f"{weights}: not those of VGG19 ({unfit})")
        self.network.load_state_dict(state, assign=True)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD)[:, None, None], persistent=False)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> VGG19Features:
        """Stay in evaluation mode."""
        super().train(False)
        return self

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Compute the activations.

        Args:
            images: (batch, 1, height, width) grey or (batch, 3, height, width) images, about [0,
            1].

        Returns:
            One tensor (batch, channels, height', width') per layer, in the order of `layers`.
        """
        features = (images - self.mean) / self.std
        features = features.contiguous(memory_format=torch.channels_last)
        activations = {}
        for position, layer in enumerate(self.network):
            features = layer(features)
            if position in self._taps:
                activations[position] = features
        return [activations[tap] for tap in self._taps]


def _load(weights: str | Path) -> Mapping[str, torch.Tensor]:
    """Load a state dict of the features, from torchvision's download or a file."""
    if weights == IMAGENET:
        try:
            state = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network; a wrong hash
            raise InputError(
                f"VGG19's ImageNet weights could not be downloaded ({error}). On a machine with "
                f"internet download {VGG19_Weights.IMAGENET1K_V1.url} and give the file as "
                "vgg_weights, or train without the contrastive loss, with alpha 0"
            ) from error
    else:
        loaded = load_tensors(Path(weights), "a state dict of torchvision's VGG19")
        state = plain_names({str(k): v for k, v in loaded.items() if isinstance(v, torch.Tensor)})
    prefix = "features."
    if any(name.startswith(prefix) for name in state):
        state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    return state
