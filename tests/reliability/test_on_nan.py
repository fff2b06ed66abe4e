"""NaN and Inf in training never reach the weights, wherever they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from fastmri.data.transforms import UnetSample
from fastmri.pl_modules import MriModule
from pytorch_lightning.plugins.precision import MixedPrecision
from torch.utils.data import DataLoader, default_collate

from fastmri_clgnet import CLGNetModule
from fastmri_clgnet.data.reference import ReferenceSample
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.models.fourier import to_image
from fastmri_clgnet.pl_modules import ComparisonModule
from fastmri_clgnet.training.on_nan import NanAction, OnNan

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step`:UserWarning")
SIZE = 20


def unet_sample(i: int, value: float = 0.0) -> UnetSample:
    """A random sample; `value` is added to a pixel of its image."""
    image, target = torch.randn(2, SIZE, SIZE, generator=torch.Generator().manual_seed(i))
    image[3, 4] += value
    one = torch.tensor(1.0)
    return UnetSample(image, target, one, one, f"{i}.h5", i, 1.0)


def kspace_sample(i: int, value: float = 0.0) -> ReferenceSample:
    """A random single-coil sample; `value` is added to a sample of its k-space."""
    generator = torch.Generator().manual_seed(i)
    kspace = torch.randn(1, SIZE, SIZE, 2, generator=generator)
    kspace[0, 3, 4] += value
    mask, target = torch.ones(1, 1, SIZE, 1, dtype=torch.bool), kspace[0].norm(dim=-1)
    own = kspace, mask, 4, target, f"{i}.h5", i, 1.0, (SIZE, SIZE)
    return ReferenceSample(*own, kspace, to_image(kspace))


class _SpoiledGradient(torch.autograd.Function):
    """The identity, except for its gradient."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient * ctx.factor, None


