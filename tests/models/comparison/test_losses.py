"""The comparison methods' losses against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fastmri.data.transforms import VarNetSample
from torch import nn

from fastmri_clgnet.data.reference import ReferenceSample
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.models.comparison import (
    COMPARISON_METHODS,
    DuDoRNet,
    ISTANetPlus,
    Reconstruction,
    Reference,
)
from fastmri_clgnet.pl_modules import ComparisonModule

HEIGHT, WIDTH, ROWS, COLUMNS = 12, 10, 8, 6  # of k-space, of the cropped reference
CENTRE = np.s_[..., 2:10, 2:8]
MASK = np.array([1, 0, 0, 1, 1, 1, 0, 1, 0, 0], float)


def complex_randn(seed: int, *shape: int) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *shape))
    return real + 1j * imaginary


def as_tensor(values: np.ndarray) -> torch.Tensor:
    return torch.view_as_real(torch.from_numpy(values.astype(np.complex128)))


def fft(image: np.ndarray) -> np.ndarray:
    shifted = np.fft.ifftshift(image, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=(-2, -1))


def ifft(kspace: np.ndarray) -> np.ndarray:
    shifted = np.fft.ifftshift(kspace, axes=(-2, -1))
    return np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(-2, -1))


def parts(values: np.ndarray) -> np.ndarray:
    return np.stack([values.real, values.imag])


def squared(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(parts(one - other) ** 2))


def absolute(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(np.abs(parts(one - other))))


@pytest.mark.parametrize("name", ["dccnn", "cddn", "pd", "octconv"])
def test_losses_of_the_complex_image(name: str) -> None:
    image, reference = complex_randn(0, HEIGHT, WIDTH), complex_randn(1, ROWS, COLUMNS)
    terms = COMPARISON_METHODS[name]().losses(
        Reconstruction(as_tensor(image), {}),
        Reference(as_tensor(reference), as_tensor(complex_randn(2, HEIGHT, WIDTH))),
    )
    distance = absolute if name == "octconv" else squared
    assert terms.keys() == {"image"}
    assert terms["image"].item() == pytest.approx(distance(image[CENTRE], reference), rel=1e-12)


def test_istas_squared_error_and_symmetry() -> None:
    """With convolutions that only scale, every phase is a formula."""
    network = ISTANetPlus(num_phases=3, chans=2).double()
    scales = {
        "entry": 0.7, "forward_1": 1.1, "forward_2": 0.9,
        "backward_1": 1.2, "backward_2": 0.8, "exit": 0.3,
    }  # fmt: skip
    for phase in network.phases:
        for name, scale in scales.items():
            nn.init.dirac_(getattr(phase, name).weight)
            getattr(phase, name).weight.data *= scale
            nn.init.zeros_(getattr(phase, name).bias)
    reference, kspace = complex_randn(1, 1, ROWS, COLUMNS), complex_randn(2, 1, HEIGHT, WIDTH)
    mask = torch.from_numpy(MASK).reshape(1, 1, WIDTH, 1)
    output = network(as_tensor(MASK * kspace), mask)
    terms = network.losses(output, Reference(as_tensor(reference), as_tensor(kspace)))

    image, residuals = ifft(MASK * kspace), []
    for _ in range(3):
        image = image - 0.5 * ifft(MASK * fft(image) - MASK * kspace)
        features = 0.7 * parts(image)
        transformed = 0.9 * np.maximum(1.1 * features, 0)
        shrunk = np.sign(transformed) * np.maximum(np.abs(transformed) - 0.01, 0)
        residuals.append(0.8 * np.maximum(1.2 * transformed, 0) - features)
        real, imaginary = 0.3 * 0.8 * np.maximum(1.2 * shrunk, 0)
        image = image + real + 1j * imaginary
    assert terms.keys() == {"image", "symmetry"}
    expected = squared(image[CENTRE], reference)
    assert terms["image"].item() == pytest.approx(expected, rel=1e-7)  # 0.01 is in float32
    assert terms["symmetry"].item() == pytest.approx(0.01 * np.mean(np.square(residuals)), rel=1e-7)


class Scale(nn.Module):
    """Replaces a network: multiplies by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Multiply."""
        return self.factor * values


def test_dudornets_absolute_errors_over_recurrences() -> None:
    network = DuDoRNet(num_recurrences=3)
    network.image_network = Scale(0.6)  # type: ignore[assignment]
    network.kspace_network = Scale(1.3)  # type: ignore[assignment]
    reference, kspace = complex_randn(1, 1, ROWS, COLUMNS), complex_randn(2, 1, HEIGHT, WIDTH)
    mask = torch.from_numpy(MASK).reshape(1, 1, WIDTH, 1)
    output = network(as_tensor(MASK * kspace), mask)
    terms = network.losses(output, Reference(as_tensor(reference), as_tensor(kspace)))

    image, image_errors, kspace_errors = ifft(MASK * kspace), [], []
    for _ in range(3):
        consistent = np.where(MASK > 0, kspace, fft(0.6 * image))
        image_errors.append(absolute(ifft(consistent)[CENTRE], reference))
        estimate = 1.3 * consistent
        kspace_errors.append(absolute(estimate, kspace))
        image = ifft(np.where(MASK > 0, kspace, estimate))
    assert terms.keys() == {"image", "kspace"}
    assert terms["image"].item() == pytest.approx(sum(image_errors), rel=1e-12)
    assert terms["kspace"].item() == pytest.approx(sum(kspace_errors), rel=1e-12)


def make_batch(kspace: np.ndarray) -> ReferenceSample:
    """Make a loader's batch of single-coil k-space (batch, height, width), in float64."""
    whole, image = as_tensor(kspace[:, None]), as_tensor(ifft(kspace)[:, None][CENTRE])
    mask = torch.from_numpy(MASK).reshape(1, 1, 1, WIDTH, 1).expand(len(kspace), -1, -1, -1, -1)
    target = torch.view_as_complex(image)[:, 0].abs()
    names, ones = [f"{i}.h5" for i in range(len(kspace))], torch.ones(len(kspace))
    own = mask * whole, mask.bool(), None, target, names, ones, ones, (ROWS, COLUMNS)
    return ReferenceSample._make([*own, whole, image])


