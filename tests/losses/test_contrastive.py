"""The contrastive loss against a plain double loop, and its cost."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from fastmri_clgnet.losses import CLGNetLoss, ContrastiveLoss
from fastmri_clgnet.losses.contrastive import Negatives

WEIGHTS = (0.25, 0.5)


class Extractor(nn.Module):
    """Two layers of random features; counts its calls."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(3, 1, 3, 3, generator=generator).double())
        self.second = nn.Parameter(torch.randn(2, 3, 3, 3, generator=generator).double())
        self.calls: list[bool] = []

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Compute the features and note whether a graph was made."""
        first = torch.relu(nn.functional.conv2d(images, self.first.to(images.dtype)))
        second = torch.relu(nn.functional.conv2d(first, self.second.to(images.dtype), stride=2))
        self.calls.append(images.requires_grad)
        return [first, second]


def images(batch_size: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    output, target, undersampled = torch.randn(
        3, batch_size, 1, 12, 15, dtype=torch.float64, generator=generator
    )
    return output.requires_grad_(), target, undersampled


def double_loop(
    loss: ContrastiveLoss,
    extractor: Extractor,
    drawn: Sequence[Sequence[int]],
    output: torch.Tensor,
    target: torch.Tensor,
    undersampled: torch.Tensor,
) -> torch.Tensor:
    """Eq. 9, term by term."""
    terms = []
    for i in range(len(output)):
        low, high = target[i].min(), target[i].max()
        anchor = extractor(((output[i] - low) / (high - low))[None])
        positive = extractor(((target[i] - low) / (high - low))[None])
        term = torch.zeros((), dtype=output.dtype)
        for j, weight in enumerate(WEIGHTS):
            numerator = (anchor[j] - positive[j]).abs().mean()
            denominator = torch.zeros((), dtype=output.dtype)
            for k in drawn[i]:
                low_k, high_k = target[k].min(), target[k].max()
                negative = extractor(((undersampled[k] - low_k) / (high_k - low_k))[None])
                denominator = denominator + (anchor[j] - negative[j]).abs().mean()
            if drawn[i]:
                numerator = numerator / (denominator + loss.eps)
            term = term + weight * numerator
        terms.append(term)
    return torch.stack(terms).mean()


@pytest.mark.parametrize(("batch_size", "num_negatives"), [(7, 6), (5, 2), (4, 4), (3, 0)])
def test_equals_a_plain_double_loop(batch_size: int, num_negatives: int) -> None:
    extractor = Extractor()
    loss = ContrastiveLoss(extractor, WEIGHTS, num_negatives)
    output, target, undersampled = images(batch_size)
    torch.manual_seed(3)
    drawn = loss.draw_negatives(batch_size).tolist() if num_negatives else [[]] * batch_size
    torch.manual_seed(3)
    value = loss(output, target, undersampled)
    (gradient,) = torch.autograd.grad(value, output)
    expected = double_loop(loss, extractor, drawn, output, target, undersampled)
    (expected_gradient,) = torch.autograd.grad(expected, output)

    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-10)


def test_three_passes_one_of_them_with_a_graph() -> None:
    for num_negatives in (1, 3, 6):
        extractor = Extractor().requires_grad_(False)
        ContrastiveLoss(extractor, WEIGHTS, num_negatives)(*images(6))
        assert sorted(extractor.calls) == [False, False, True]


def test_negatives_are_distinct_and_follow_the_seed() -> None:
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return ContrastiveLoss(Extractor(), WEIGHTS).draw_negatives(10)

    first, second, other = map(draw, (0, 0, 1))
    assert first.shape == (10, 6)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert all(len(set(row)) == 6 and set(row) <= set(range(10)) for row in first.tolist())


def test_small_batch_uses_all_images_and_warns_once() -> None:
    loss = ContrastiveLoss(Extractor(), WEIGHTS)
    with pytest.warns(UserWarning, match="a batch of 2 images has fewer than the 6 negatives"):
        drawn = loss.draw_negatives(2)
    assert sorted(drawn[0].tolist()) == [0, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss.draw_negatives(2)


def test_identical_output_and_target_give_zero() -> None:
    _, target, undersampled = images(6)
    loss = ContrastiveLoss(Extractor(), WEIGHTS)
    assert loss(target.clone().requires_grad_(), target, undersampled) == 0


def test_gradient_is_finite_where_the_output_equals_a_negative() -> None:
    _, target, undersampled = images(1)
    output = undersampled.clone().requires_grad_()
    ContrastiveLoss(Extractor(), WEIGHTS, num_negatives=1)(output, target, undersampled).backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    constant = torch.zeros(1, 1, 12, 15, requires_grad=True)
    ContrastiveLoss(Extractor(), WEIGHTS, num_negatives=1)(constant, constant, constant).backward()
    assert constant.grad is not None
    assert torch.isfinite(constant.grad).all()


def test_distances_are_float32_under_autocast() -> None:
    output, target, undersampled = (image.float().detach() for image in images(6))
    output.requires_grad_()
    loss = ContrastiveLoss(Extractor(), WEIGHTS)
    torch.manual_seed(0)
    reference = loss(output, target, undersampled)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(output, target, undersampled)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(reference.item(), rel=0.02)


def test_a_slice_without_signal_is_finite_in_half_precision() -> None:
    output, target = 0.1 * torch.randn(2, 1, 12, 15), torch.zeros(2, 1, 12, 15)
    loss = ContrastiveLoss(lambda images: [images.half()], (1.0,), num_negatives=2)
    value = loss(output, target, target)
    assert torch.isfinite(value)


def test_total_and_parts() -> None:
    extractor = Extractor()
    output, target, undersampled = images(6)
    loss = ContrastiveLoss(extractor, WEIGHTS)
    torch.manual_seed(0)
    parts = CLGNetLoss(0.05, loss)(output, target, undersampled)
    torch.manual_seed(0)
    contrastive = loss(output, target, undersampled)
    l1 = (output - target).abs().mean()
    torch.testing.assert_close(parts["contrastive"], contrastive)
    torch.testing.assert_close(parts["l1"], l1)
    torch.testing.assert_close(parts["loss"], l1 + 0.05 * contrastive)
    assert CLGNetLoss(alpha=0)(output, target, undersampled)["loss"] == l1


def test_extractor_is_in_no_checkpoint_but_moves_with_the_loss() -> None:
    loss = CLGNetLoss(0.05, ContrastiveLoss(Extractor(), WEIGHTS))
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}
    assert loss.contrastive is not None
    extractor = loss.contrastive.feature_extractor
    assert isinstance(extractor, Extractor)
    loss.to("meta")
    assert extractor.first.device.type == "meta"


def test_errors() -> None:
    output, target, undersampled = images(3)
    with pytest.raises(ValueError, match="one shape"):
        ContrastiveLoss(Extractor(), WEIGHTS)(output, target[:2], undersampled)
    with pytest.raises(ValueError, match="2 feature maps, but there are 1"):
        ContrastiveLoss(Extractor(), [1.0], 1)(output, target, undersampled)
    with pytest.raises(ValueError, match="num_negatives=-1"):
        ContrastiveLoss(Extractor(), WEIGHTS, num_negatives=-1)
    with pytest.raises(ValueError, match="none was given"):
        CLGNetLoss(0.05)
    with pytest.raises(ValueError, match="alpha=-1"):
        CLGNetLoss(-1)


PEAK = """
import os
from pathlib import Path
import torch
from fastmri_clgnet.losses import ContrastiveLoss

