"""The module of the comparison methods: normalisation, cropping, coils, optimizers."""

from __future__ import annotations

import pytest
import torch

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.models.comparison import COMPARISON_METHODS
from fastmri_clgnet.models.fourier import to_image
from fastmri_clgnet.pl_modules import ComparisonModule


def kspace_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(2, 1, 20, 1)
    mask[:, :, ::2] = 1
    return mask * torch.randn(2, 24, 20, 2, generator=generator), mask


@pytest.mark.parametrize("name", ["dccnn", "ista"])
def test_scale_of_the_data_does_not_matter(name: str) -> None:
    torch.manual_seed(0)
    module = ComparisonModule(name)  # type: ignore[arg-type]
    kspace, mask = kspace_and_mask()
    with torch.no_grad():
        output = module(kspace, mask)
        tiny = module(1e-6 * kspace, mask)
    assert output.shape == (2, 24, 20)
    torch.testing.assert_close(1e6 * tiny, output, rtol=1e-3, atol=1e-4)


def test_slices_without_signal_stay_finite() -> None:
    module = ComparisonModule("dccnn")
    output = module(torch.zeros(1, 24, 20, 2), torch.ones(1, 1, 20, 1))
    output.sum().backward()
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def test_one_coil_axis_is_dropped_and_several_are_refused() -> None:
    module = ComparisonModule("dccnn").eval()
    kspace, mask = kspace_and_mask()
    with torch.no_grad():
        torch.testing.assert_close(module(kspace[:, None], mask[:, None]), module(kspace, mask))
        with pytest.raises(InputError, match=r"single-coil k-space .* the model clgnet or unet"):
            module(kspace[:, None].expand(-1, 4, -1, -1, -1), mask[:, None])


def test_fully_sampled_data_is_reproduced() -> None:
    kspace, mask = kspace_and_mask()
    with torch.no_grad():
        output = ComparisonModule("dccnn")(kspace, torch.ones_like(mask))
    expected = torch.view_as_complex(to_image(kspace)).abs()
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_optimizers_are_the_methods() -> None:
    expected = {"dudor": (5e-4, (0.5, 0.999), 0.0), "cddn": (1e-4, (0.9, 0.999), 1e-7)}
    for name in COMPARISON_METHODS:
        defaults = ComparisonModule(name).configure_optimizers().defaults  # type: ignore[arg-type]
        settings = (defaults["lr"], defaults["betas"], defaults["weight_decay"])
        assert settings == expected.get(name, (1e-4, (0.9, 0.999), 0.0))
    with pytest.raises(ValueError, match="expected one of dccnn"):
        ComparisonModule("nonsense")  # type: ignore[arg-type]
