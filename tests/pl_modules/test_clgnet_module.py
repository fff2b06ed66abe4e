"""CLGNetModule: registration, arguments, optimizer, a replaceable loss."""

from __future__ import annotations

import argparse

import fastmri.models
import fastmri.pl_modules
import pytest
import torch
from fastmri.data.transforms import UnetSample, VarNetSample

from fastmri_clgnet import CLGNet, CLGNetModule
from fastmri_clgnet.data.transforms import collate_one_size
from fastmri_clgnet.errors import InputError
from tests.helpers import assert_gradients_reach_all


def sample(size: int = 20, name: str = "a.h5") -> UnetSample:
    return UnetSample(
        torch.randn(size, size), torch.randn(size, size), torch.tensor(2.0), torch.tensor(3.0),
        name, 1, 10.0,
    )  # fmt: skip


def small_module(**options: object) -> CLGNetModule:
    return CLGNetModule(chans=4, num_groups=1, num_blocks=1, **options)  # type: ignore[arg-type]


def test_is_registered_with_fastmri() -> None:
    from fastmri.models import CLGNet as registered
    from fastmri.pl_modules import CLGNetModule as registered_module

    assert registered is CLGNet
    assert registered_module is CLGNetModule
    assert fastmri.models.Unet.__module__ == "fastmri.models.unet"
    assert fastmri.pl_modules.UnetModule.__module__ == "fastmri.pl_modules.unet_module"


def test_optimizer_has_the_papers_defaults() -> None:
    optimizer = CLGNetModule().configure_optimizers()
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["lr"] == 1e-4
    (optimizer,), (schedule,) = small_module(lr=0.5, lr_step_size=2).configure_optimizers()
    for _ in range(2):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def test_loss_can_be_replaced_and_its_parts_are_logged() -> None:
    module = small_module(
        loss=lambda output, target, undersampled: {
            "loss": (output - target).square().mean(),
            "distance": (output - undersampled).abs().mean(),
        }
    )
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign]
    batch = collate_one_size([sample(), sample()])
    loss = module.training_step(batch, 0)
    expected = (module(batch.image) - batch.target).square().mean()
    torch.testing.assert_close(loss, expected)
    assert logged.keys() == {"train_loss", "train_loss/distance"}
    loss.backward()
    assert_gradients_reach_all(module)


def test_outputs_are_in_the_datas_units() -> None:
    module = small_module()
    batch = collate_one_size([sample(), sample(name="b.h5")])
    with torch.no_grad():
        validated, tested = module.validation_step(batch, 3), module.test_step(batch, 3)
    torch.testing.assert_close(validated["target"], batch.target * 3 + 2)
    torch.testing.assert_close(validated["output"], module(batch.image) * 3 + 2)
    torch.testing.assert_close(torch.from_numpy(tested["output"]), validated["output"])
    assert list(tested["fname"]) == ["a.h5", "b.h5"]


def test_mixed_sizes_get_a_clear_error() -> None:
    with pytest.raises(InputError, match=r"a.h5, b.h5.*use batch size 1"):
        collate_one_size([sample(), sample(24, "b.h5")])
    kspace = [
        VarNetSample(*torch.zeros(4, 1), f"{i}.h5", 0, 1.0, (32, columns))
        for i, columns in enumerate((32, 24))
    ]
    with pytest.raises(InputError, match=r"\(crop_size of 0.h5, 1.h5\).*use batch size 1"):
        collate_one_size(kspace)


def test_model_specific_args() -> None:
    parser = CLGNetModule.add_model_specific_args(argparse.ArgumentParser(add_help=False))
    arguments = vars(parser.parse_args(["--chans", "4", "--num_blocks", "1", "--lr", "0.1"]))
    module = CLGNetModule(**arguments)
    assert module.hparams["lr"] == 0.1
    assert module.hparams["chans"] == 4
    assert arguments["lr_step_size"] is None
    assert arguments["residual"] is False
    assert parser.parse_args(["--residual", "True"]).residual is True
    assert parser.parse_args(["--residual", "False"]).residual is False
    for wrong in (["--residual", "maybe"], ["--variant", "best"]):
        with pytest.raises(SystemExit):
            parser.parse_args(wrong)
    assert "PyWavelets name" in parser.format_help()