num_negatives = 1 if os.fork() else 6

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key)))

convolution = torch.nn.Conv2d(1, 16, 3, padding=1).requires_grad_(False)
loss = ContrastiveLoss(lambda x: [convolution(x)] * 3, [1.0] * 3, num_negatives)
x, y, z = torch.randn(3, 10, 1, 192, 192)
x.requires_grad_()
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # reset the peak
loss(x, y, z).backward()
print(num_negatives, status("VmHWM") - before, flush=True)
if num_negatives == 1:
    assert os.wait()[1] == 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_memory_does_not_grow_with_the_negatives() -> None:
    """Peak memory at batch 10 with 6 negatives is within 10 % of that with one."""
    run = subprocess.run(
        [sys.executable, "-c", PEAK],
        capture_output=True,
        text=True,
        check=True,
        # freed memory is returned at once, so that the peak only has live tensors
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    peaks = {n: int(peak) for n, peak in (line.split() for line in run.stdout.splitlines())}
    assert 0 < peaks["6"] < 1.1 * peaks["1"]


@pytest.mark.parametrize("negatives", ["same_slice", "both"])
def test_other_masks_equal_a_plain_double_loop(negatives: Negatives) -> None:
    """The slice's own other images, as though each batch consisted of that slice only."""
    extractor = Extractor()
    loss = ContrastiveLoss(extractor, WEIGHTS, 3, negatives=negatives)
    output, target, undersampled = images(4)
    generator = torch.Generator().manual_seed(9)
    others = torch.randn(4, 3, 12, 15, dtype=torch.float64, generator=generator)
    torch.manual_seed(3)
    drawn = loss.draw_negatives(4).tolist() if negatives == "both" else [[]] * 4
    torch.manual_seed(3)
    value = loss(output, target, undersampled, others)
    (gradient,) = torch.autograd.grad(value, output)
    terms = []
    for i in range(4):
        # its 3 other images, then those of the batch, each beside the target that maps it
        own = target[i].expand(3, 1, 12, 15)
        batch_targets, batch_inputs = target[drawn[i]], undersampled[drawn[i]]
        terms.append(
            double_loop(
                loss,
                extractor,
                [list(range(1, 4 + len(drawn[i])))],
                output[i : i + 1],
                torch.cat([target[i : i + 1], own, batch_targets]),
                torch.cat([undersampled[i : i + 1], others[i][:, None], batch_inputs]),
            )
        )
    expected = torch.stack(terms).mean()
    (expected_gradient,) = torch.autograd.grad(expected, output)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-10)


def test_other_masks_are_what_the_loss_asks_for() -> None:
    output, target, undersampled = images(3)
    others = torch.zeros(3, 2, 12, 15, dtype=torch.float64)
    for negatives, given in (("batch", others), ("both", None), ("same_slice", others[:, :1])):
        loss = ContrastiveLoss(Extractor(), WEIGHTS, 2, negatives=negatives)  # type: ignore[arg-type]
        assert CLGNetLoss(1, loss).other_masks == (0 if negatives == "batch" else 2)
        assert CLGNetLoss(0, loss).other_masks == 0
        with pytest.raises(ValueError, match=r"expected others of \d images per slice"):
            loss(output, target, undersampled, given)
    with pytest.raises(ValueError, match="negatives='all': expected batch or same_slice or both"):
        ContrastiveLoss(Extractor(), WEIGHTS, negatives="all")  # type: ignore[arg-type]
    # without negatives there is nothing to draw
    assert ContrastiveLoss(Extractor(), WEIGHTS, 0, negatives="same_slice").other_masks == 0
