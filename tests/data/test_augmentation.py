"""Changed training slices: k-space and reference fit, and each change is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastmri.data.transforms import UnetSample, VarNetSample

from fastmri_clgnet.data import Data, Mask
from fastmri_clgnet.data.augmentation import (
    Change,
    LowResolution,
    RandomChanges,
    SimulatedCoils,
    augmented,
    rotated,
    training_changes,
)
from fastmri_clgnet.errors import InputError
from tests.helpers import small_volume

CHALLENGES = ["singlecoil", "multicoil"]
NOTHING = RandomChanges(rotation=0, gamma=1, phase=0, noise=0)


def transform(values: np.ndarray, inverse: bool) -> np.ndarray:
    """NumPy's centred orthonormal FFT in float64."""
    axes = (-2, -1)
    function = np.fft.ifft2 if inverse else np.fft.fft2
    shifted = np.fft.ifftshift(values.astype(np.complex128), axes=axes)
    return np.fft.fftshift(function(shifted, norm="ortho"), axes=axes)


def magnitude(image: np.ndarray) -> np.ndarray:
    """Root sum of squares over the coils, if there are any."""
    squared = np.abs(image) ** 2
    return np.sqrt(squared if squared.ndim == 2 else squared.sum(0))


def complex_image(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    """White noise (rows, columns, 2)."""
    return torch.randn(rows, columns, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_without_changes_only_the_oversampling_goes(challenge: str) -> None:
    kspace, target = small_volume(challenge, 0)
    attributes = {"max": target.max(), "padding_left": 3, "padding_right": 37, "other": "kept"}
    changed, reference, fitting = augmented(kspace[1], attributes, (32, 32))
    np.testing.assert_allclose(reference, target[1], rtol=1e-4, atol=1e-9)
    image = transform(kspace[1], inverse=True)[..., 16:48, 4:36]
    np.testing.assert_allclose(changed, transform(image, inverse=False), rtol=1e-3, atol=1e-8)
    assert changed.dtype == np.complex64
    assert reference.dtype == np.float32
    assert fitting == {
        "max": target.max(), "padding_left": 0, "padding_right": 32, "other": "kept",
        "recon_size": (32, 32, 1),
    }  # fmt: skip


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_k_space_and_reference_stay_of_one_image(challenge: str) -> None:
    kspace, target = small_volume(challenge, 0)
    for seed in range(8):
        torch.manual_seed(seed)
        changes: list[Change] = [LowResolution(24), RandomChanges()]
        changed, reference, _ = augmented(kspace[0], {"max": target.max()}, (32, 32), *changes)
        assert reference.shape == (24, 24)
        image = magnitude(transform(changed, inverse=True))
        np.testing.assert_allclose(reference, image, rtol=1e-3, atol=1e-3 * float(target.max()))
        # the volume's maximum, which SSIM is computed with, stays about that of the image
        assert 0.5 < reference.max() / target[0].max() < 1.3


def test_low_resolution_is_the_centre_of_k_space_at_the_same_scale() -> None:
    image = complex_image(32, 20)
    values = image[..., 0].numpy() + 1j * image[..., 1].numpy()
    expected = transform(values, inverse=False)[8:24, 2:18]
    small = LowResolution(16)(image, 1.0).numpy()
    result = small[..., 0] + 1j * small[..., 1]
    factor = (16 * 16 / (32 * 20)) ** 0.5
    np.testing.assert_allclose(
        transform(result, inverse=False), factor * expected, rtol=1e-4, atol=1e-5
    )
    assert result.mean() == pytest.approx(values.mean(), rel=1e-4)
    # nothing is made up beyond the data
    torch.testing.assert_close(LowResolution(64)(image, 1.0), image, rtol=1e-4, atol=1e-5)


def test_rotation_by_a_quarter_is_exact() -> None:
    image = complex_image(16, 16)
    torch.testing.assert_close(
        rotated(image, 90), torch.rot90(image, 1, (0, 1)), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(rotated(image, 0), image)
    coils = torch.stack([image, complex_image(16, 16, 1)])
    torch.testing.assert_close(rotated(coils, 7)[1], rotated(coils[1], 7))


@pytest.mark.parametrize("shape", [(64, 64), (48, 80)])
@pytest.mark.parametrize("degrees", [10.0, -25.0])
def test_rotation_turns_about_the_centre(shape: tuple[int, int], degrees: float) -> None:
    """A spot goes where the rotation of its place says, whatever the image's proportions."""
    centre = (np.array(shape) - 1) / 2
    place = np.array([-10.0, 14.0])
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    spot = np.exp(-((grid - (centre + place)[:, None, None]) ** 2).sum(0) / 8)
    image = torch.from_numpy(np.stack([spot, -spot], axis=-1)).float()
    turned = rotated(image, degrees)[..., 0].numpy()
    found = (grid * turned).sum((1, 2)) / turned.sum() - centre
    angle = np.deg2rad(degrees)
    # rows go down: a counter-clockwise turn takes what is on the right upwards
    expected = [
        place[0] * np.cos(angle) - place[1] * np.sin(angle),
        place[0] * np.sin(angle) + place[1] * np.cos(angle),
    ]
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_all_symmetries_of_the_square_and_nothing_else() -> None:
    image = complex_image(6, 6)
    symmetries = [
        torch.rot90(start, turns, (0, 1)) for start in (image, image.flip(0)) for turns in range(4)
    ]
    seen = []
    for seed in range(64):
        torch.manual_seed(seed)
        result = NOTHING(image, 3.0)
        (match,) = (i for i, each in enumerate(symmetries) if torch.allclose(each, result))
        seen.append(match)
    assert set(seen) == set(range(8))
    # transposition is for squares only
    for seed in range(16):
        torch.manual_seed(seed)
        assert NOTHING(complex_image(6, 8), 3.0).shape == (6, 8, 2)


def test_contrast_keeps_maximum_order_and_phase() -> None:
    image = complex_image(8, 8)
    before = image.square().sum(-1).sqrt()
    maximum = float(before.max())
    exponents = []
    for seed in range(20):
        torch.manual_seed(seed)
        change = RandomChanges(rotation=0, gamma=2, phase=0, noise=0)(image, maximum)
        after = change.square().sum(-1).sqrt()
        assert float(after.max()) == pytest.approx(maximum, rel=1e-5)
        ratio = (
            after.sort().values if after.ndim == 1 else after.flatten().sort().values
        ) / maximum
        known = before.flatten().sort().values / maximum
        exponent = (ratio[:-1].log() / known[:-1].log()).numpy()
        np.testing.assert_allclose(exponent, exponent[0], rtol=1e-3)
        exponents.append(float(exponent[0]))
    assert 0.5 <= min(exponents) < 0.7
    assert 1.4 < max(exponents) <= 2


def test_phase_leaves_the_magnitude_and_coils_share_it() -> None:
    image = complex_image(8, 8)
    coils = torch.stack([image, complex_image(8, 8, 1)])
    torch.manual_seed(0)
    change = RandomChanges(rotation=0, gamma=1, phase=2, noise=0)(coils, 3.0)
    before, after = (torch.view_as_complex(x.contiguous()) for x in (coils, change))
    torch.testing.assert_close(
        after.abs().flatten().sort().values, before.abs().flatten().sort().values
    )
    # between coils nothing changes, so that sensitivities stay what they are
    torch.manual_seed(0)
    moved = torch.view_as_complex(NOTHING(coils, 3.0).contiguous())
    torch.testing.assert_close(after[0] * after[1].conj(), moved[0] * moved[1].conj())
    assert (after - moved).abs().max() > 0.5


def test_noise_is_white_and_as_strong_as_said() -> None:
    image = torch.zeros(64, 64, 2)
    levels = []
    for seed in range(20):
        torch.manual_seed(seed)
        noise = RandomChanges(rotation=0, gamma=1, phase=0, noise=0.1)(image, 2.0)
        assert float(noise[..., 0].std()) == pytest.approx(float(noise[..., 1].std()), rel=0.1)
        levels.append(float(noise.std()))
    assert 0 < min(levels) < 0.05
    assert 0.15 < max(levels) <= 0.2 * 1.02


def test_slices_without_signal_stay_finite() -> None:
    torch.manual_seed(0)
    for maximum in (0.0, 1.0):
        kspace = np.zeros((2, 32, 32), np.complex64)
        changed, reference, _ = augmented(kspace, {"max": maximum}, (32, 32), RandomChanges())
        assert np.isfinite(changed).all()
        assert np.isfinite(reference).all()


def test_scaling_enlarges_about_the_centre() -> None:
    shape, centre = (64, 48), np.array([31.5, 23.5])
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))

    def spot(place: np.ndarray, width: float) -> np.ndarray:
        values: np.ndarray = np.exp(-((grid - place[:, None, None]) ** 2).sum(0) / width**2)
        return values

    place = np.array([-8.0, 6.0])
    image = torch.from_numpy(np.stack([spot(centre + place, 4)] * 2, axis=-1)).float()
    for scale in (1.25, 0.8):
        expected = spot(centre + scale * place, 4 * scale)
        np.testing.assert_allclose(rotated(image, 0, scale)[..., 0], expected, atol=0.03)
    sizes = []
    for seed in range(60):
        torch.manual_seed(seed)
        change = RandomChanges(rotation=0, gamma=1, phase=0, noise=0, scaling=1.5)
        sizes.append(float(change(image, 1.0).sum() / image.sum()))  # the square of the scale
    changed = [size**0.5 for size in sizes if abs(size - 1) > 1e-4]
    assert 15 < len(changed) < 45
    assert 0.66 < min(changed) < 0.8
    assert 1.25 < max(changed) < 1.51


def test_simulated_coils_are_of_one_magnitude() -> None:
    """Without noise the root sum of squares is the image times a smooth field of 1 in the mean."""
    magnitude = complex_image(96, 80).square().sum(-1).sqrt() + 1
    image = torch.view_as_real(magnitude * torch.exp(torch.tensor(0.3j)))
    numbers, phases = [], []
    for seed in range(200):
        torch.manual_seed(seed)
        coils = SimulatedCoils(most=6, noise=0)(torch.stack([0.6 * image, 0.8 * image]), 5.0)
        assert coils.shape[1:] == (96, 80, 2)
        numbers.append(len(coils))
        complex_coils = torch.view_as_complex(coils.contiguous())
        field = complex_coils.abs().square().sum(0).sqrt() / magnitude
        assert float(field.square().mean()) == pytest.approx(1, rel=1e-4)
        if len(coils) == 1:
            torch.testing.assert_close(field, torch.ones_like(field))
            phases.append(float((complex_coils[0, 0, 0] / magnitude[0, 0]).angle()))
        else:
            # smooth: neighbours differ by little, in each coil's phase and sensitivity, too
            parts = complex_coils / magnitude
            assert float((parts[:, 1:] - parts[:, :-1]).abs().max()) < 0.3
    counts = np.bincount(numbers, minlength=7)
    assert counts[0] == 0 and counts[2:].min() > 8 and 75 < counts[1] < 125
    assert np.std(phases) > 1


def test_simulated_noise_is_white_and_mostly_weak() -> None:
    levels = []
    for seed in range(200):
        torch.manual_seed(seed)
        coils = SimulatedCoils(most=3, noise=0.1)(torch.zeros(32, 32, 2), 2.0)
        for coil in coils:
            assert float(coil.std()) == pytest.approx(float(coils.std()), rel=0.1)
        levels.append(float(coils.std()) / 2)
    # u^2 for a uniform u: a quarter of them in the median, and up to 1
    assert np.median(levels) == pytest.approx(0.025, rel=0.4)
    assert 0.08 < max(levels) < 0.105


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_strong_k_space_and_reference_stay_of_one_image(challenge: str) -> None:
    kspace, target = small_volume(challenge, 0)
    numbers = set()
    for seed in range(30):
        torch.manual_seed(seed)
        changes = training_changes(24, "strong", on_kspace=False)
        changed, reference, _ = augmented(kspace[0], {"max": target.max()}, (32, 32), *changes)
        numbers.add(len(changed))
        image = magnitude(transform(changed, inverse=True))
        np.testing.assert_allclose(reference, image, rtol=1e-3, atol=1e-3 * float(target.max()))
        for_kspace = training_changes(None, "strong", on_kspace=True)
        changed, *_ = augmented(kspace[0], {"max": target.max()}, (32, 32), *for_kspace)
        assert changed.shape == ((2, 32, 32) if challenge == "multicoil" else (32, 32))
    assert {1, 2, 8} <= numbers <= set(range(1, 9))


@pytest.mark.parametrize("challenge", CHALLENGES)
@pytest.mark.parametrize("on_kspace", [False, True])
@pytest.mark.parametrize("augment", [True, "strong"])
def test_training_alone_is_changed_anew_in_each_epoch(
    small_dataset: Path, challenge: str, on_kspace: bool, augment: Any
) -> None:
    mask = Mask("random", (2,), (0.2,))
    common = {"challenge": challenge, "mask": mask, "batch_size": 2, "num_workers": 0}
    data = Data(small_dataset, augment=augment, train_size=24, **common)  # type: ignore[arg-type]
    plain = Data(small_dataset, **common).module(on_kspace)  # type: ignore[arg-type]
    module = data.module(on_kspace)
    loader = module.train_dataloader()
    epochs = []
    for epoch in (0, 1, 0):
        loader.batch_sampler.sampler.set_epoch(epoch)
        batches = list(loader)
        targets = torch.cat([batch.target for batch in batches])
        names = [name for batch in batches for name in batch.fname]
        slices = torch.cat([batch.slice_num for batch in batches]).tolist()
        order = sorted(range(len(names)), key=lambda i: (names[i], slices[i]))
        epochs.append(targets[order])
        for batch in batches:
            assert isinstance(batch, VarNetSample if on_kspace else UnetSample)
            if on_kspace:
                assert batch.masked_kspace.shape[-3:] == (24, 24, 2)
                assert [int(length[0]) for length in batch.crop_size] == [24, 24]
                assert 0.2 < batch.mask.float().mean() < 0.9
    assert epochs[0].shape == (6, 24, 24)
    torch.testing.assert_close(epochs[0], epochs[2], rtol=0, atol=0)
    assert not torch.allclose(epochs[0], epochs[1])
    for batch, expected in zip(module.val_dataloader(), plain.val_dataloader(), strict=True):
        torch.testing.assert_close(batch.target, expected.target, rtol=0, atol=0)


def test_sizes_that_no_network_takes_are_refused() -> None:
    for size in (8, 129):
        with pytest.raises(InputError, match=f"train_size {size}: expected an even number, 16 or"):
            Data(train_size=size)
    with pytest.raises(InputError, match="augment 'weak': expected false, true or strong"):
        Data(augment="weak")  # type: ignore[arg-type]