def test_the_modules_step_compares_in_normalised_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained DCCNN whose last convolutions are zero gives the zero-filled image."""
    module: Any = ComparisonModule("dccnn").double()
    for cascade in module.network.cascades:
        nn.init.zeros_(cascade[-1].weight)
        nn.init.zeros_(cascade[-1].bias)
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value}))
    kspace = 1e-4 * np.stack([complex_randn(1, HEIGHT, WIDTH), 3 * complex_randn(2, HEIGHT, WIDTH)])
    loss = module.training_step(make_batch(kspace), 0)
    zero_filled = ifft(MASK * kspace)
    scale = np.abs(zero_filled).max(axis=(1, 2), keepdims=True)
    expected = squared(zero_filled[CENTRE] / scale, ifft(kspace)[CENTRE] / scale)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert logged.keys() == {"train_loss"}


@pytest.mark.parametrize("name", ["ista", "dudor"])
def test_terms_are_logged_and_add_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ComparisonModule(name).double()  # type: ignore[arg-type]
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(module, "log", lambda key, value, **_: logged.update({key: value}))
    loss = module.training_step(make_batch(complex_randn(3, 2, HEIGHT, WIDTH)), 0)
    torch.testing.assert_close(logged.pop("train_loss"), loss.detach())
    assert len(logged) == 2
    torch.testing.assert_close(sum(logged.values()), loss.detach())


@pytest.mark.parametrize("name", COMPARISON_METHODS)
def test_slices_without_signal_have_finite_gradients(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ComparisonModule(name).double()  # type: ignore[arg-type]
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    loss = module.training_step(make_batch(np.zeros((1, HEIGHT, WIDTH), complex)), 0)
    loss.backward()
    assert torch.isfinite(loss)
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_training_without_a_reference_is_refused() -> None:
    module: Any = ComparisonModule("dccnn").double()
    batch = make_batch(complex_randn(3, 1, HEIGHT, WIDTH))
    empty = batch._replace(kspace=torch.zeros(1, 0), image=torch.zeros(1, 0))
    for each in (empty, VarNetSample(*batch[:8])):
        with pytest.raises(InputError, match=r"0\.h5: .* needs fully sampled k-space: train on"):
            module.training_step(each, 0)
