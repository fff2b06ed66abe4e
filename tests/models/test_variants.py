"""The paper's ablations: counts, shapes, learning, and what each omits."""

from __future__ import annotations

import functools
import sys

import pytest
import torch

from fastmri_clgnet.benchmarks.macs import count_macs
from fastmri_clgnet.benchmarks.measure import forward_pass, peak_mb
from fastmri_clgnet.models import VARIANTS, CLGNet, SpatialFourierLayer, Variant, make_variant
from fastmri_clgnet.models.variants import SelfAttention
from tests.helpers import assert_batch_equals_single, assert_gradients_reach_all

# parameters and relative tolerance: the paper's (Tables 3 and 4), for wo_wavelet CLGNet's
PARAMETERS: dict[Variant, tuple[float, float]] = {
    "clgnet": (964_033, 0.0),
    "wo_wavelet": (964_033, 0.01),
    "wo_sfl": (815_041, 0.0),
    "wo_cl": (964_033, 0.0),
    "wo_negative": (964_033, 0.0),
    "sa": (0.88e6, 0.02),
    "tran": (0.95e6, 0.02),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_counts_of_the_paper(variant: Variant) -> None:
    expected, tolerance = PARAMETERS[variant]
    count = sum(parameter.numel() for parameter in make_variant(variant).parameters())
    assert abs(count - expected) <= tolerance * expected


def test_operations_without_fft() -> None:
    assert round(count_macs(make_variant("wo_sfl"), (512, 512)) / 1e9, 1) == 66.0


@pytest.mark.parametrize("variant", ["wo_wavelet", "wo_sfl", "sa", "tran"])
def test_variants_reconstruct_and_learn(variant: Variant) -> None:
    torch.manual_seed(0)
    model = make_variant(variant, CLGNet(chans=4, num_groups=1, num_blocks=1))
    has_fourier = any(isinstance(module, SpatialFourierLayer) for module in model.modules())
    assert has_fourier == (variant == "wo_wavelet")
    image = torch.randn(2, 1, 21, 34)
    assert model(image).shape == image.shape
    model(image).abs().mean().backward()
    assert_gradients_reach_all(model)
    assert_batch_equals_single(model.eval(), image)


def test_self_attention_equals_its_formula() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(3, 5).double()
    features = torch.randn(1, 3, 4, 6, dtype=torch.float64)
    query, key, value = attention.query_key_value(features).flatten(2)[0].chunk(3)
    weights = torch.softmax(query.T @ key / 5**0.5, dim=-1)
    attended = (weights @ value.T).T.reshape(1, 5, 4, 6)
    torch.testing.assert_close(attention(features), features + attention.out(attended))


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_self_attention_needs_no_memory_for_pairs_of_pixels() -> None:
    cpu, make = torch.device("cpu"), functools.partial(SelfAttention, 1, 8)
    pairs = 128**4 * 4 / 1e6
    assert peak_mb(functools.partial(forward_pass, make, 128, 1, cpu), cpu) < 0.1 * pairs


def test_errors() -> None:
    with pytest.raises(ValueError, match="expected one of clgnet, wo_wavelet"):
        make_variant("nonsense")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected a multiple of the transformer's 4 heads"):
        make_variant("tran", CLGNet(chans=6))
