"""The two steps of the module: what they change, and what they do not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from fastmri.data.subsample import RandomMaskFunc
from fastmri.data.transforms import UnetDataTransform
from torch import nn
from torch.utils.data import DataLoader

from banding import BandingModule, RandomTranspose
from banding.adversary import (
    OrientationAdversary,
    OrientationDiscriminator,
    gradient_penalty,
    narrow,
    standardise,
)
from banding.banding_module import wanted_guess
from banding.metrics import THRESHOLD
from fastmri_clgnet.data.data_module import CheckedDataModule
from fastmri_clgnet.pl_modules.unet_module import UnetModule
from tests.helpers import assert_gradients_reach_all


def make_data(root: Path) -> CheckedDataModule:
    """The small data set, turned at random in training."""
    transform = UnetDataTransform("singlecoil", RandomMaskFunc([0.2], [2], seed=0))
    return CheckedDataModule(
        root, "singlecoil", RandomTranspose(transform), transform, transform,
        batch_size=2, num_workers=0, use_dataset_cache_file=False,
    )  # fmt: skip


def make_module(**settings: Any) -> BandingModule:
    """A tiny U-Net and a tiny adversary, without warm-up."""
    torch.manual_seed(0)
    unet = UnetModule(chans=4, num_pool_layers=2, num_log_images=0)
    chosen = {"adversary_chans": 4, "warmup_epochs": 0, "num_log_images": 0, **settings}
    return BandingModule(unet, **chosen)


def make_trainer(tmp_path: Path, **settings: Any) -> pl.Trainer:
    """A trainer that only trains."""
    return pl.Trainer(
        default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, **settings,
    )  # fmt: skip


@pytest.fixture
def batches(small_dataset: Path) -> Iterator[DataLoader]:
    """Batches of the training split."""
    yield make_data(small_dataset).train_dataloader()


@pytest.mark.parametrize("loss", ["ssim", "own"])
def test_each_step_leaves_the_others_gradients_none(
    loss: str, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = make_module(loss=loss)
    seen: list[str] = []
    step = torch.optim.Adam.step

    def spy(optimizer: torch.optim.Adam, *args: Any, **kwargs: Any) -> Any:
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        result = step(optimizer, *args, **kwargs)  # the closure, if any, has run
        assert module.adversary is not None
        for network in (module.reconstructor, module.adversary):
            if id(next(network.parameters())) in own:
                assert_gradients_reach_all(network)
                seen.append(type(network).__name__)
            else:
                assert all(parameter.grad is None for parameter in network.parameters())
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    trainer = make_trainer(tmp_path, max_epochs=1, limit_train_batches=2, limit_val_batches=0)
    trainer.fit(module, make_data(small_dataset))
    assert seen == ["UnetModule", "OrientationAdversary"] * 2
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_warm_up_and_weight_keep_the_adversary_out(small_dataset: Path, tmp_path: Path) -> None:
    def with_statistics(**settings: Any) -> BandingModule:
        """A network with running statistics in front, which a warm-up must not change either."""
        module = make_module(**settings)
        module.reconstructor.unet = nn.Sequential(nn.BatchNorm2d(1), module.reconstructor.unet)
        return module

    def fine_tuned(**settings: Any) -> dict[str, torch.Tensor]:
        module = with_statistics(
            adversary_weight=settings.pop("adversary_weight", 10.0), **settings
        )
        pl.seed_everything(0)
        trainer = make_trainer(tmp_path, max_epochs=1, limit_val_batches=0)
        trainer.fit(module, make_data(small_dataset))
        return module.state_dict()

    def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], part: str) -> bool:
        return all(torch.equal(one[name], other[name]) for name in one if name.startswith(part))

    start = {name: value.clone() for name, value in with_statistics().state_dict().items()}
    alone, warm, judged = (
        fine_tuned(adversary_weight=0.0),
        fine_tuned(warmup_epochs=1),
        fine_tuned(),
    )
    # in the warm-up only the adversary learns
    assert equal(warm, start, "reconstructor.") and not equal(warm, start, "adversary.")
    assert not equal(alone, start, "reconstructor.")
    assert not equal(alone, judged, "reconstructor.")


def test_the_narrow_window_and_the_weight_of_low_signal(
    batches: DataLoader, small_dataset: Path
) -> None:
    """Values above the window do not reach the adversary, nor low signal the loss."""
    batch = next(iter(batches))
    images = batch.sample.target
    level = torch.quantile(images.flatten(1), 0.99, dim=1)[:, None, None]
    brighter = torch.where(images > 0.15 * level, images + 0.1 * level, images)
    # the 99th percentile itself moves by a tenth: shrink the window with it
    assert not torch.allclose(make_module()._guess(images), make_module()._guess(brighter))
    torch.testing.assert_close(
        make_module(adversary_window=0.15)._guess(images),
        make_module(adversary_window=0.15 / 1.1)._guess(brighter),
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip
    clipped = narrow(images, 0.15)
    torch.testing.assert_close(clipped.amax(dim=(1, 2)), 0.15 * level[:, 0, 0])
    assert torch.equal(clipped[images <= 0.15 * level], images[images <= 0.15 * level])

    target, maximum = images, images.amax(dim=(1, 2))
    dark = target < THRESHOLD * level
    assert 0.05 < float(dark.float().mean()) < 0.95
    output = target + 0.05 * level * dark
    deep = torch.nn.functional.max_pool2d((~dark).float()[:, None], 7, 1, 3)[:, 0] == 0
    far = target + 0.05 * level * deep  # in no bright pixel's window
    losses = {
        weight: [
            float(make_module(low_signal_weight=weight)._ssim_and_l1(each, target, maximum))
            for each in (output, far)
        ]
        for weight in (1.0, 0.5, 0.0)
    }
    assert losses[1.0][1] > losses[0.5][1] > losses[0.0][1]
    assert losses[0.0][1] == pytest.approx(0, abs=1e-6)
    assert losses[0.0][0] > 1e-4


def test_a_zero_score_with_energy_means_bands(small_dataset: Path, tmp_path: Path) -> None:
    """Bands in both directions cancel in the score, but not in the logged energy."""

    class Crossed(UnetModule):
        def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            result: dict[str, Any] = super().validation_step(batch, batch_idx)
            target = torch.rand(result["output"].shape, generator=torch.Generator().manual_seed(0))
            target[:, :12, :12] = 100  # the rest has low signal
            wave = torch.cos(torch.pi / 2 * torch.arange(32))
            bands = self.along[0] * wave + self.along[1] * wave[:, None]
            result |= {"target": target, "output": target + 5 * bands}
            return result

        along = (0.0, 0.0)

    logged = {}
    for along in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)):
        unet = Crossed(chans=4, num_pool_layers=2, num_log_images=0)
        unet.along = along
        module = BandingModule(unet, adversary_chans=4, num_log_images=0)
        trainer = make_trainer(tmp_path)
        (logged[along],) = trainer.validate(module, make_data(small_dataset), verbose=False)
    assert logged[0.0, 0.0]["banding_energy"] == pytest.approx(1, rel=1e-4)
    assert logged[1.0, 0.0]["banding_score"] > 0.9
    assert abs(logged[1.0, 1.0]["banding_score"]) < 0.3
    one, both = (logged[along]["banding_energy"] for along in ((1.0, 0.0), (1.0, 1.0)))
    assert both == pytest.approx(2 * one, rel=0.3) and one > 5


def test_a_slice_that_is_measured_twice_counts_once(small_dataset: Path, tmp_path: Path) -> None:
    """As where several processes share batches that they cannot divide."""

    class Dark(UnetModule):
        """Noise of each slice's own, beside a bright square."""

        def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            result: dict[str, Any] = super().validation_step(batch, batch_idx)
            for i, number in enumerate(result["slice_num"].tolist()):
                target = torch.rand(32, 32, generator=torch.Generator().manual_seed(number))
                target[:16, :16] += 100
                result["target"][i], result["output"][i] = target, (2 + number) * target
            return result

    batches = list(make_data(small_dataset).val_dataloader())
    logged = []
    for given in (batches, [*batches, batches[0]]):
        unet = Dark(chans=4, num_pool_layers=2, num_log_images=0)
        module = BandingModule(unet, adversary_chans=4, num_log_images=0)
        loader: DataLoader = DataLoader(given, batch_size=None)  # type: ignore[arg-type]
        (measured,) = make_trainer(tmp_path).validate(module, loader, verbose=False)
        logged.append([measured["banding_score"], measured["banding_energy"]])
    assert logged[0] == logged[1]


