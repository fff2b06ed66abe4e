"""Measuring memory: a network whose peak is known."""

from __future__ import annotations

import functools
import sys

import pytest
import torch
from torch import nn

from fastmri_clgnet.benchmark import table2
from fastmri_clgnet.benchmarks.measure import (
    count_operators,
    forward_pass,
    median_times,
    peak_mb,
    training_step,
)
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.models import CLGNet

CPU = torch.device("cpu")


class Widen(nn.Module):
    """Makes 100 images from one."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Copy and sum."""
        return image.repeat(1, 100, 1, 1).sum(dim=1, keepdim=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_peak_memory_of_a_known_network() -> None:
    peak = peak_mb(functools.partial(forward_pass, Widen, 512, 1, CPU), CPU)
    expected = 101 * 512 * 512 * 4 / 1e6
    assert expected <= peak + 1
    assert peak < 1.3 * expected


def test_times_are_measured() -> None:
    action = forward_pass(Widen, 16, 1, CPU)
    times = median_times({"a": action, "b": action}, CPU, rounds=2)
    assert times.keys() == {"a", "b"}
    assert min(times.values()) > 0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match="rounds 0: expected 1 or more"):
        median_times({"nothing": lambda: None}, CPU, 0)
    with pytest.raises(InputError, match=r"size: 8 x 8 pixels; the network .* from 16 x 16 up"):
        forward_pass(CLGNet, 8, 1, CPU)
    with pytest.raises(InputError, match="device nowhere: cannot be used here"):
        table2(size=32, device="nowhere")


def test_operators_are_counted_without_views() -> None:
    image = torch.zeros(2, 3, 4)
    assert count_operators(lambda: image.transpose(0, 1)[0].view(2, 4)) == 0
    assert count_operators(lambda: image.transpose(0, 1).contiguous() + 1) == 2


def test_a_step_without_update_leaves_the_weights() -> None:
    network = nn.Conv2d(1, 1, 3, padding=1)
    before = network.weight.clone()
    step = functools.partial(training_step, lambda: network, 8, 1, CPU)
    counts = [count_operators(step(update=False))]
    assert torch.equal(network.weight, before)
    counts.append(count_operators(step()))
    assert not torch.equal(network.weight, before)
    assert counts[0] < counts[1]
