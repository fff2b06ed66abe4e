"""What is measured: forward passes and training steps of any of the library's networks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torchvision.models import vgg19

from fastmri_clgnet.benchmark.inputs import example_inputs
from fastmri_clgnet.benchmark.measure import Action
from fastmri_clgnet.losses import LAYER_WEIGHTS, CLGNetLoss, ContrastiveLoss, VGG19Features
from fastmri_clgnet.precision import autocast

MakeNetwork = Callable[[], nn.Module]


def forward_pass(
    make: MakeNetwork, size: int, batch: int, device: torch.device, precision: str = "32-true"
) -> Action:
    """Make a network and return its forward pass without gradients.

    Args:
        make: Makes a network that `example_inputs` knows.
        size: Height and width in pixels.
        batch: Images at once.
        device: Where to run.
        precision: A key of `fastmri_clgnet.precision.PRECISIONS`.

    Returns:
        The action.
    """
    model = make().eval().to(device)
    inputs = example_inputs(model, (size, size), device, batch)

    def action() -> None:
        with torch.no_grad(), autocast(device, precision):
            model(*inputs)

    return action


def training_step(
    make: MakeNetwork,
    size: int,
    batch: int,
    device: torch.device,
    precision: str = "32-true",
    contrastive: bool = False,
) -> Action:
    """Make a network on images and return its training step: forward, loss, backward, Adam.

    Args:
        make: Makes the network.
        size: Height and width in pixels.
        batch: Images at once.
        device: Where to run.
        precision: A key of `fastmri_clgnet.precision.PRECISIONS`.
        contrastive: Whether to add the contrastive loss, on all its layers of VGG19 with random
            weights, which cost the same, and all images of the batch, up to 6, as negatives.

    Returns:
        The action.
    """
    model = make().train().to(device)
    (image,) = example_inputs(model, (size, size), device, batch)
    target = torch.randn_like(image)
    loss = (_contrastive_loss(batch) if contrastive else CLGNetLoss(alpha=0)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def action() -> None:
        optimizer.zero_grad()
        with autocast(device, precision):
            value = loss(model(image), target, image)["loss"]
        value.backward()
        optimizer.step()

    return action


def _contrastive_loss(batch: int) -> CLGNetLoss:
    """The paper's objective with VGG19 at random."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vgg19.pt"
        torch.save(vgg19(weights=None).features.state_dict(), path)
        features = VGG19Features(weights=path)
    weights = list(LAYER_WEIGHTS.values())
    return CLGNetLoss(contrastive=ContrastiveLoss(features, weights, min(6, batch)))