def test_volumes_without_low_signal_are_left_out_and_named(
    small_dataset: Path, tmp_path: Path
) -> None:
    class Dark(UnetModule):
        """Noise beside a bright square in the volumes that are named, bright noise elsewhere."""

        names: tuple[str, ...] = ()

        def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            result: dict[str, Any] = super().validation_step(batch, batch_idx)
            generator = torch.Generator().manual_seed(0)
            for i, name in enumerate(result["fname"]):
                target = 1 + torch.rand(32, 32, generator=generator)
                if name in self.names:
                    target[:16, :16] += 100
                result["target"][i], result["output"][i] = target, 2 * target
            return result

    for names, left in ((("c.h5", "d.h5"), []), (("d.h5",), ["c.h5"]), ((), ["c.h5", "d.h5"])):
        unet = Dark(chans=4, num_pool_layers=2, num_log_images=0)
        unet.names = names
        module = BandingModule(unet, adversary_chans=4, num_log_images=0)
        trainer = make_trainer(tmp_path)
        (logged,) = trainer.validate(module, make_data(small_dataset), verbose=False)
        assert module.unmeasured == left
        if names:
            assert logged["banding_energy"] == pytest.approx(4, rel=1e-4)
            assert 0 < abs(logged["banding_score"]) < 0.5
        else:
            assert math.isnan(logged["banding_energy"]) and math.isnan(logged["banding_score"])


def test_labels() -> None:
    rotated = torch.tensor([True, False])
    assert wanted_guess(rotated, "uncertain").tolist() == [[0.5], [0.5]]
    assert wanted_guess(rotated, "flipped").tolist() == [[0.0], [1.0]]


