"""The adversary: its layers, its gradient penalty, and that it sees bands."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from banding.adversary import (
    OrientationAdversary,
    OrientationDiscriminator,
    gradient_penalty,
    standardise,
)
from tests.helpers import assert_batch_equals_single, assert_gradients_reach_all


def test_parameters_of_the_papers_discriminator() -> None:
    """Counted by hand: 5x5 convolutions of 64 then 128 channels, group norms, one logit."""
    blocks = 2 * (2 * 25 * 64 * 64 + 2 * 2 * 64)
    wider = 25 * 64 * 64 + 25 * 64 * 128 + 64 * 128 + 2 * 2 * 64
    last = 2 * 25 * 128 * 128 + 2 * 2 * 128
    expected = (25 * 64 + 64) + blocks + wider + last + (128 + 1)
    parameters = OrientationDiscriminator().parameters()
    assert sum(parameter.numel() for parameter in parameters) == expected


def test_any_width_is_normalised_in_groups_that_divide_it() -> None:
    for chans in (50, 100):
        images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        assert OrientationDiscriminator(chans)(images).isfinite().all()


def test_ensemble_gives_one_logit_each_in_any_units(generator: torch.Generator) -> None:
    adversary = OrientationAdversary(num_adversaries=3, chans=4)
    image = torch.rand(2, 32, 35, generator=generator)
    logits = adversary(standardise(image))
    assert logits.shape == (2, 3)
    assert not torch.equal(logits[:, 0], logits[:, 1])
    torch.testing.assert_close(adversary(standardise(1e-7 * image)), logits, rtol=1e-3, atol=1e-4)
    assert_batch_equals_single(adversary, standardise(image))
    assert torch.isfinite(adversary(standardise(torch.zeros(2, 32, 32)))).all()
    logits.square().sum().backward()
    assert_gradients_reach_all(adversary)
    with pytest.raises(ValueError, match="num_adversaries=0"):
        OrientationAdversary(0)


def test_gradient_penalty_against_finite_differences(generator: torch.Generator) -> None:
    adversary = OrientationAdversary(num_adversaries=2, chans=2).double()
    image = standardise(torch.rand(2, 16, 16, generator=generator, dtype=torch.float64))
    _, penalty = gradient_penalty(adversary, image)
    step, total = 1e-6, 0.0
    with torch.no_grad():
        for y in range(16):
            for x in range(16):
                shift = torch.zeros_like(image)
                shift[:, y, x] = step
                slope = (adversary(image + shift) - adversary(image - shift)) / (2 * step)
                total += float(slope.square().sum())
    # members are summed, the batch of two is averaged
    assert float(penalty.detach()) == pytest.approx(total / 2, rel=1e-5)
    penalty.backward()
    assert any(parameter.grad is not None for parameter in adversary.parameters())


@pytest.mark.parametrize(("amplitude", "lowest", "highest"), [(1.0, 0.9, 1.0), (0.0, 0.4, 0.6)])
def test_learns_orientation_from_bands_alone(
    amplitude: float, lowest: float, highest: float, generator: torch.Generator
) -> None:
    """On noise with bands it learns their orientation; on pure noise there is nothing to learn."""
    torch.manual_seed(0)
    adversary = OrientationAdversary(chans=8)
    optimizer = torch.optim.Adam(adversary.parameters(), lr=1e-3)
    bands = amplitude * torch.cos(math.pi / 2 * torch.arange(32)).expand(32, 32)

    def draw(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        rotated = torch.rand(batch, generator=generator) < 0.5
        turned = torch.where(rotated[:, None, None], bands.T, bands)
        return standardise(torch.randn(batch, 32, 32, generator=generator) + turned), rotated

    for _ in range(60):
        images, rotated = draw(8)
        logits, penalty = gradient_penalty(adversary, images)
        loss = F.binary_cross_entropy_with_logits(logits[:, 0], rotated.float()) + 0.1 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, rotated = draw(400)
    with torch.no_grad():
        accuracy = ((adversary(images)[:, 0] > 0) == rotated).float().mean()
    assert lowest <= float(accuracy) <= highest