class SpoiledLoss:
    """The mean absolute error, spoiled if the target's first pixel is marked."""

    def __init__(self, loss: float = 1.0, gradient: float = 1.0) -> None:
        """Take the factors of loss and gradient."""
        self.factors = loss, gradient

    def __call__(
        self, output: torch.Tensor, target: torch.Tensor, undersampled: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compare."""
        value = (output - target).abs().mean()
        if target[0, 0, 0, 0] == 7:
            value = _SpoiledGradient.apply(value * self.factors[0], self.factors[1])
        return {"loss": value}


def marked(i: int) -> UnetSample:
    """A sample that `SpoiledLoss` spoils."""
    sample = unet_sample(i)
    sample.target[0, 0] = 7
    return sample


def fit(
    samples: Sequence[Any],
    action: NanAction = "stop",
    loss: SpoiledLoss | None = None,
    model: str = "clgnet",
    **options: Any,
) -> tuple[MriModule, OnNan]:
    """Train one epoch on the samples as batches of one or two, in their order."""
    torch.manual_seed(0)
    module: MriModule
    if model == "clgnet":
        module = CLGNetModule(chans=4, num_groups=1, num_blocks=1, lr=1e-2, loss=loss)
    else:
        module = ComparisonModule(model)  # type: ignore[arg-type]
    on_nan = OnNan(action)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[on_nan], **options,
    )  # fmt: skip
    batches = [default_collate(s if isinstance(s, list) else [s]) for s in samples]
    trainer.fit(module, DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    return module, on_nan


def assert_same_state(one: MriModule, other: MriModule) -> None:
    """All parameters and buffers are equal, and finite."""
    state = other.state_dict()
    for name, value in one.state_dict().items():
        assert torch.isfinite(value).all(), name
        assert torch.equal(value, state[name]), name


NAN, INF = float("nan"), float("inf")
CASES = {
    "NaN sample": (unet_sample(9, NAN), None, "step 2: 9.h5, slice 9: the sample holds NaN or Inf"),
    "Inf sample": (unet_sample(9, INF), None, "step 2: 9.h5, slice 9: the sample holds NaN or Inf"),
    "batch": (
        [unet_sample(8), unet_sample(9, NAN)], None, "step 2: 9.h5, slice 9: the sample holds NaN",
    ),
    "loss": (
        [marked(8), unet_sample(9)], SpoiledLoss(loss=INF),
        "step 2: NaN or Inf in the loss of 8.h5, slice 8; 9.h5, slice 9",
    ),
    "gradient": (
        marked(9), SpoiledLoss(gradient=NAN), "step 2: NaN or Inf in the gradient of 9.h5, slice 9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_stop_names_step_and_slice_and_skip_ignores_the_batch(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, loss, message = CASES[case]
    good = [unet_sample(0), unet_sample(1), unet_sample(2), unet_sample(3)]
    samples = [*good[:2], bad, *good[2:]]
    with pytest.raises(InputError, match=message):
        fit(samples, "stop", loss)
    skipped, on_nan = fit(samples, "skip", loss)
    assert on_nan.skipped == 1
    printed = capsys.readouterr().out
    assert f"Skipped {message}" in printed
    assert "Steps skipped for NaN or Inf: 1 (of 5)" in printed
    without, _ = fit(good, "stop", loss)
    assert_same_state(skipped, without)


def test_with_accumulated_gradients_the_whole_step_is_skipped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only the last of its batches is named."""
    good = [unet_sample(i) for i in range(4)]
    ends_with = "of up to 2 batches that end with"
    for pair, cause in (
        ([unet_sample(8), unet_sample(9, NAN)], "9.h5, slice 9: the sample holds NaN"),
        ([unet_sample(9, NAN), unet_sample(8)], f"NaN or Inf in the loss {ends_with} 8.h5, slice"),
    ):
        samples = [*good[:2], *pair, *good[2:]]
        with pytest.raises(InputError, match=f"step 1: {cause}"):
            fit(samples, accumulate_grad_batches=2)
        skipped, on_nan = fit(samples, "skip", accumulate_grad_batches=2)
        assert on_nan.skipped == 1
        without, _ = fit(good, accumulate_grad_batches=2)
        assert_same_state(skipped, without)
    # a loss of Inf whose gradients are finite
    samples = [good[0], marked(9)]
    for each, last in ((samples, "9.h5, slice 9"), (samples[::-1], "0.h5, slice 0")):
        with pytest.raises(InputError, match=f"step 0: NaN or Inf in the loss {ends_with} {last}"):
            fit(each, loss=SpoiledLoss(INF, 0.0), accumulate_grad_batches=2)


@pytest.mark.parametrize("model", ["cddn", "dccnn"])
def test_running_statistics_ignore_nan(model: str) -> None:
    good = [kspace_sample(i) for i in range(2)]
    skipped, on_nan = fit([good[0], kspace_sample(9, NAN), good[1]], "skip", model=model)
    assert on_nan.skipped == 1
    without, _ = fit(good, model=model)
    assert_same_state(skipped, without)


def test_an_epoch_with_every_step_skipped_is_an_error() -> None:
    with pytest.raises(InputError, match="all of its steps were skipped"):
        fit([unet_sample(i, NAN) for i in range(3)], "skip")
    with pytest.raises(ValueError, match="'leave': expected stop or skip"):
        OnNan("leave")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*torch.cuda.amp.GradScaler")  # Lightning 2.2
def test_overflowing_gradients_are_left_to_the_gradient_scaler() -> None:
    """In 16-mixed it skips these steps and lowers its scale; a NaN loss is treated differently."""
    samples = [marked(i) for i in range(4)]

    def mixed() -> MixedPrecision:
        return MixedPrecision("16-mixed", "cpu")

    # 65536 x 1e36 is no float32
    module, on_nan = fit(samples, "stop", SpoiledLoss(gradient=1e36), plugins=[mixed()])
    assert on_nan.skipped == 0
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    with pytest.raises(InputError, match=r"step 0: NaN or Inf in the loss of 0.h5, slice 0"):
        fit(samples, "stop", SpoiledLoss(loss=NAN), plugins=[mixed()])
    good = [unet_sample(5), unet_sample(6)]
    skipped, on_nan = fit(
        [good[0], samples[0], good[1]], "skip", SpoiledLoss(loss=NAN), plugins=[mixed()]
    )
    assert on_nan.skipped == 1
    assert all(torch.isfinite(value).all() for value in skipped.state_dict().values())


def test_nan_weights_are_not_saved_and_the_count_goes_on(tmp_path: Path) -> None:
    module, on_nan = fit([unet_sample(0), unet_sample(1, NAN)], "skip")
    trainer = module.trainer
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path)
    before = path.read_bytes()
    again = OnNan("skip")
    (saved,) = (
        state for key, state in torch.load(path)["callbacks"].items() if key.startswith("OnNan")
    )
    again.load_state_dict(saved)
    assert again.skipped == on_nan.skipped == 1
    with torch.no_grad():
        next(module.parameters()).view(-1)[0] = NAN
    with pytest.raises(InputError, match="step 2: the weights hold NaN or Inf, and are not saved"):
        trainer.save_checkpoint(path)
    assert path.read_bytes() == before