def test_the_adversary_is_told_the_truth(batches: DataLoader, tmp_path: Path) -> None:
    """A constant guess g costs the adversary softplus(-g) for turned samples, else softplus(g)."""
    module = make_module(penalty_weight=0.0)
    assert module.adversary is not None
    for member in module.adversary.members:
        assert isinstance(member, OrientationDiscriminator)
        torch.nn.init.zeros_(member.logit.weight)
        torch.nn.init.constant_(member.logit.bias, 2.0)
    images = torch.rand(3, 16, 16)
    with pytest.warns(UserWarning, match="trainer. reference is not registered"):
        for rotated, expected in ((True, -2.0), (False, 2.0)):
            loss, _ = module.adversary_loss(images, torch.full((3,), rotated))
            softplus = torch.nn.functional.softplus(torch.tensor(expected))
            torch.testing.assert_close(loss.detach(), softplus)


def test_reconstruction_loss_is_that_of_the_host(batches: DataLoader) -> None:
    """1 - SSIM with fastMRI's loss in the data's units, and 0.01 L1 relative to the maximum."""
    from fastmri.losses import SSIMLoss

    module = make_module(adversary_weight=0.0)
    batch = next(iter(batches))
    result = module.reconstructor.validation_step(batch.sample, 0)
    output, target = result["output"][:, None].double(), result["target"][:, None].double()
    scale = result["max_value"].double()
    expected = SSIMLoss().double()(output, target, scale)
    expected = expected + 0.01 * ((output - target).abs() / scale[:, None, None, None]).mean()
    with pytest.warns(UserWarning, match="trainer. reference is not registered"):
        loss, _ = module.reconstructor_loss(batch, 0)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-3)


def test_the_released_units_of_l1(batches: DataLoader) -> None:
    """The data's own: 0.01 L1 of images of 1e-4 are next to nothing beside SSIM."""
    target = 1e-4 * torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0))
    output, maximum = target + 1e-5, target.amax(dim=(1, 2))
    relative, absolute = (
        float(make_module(l1_units=units)._ssim_and_l1(output, target, maximum))
        for units in ("maximum", "data")
    )
    l1 = 0.01 * (output - target).abs()
    expected = float((l1 / maximum[:, None, None]).mean() - l1.mean())
    assert relative - absolute == pytest.approx(expected, rel=1e-3)


def test_images_in_three_channels_have_the_released_penalty() -> None:
    """Each channel's slope is squared by itself, in float64 against finite differences."""
    torch.manual_seed(0)
    adversary = OrientationAdversary(chans=2, in_chans=3).double()
    module = make_module(adversary_chans=2, adversary_in_chans=3)
    images = torch.rand(1, 16, 16)
    seen = module._seen(images)
    assert seen.shape == (1, 3, 16, 16)
    torch.testing.assert_close(seen[:, 0], standardise(images))
    seen = seen.double()
    _, penalty = gradient_penalty(adversary, seen)
    step, total = 1e-6, 0.0
    with torch.no_grad():
        for place in itertools.product(range(3), range(16), range(16)):
            shift = torch.zeros_like(seen)
            shift[(0, *place)] = step
            slope = (adversary(seen + shift) - adversary(seen - shift)) / (2 * step)
            total += float(slope.square().sum())
    assert float(penalty.detach()) == pytest.approx(total, rel=1e-5)


def test_learning_rates_fall_and_there_may_be_no_adversary(
    small_dataset: Path, tmp_path: Path
) -> None:
    for settings, rates in (
        ({"lr_step_size": 2}, [1e-6, 1e-6]),
        ({"lr_step_size": 2, "num_adversaries": 0, "warmup_epochs": 1}, [1e-6]),
        ({"num_adversaries": 0}, [1e-4]),
    ):
        module = make_module(**settings)
        start = {name: value.clone() for name, value in module.state_dict().items()}
        trainer = make_trainer(tmp_path, max_epochs=4, limit_train_batches=1, limit_val_batches=0)
        trainer.fit(module, make_data(small_dataset))
        found = [each.param_groups[0]["lr"] for each in trainer.optimizers]
        assert found == pytest.approx(rates)
        assert any(not torch.equal(module.state_dict()[name], start[name]) for name in start)
        assert (module.adversary is None) == (len(rates) < 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"loss": "l2"}, "loss='l2'"), ({"lr": -1.0}, "lr=-1.0: expected 0 or more")],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_module(**settings)


def test_the_loss_is_the_same_under_autocast() -> None:
    """SSIM's variances are differences of nearly equal numbers: bfloat16 would lose them."""
    module = make_module()
    generator = torch.Generator().manual_seed(0)
    target = 1e-4 * torch.rand(2, 32, 32, generator=generator)
    output = target + 1e-6 * torch.randn(2, 32, 32, generator=generator)
    maximum = target.amax(dim=(1, 2))
    reference = module._ssim_and_l1(output, target, maximum)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(module._ssim_and_l1(output, target, maximum), reference)
