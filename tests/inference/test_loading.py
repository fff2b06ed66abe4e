"""Models from checkpoints and exported weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from fastmri.data import SliceDataset
from fastmri.data.subsample import RandomMaskFunc
from fastmri.data.transforms import UnetDataTransform, UnetSample, VarNetSample
from fastmri.pl_modules import MriModule
from safetensors.torch import save_file

import fastmri_clgnet
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.export import main as export
from fastmri_clgnet.inference.export import export as write_weights
from fastmri_clgnet.inference.loading import MODEL_KEY, read_model
from fastmri_clgnet.inference.submission import weights_digest
from fastmri_clgnet.pl_modules import CLGNetModule, load_module
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.training.checkpoints import checked
from tests.test_readme import python_block


def best(run: Path) -> Path:
    return run / "checkpoints" / "best.ckpt"


def test_checkpoint_and_export_give_the_same_network(
    small_run: Path, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export([str(best(small_run)), str(tmp_path / "a" / "weights.v1")]) == 0
    printed = capsys.readouterr().out
    for suffix in (".safetensors", ".json"):
        assert str(tmp_path / "a" / f"weights.v1{suffix}") in printed
    exported = tmp_path / "a" / "weights.v1.safetensors"
    models = [
        fastmri_clgnet.load(path)
        for path in (best(small_run), str(exported), exported.with_suffix(".json"))
    ]
    sample = SliceDataset(
        small_dataset / "singlecoil_val",
        "singlecoil",
        UnetDataTransform("singlecoil", RandomMaskFunc([0.08], [4])),
    )[0]
    with torch.no_grad():
        outputs = [model(sample.image[None]) for model in models]
    assert outputs[0].shape == sample.image[None].shape
    assert not torch.equal(outputs[0], sample.image[None])
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    assert not any(model.training for model in models)
    digests = {weights_digest(read_model(path).state) for path in (best(small_run), exported)}
    assert len(digests) == 1
    # the weights alone: no optimizer
    assert exported.stat().st_size < best(small_run).stat().st_size / 2


def test_digest_tells_weights_apart() -> None:
    state = {"a": torch.arange(4.0)}
    other = {"a": torch.tensor([0.0, 1, 2, 4])}
    assert weights_digest(state) != weights_digest(other)
    assert weights_digest(state) != weights_digest({"b": torch.arange(4.0)})
    assert weights_digest(state) != weights_digest({"a": torch.arange(4.0).reshape(2, 2)})
    assert weights_digest(state) == weights_digest({"a": torch.arange(4.0).clone()})


def test_weights_of_a_training_that_diverged_are_refused(tmp_path: Path) -> None:
    module = CLGNetModule(chans=4, num_groups=1, num_blocks=1)
    name, value = next(iter(module.state_dict().items()))
    value.view(-1)[0] = float("nan")
    path = tmp_path / "model.ckpt"
    contents = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    torch.save({**contents, MODEL_KEY: "clgnet"}, path)
    key = name.removeprefix("clgnet.")
    with pytest.raises(InputError, match=rf"model\.ckpt: .*{key} holds NaN or Inf"):
        fastmri_clgnet.load(path)


SMALL: dict[str, dict[str, Any]] = {
    "clgnet": {"chans": 4, "num_groups": 1, "num_blocks": 1, "variant": "wo_sfl"},
    "clgnet_dc": {"chans": 4, "num_groups": 1, "num_blocks": 1, "residual": True},
    "clgvarnet": {
        "num_cascades": 1, "chans": 4, "num_groups": 1, "num_blocks": 1, "sens_chans": 2,
        "sens_pools": 1, "hard_dc": True,
    },
    "unet": {"chans": 3, "num_pool_layers": 2, "residual": True},
    "varnet": {"num_cascades": 2, "chans": 3, "pools": 2, "challenge": "singlecoil"},
}  # fmt: skip


def batch(on_kspace: bool, n_coils: int) -> Any:
    """Two slices as the host's transforms give them, of images that are narrower than asked."""
    mask = torch.zeros(2, 1, 1, 24, 1, dtype=torch.bool)
    mask[..., 10:14, :] = mask[..., ::3, :] = True
    kspace = 1e-5 * torch.randn(2, n_coils, 32, 24, 2) * mask
    if on_kspace:
        sizes = [torch.tensor([20, 20]), torch.tensor([26, 26])]
        names, slices = ["a.h5", "a.h5"], torch.tensor([0, 1])
        low = torch.tensor([4, 4])
        return VarNetSample(kspace, mask, low, torch.zeros(2), names, slices, torch.ones(2), sizes)
    image, one = torch.randn(2, 32, 24), torch.tensor([1e-5, 2e-5])
    return UnetSample(image, image, one, 2 * one, ["a.h5", "a.h5"], torch.tensor([0, 1]), one)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_rebuilt_from_a_checkpoint(model: str, tmp_path: Path) -> None:
    """Its network, without Lightning, gives what the module gives; and a module is made of it."""
    torch.manual_seed(0)
    choice = MODELS[model]
    arguments = {**choice.fixed, **SMALL.get(model, {})}
    module = choice.module(**arguments).eval()
    path, saved = tmp_path / "model.ckpt", dict(module.hparams)
    contents = {"state_dict": module.state_dict(), "hyper_parameters": saved, MODEL_KEY: model}
    torch.save(contents, path)
    network = fastmri_clgnet.load(path)
    assert not isinstance(network, pl.LightningModule)
    assert (network.model_name, module.model_name) == (model, model)
    assert not network.training
    several = choice.multicoil and arguments.get("challenge") != "singlecoil"
    sample = batch(network.on_kspace, 3 if several else 1)
    with torch.inference_mode():
        expected = torch.from_numpy(module.test_step(sample, 0)["output"])
        assert torch.equal(network.reconstruct(sample), expected)
        given = sample[:2] if network.on_kspace else sample[:1]
        assert torch.equal(network(*given), module(*given))
    again = load_module(path)
    assert type(again) is choice.module
    assert dict(again.hparams) == dict(module.hparams)
    assert export([str(path), str(tmp_path / "out")]) == 0
    for other in (network, again, fastmri_clgnet.load(tmp_path / "out.json")):
        assert other.state_dict().keys() == module.state_dict().keys()
        assert weights_digest(other.state_dict()) == weights_digest(module.state_dict())


def test_a_subclass_is_another_model() -> None:
    class Other(CLGNetModule):
        pass

    assert (CLGNetModule.model_name, Other.model_name) == ("clgnet", None)


@pytest.mark.parametrize("named", [True, False])
def test_an_error_names_no_argument_of_another_model(named: bool, tmp_path: Path) -> None:
    """A VarNet's file for a CLGNet: not the spectrum that the VarNet has not got."""
    varnet = MODELS["varnet"].module(num_cascades=2, chans=2, pools=2, sens_chans=2, sens_pools=2)
    contents = {"state_dict": varnet.state_dict(), "hyper_parameters": dict(varnet.hparams)}
    torch.save({**contents, **({MODEL_KEY: "varnet"} if named else {})}, tmp_path / "a.ckpt")
    with pytest.raises(
        InputError, match=r"of the model varnet, not of clgnet\. Give varnet"
    ) as error:
        checked(tmp_path / "a.ckpt", CLGNetModule(chans=4, num_groups=1, num_blocks=1))
    assert "spectrum" not in str(error.value)
    with pytest.raises(InputError, match="trained with num_cascades 2, pools 2, chans 2") as error:
        checked(tmp_path / "a.ckpt", MODELS["varnet"].module(num_cascades=1))
    assert "spectrum" not in str(error.value)


def test_checkpoint_says_its_model(small_run: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(best(small_run), weights_only=True)
    assert checkpoint[MODEL_KEY] == "clgnet"
    with pytest.raises(InputError, match="of the model clgnet, not of unet"):
        fastmri_clgnet.load(best(small_run), model="unet")
    del checkpoint[MODEL_KEY]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    with pytest.raises(InputError, match="does not say which model it is of; name it"):
        fastmri_clgnet.load(tmp_path / "old.ckpt")
    fastmri_clgnet.load(tmp_path / "old.ckpt", model="clgnet")
    with pytest.raises(InputError, match="does not fit the model unet"):
        fastmri_clgnet.load(tmp_path / "old.ckpt", model="unet")


def test_an_export_replaces_both_files_or_none(tmp_path: Path) -> None:
    write_weights("brain-4x", tmp_path / "a")
    before = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.json").unlink()
    (tmp_path / "a.json").mkdir()
    with pytest.raises(InputError, match=r"a\.json: cannot be written"):
        write_weights("brain-varnet", tmp_path / "a")
    assert (tmp_path / "a.safetensors").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "a.safetensors"}


def test_bad_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, arguments = tmp_path / "a.safetensors", tmp_path / "a.json"
    with pytest.raises(InputError, match=r"a\.json: no such file"):
        fastmri_clgnet.load(weights)
    arguments.write_text("[1]")
    with pytest.raises(InputError, match=r"a\.safetensors: no such file"):
        fastmri_clgnet.load(arguments)
    weights.write_bytes(b"noise")
    with pytest.raises(InputError, match=r"a\.json: expected model and arguments"):
        fastmri_clgnet.load(weights)
    arguments.write_text(json.dumps({"model": "gan", "arguments": {}}))
    with pytest.raises(InputError, match=r"a\.safetensors: not a safetensors file"):
        fastmri_clgnet.load(weights)
    save_file({"a": torch.zeros(1)}, weights)
    with pytest.raises(InputError, match="a model 'gan' that this version does not know"):
        fastmri_clgnet.load(weights)
    arguments.write_text(json.dumps({"model": "clgnet", "arguments": {"depth": 3}}))
    with pytest.raises(InputError, match="does not fit the model clgnet"):
        fastmri_clgnet.load(weights)
    torch.save({"state_dict": {}}, tmp_path / "b.ckpt")
    with pytest.raises(InputError, match=r"b\.ckpt: holds no weights with their model's arguments"):
        fastmri_clgnet.load(tmp_path / "b.ckpt")
    assert export([str(tmp_path / "b.ckpt"), str(tmp_path / "c")]) == 1
    assert "error: " in capsys.readouterr().err
    assert not list(tmp_path.glob("c*"))


def test_readme_snippet(
    small_run: Path, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The documentation's lines of Python, as they stand there, on the small data set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DATA").symlink_to(small_dataset)
    (tmp_path / "clgnet").mkdir()
    (tmp_path / "clgnet" / "singlecoil").symlink_to(small_run)
    names: dict[str, torch.Tensor] = {}
    exec(python_block("load"), names)
    assert names["image"].shape == (32, 32)
    assert torch.isfinite(names["image"]).all()


def stored(tmp_path: Path, model: str, arguments: dict[str, Any]) -> tuple[Path, MriModule]:
    """A checkpoint as earlier versions wrote it, and the module it holds."""
    torch.manual_seed(0)
    module = MODELS[model].module(**arguments)
    later = ("spectrum", "sens_residual", "residual")
    saved = {name: value for name, value in module.hparams.items() if name not in later}
    contents = {"state_dict": module.state_dict(), "hyper_parameters": saved, MODEL_KEY: model}
    torch.save(contents, tmp_path / "old.ckpt")
    return tmp_path / "old.ckpt", module


@pytest.mark.parametrize("variant", ["clgnet", "wo_wavelet", "wo_sfl"])
def test_files_without_spectrum_have_the_linear_layer(tmp_path: Path, variant: str) -> None:
    arguments = {"chans": 4, "num_groups": 1, "num_blocks": 1, "variant": variant}
    path, module = stored(tmp_path, "clgnet", {**arguments, "spectrum": "linear"})
    image = torch.randn(1, 20, 18)
    assert torch.equal(fastmri_clgnet.load(path)(image), module.eval()(image))
    assert export([str(path), str(tmp_path / "out")]) == 0
    assert torch.equal(fastmri_clgnet.load(tmp_path / "out.json")(image), module(image))
    other = MODELS["clgnet"].module(**arguments)
    other.load_state_dict(module.state_dict())
    assert not torch.allclose(other.eval()(image), module(image))
    with pytest.raises(InputError, match=r"old\.ckpt: .*trained with spectrum linear"):
        checked(path, other)
    checked(path, module)


@pytest.mark.parametrize("model", ["clgnet", "unet"])
def test_the_input_is_added_where_a_file_says_so(model: str, tmp_path: Path) -> None:
    small = {"chans": 4, "num_groups": 1, "num_blocks": 1, "spectrum": "linear"}
    arguments = small if model == "clgnet" else {"chans": 3}
    path, plain = stored(tmp_path, model, arguments)
    image = torch.randn(2, 32, 48)
    without = plain.eval()(image)
    assert torch.equal(fastmri_clgnet.load(path)(image), without)
    other = MODELS[model].module(**arguments, residual=True)
    other.load_state_dict(plain.state_dict())
    assert torch.equal(other.eval()(image), image + without)
    with pytest.raises(InputError, match="trained with residual False"):
        checked(path, other)
    torch.save({**torch.load(path), "hyper_parameters": dict(other.hparams)}, path)
    assert export([str(path), str(tmp_path / "out")]) == 0
    for file in (path, tmp_path / "out.json"):
        assert torch.equal(fastmri_clgnet.load(file)(image), image + without)


def test_files_without_sens_residual_have_the_hosts_sensitivities(tmp_path: Path) -> None:
    tiny = {"num_cascades": 1, "chans": 4, "num_groups": 1, "num_blocks": 1, "sens_chans": 2}
    arguments = {**tiny, "sens_pools": 1, "spectrum": "linear", "sens_residual": False}
    path, module = stored(tmp_path, "clgvarnet", arguments)
    mask = torch.zeros(1, 1, 1, 24, 1, dtype=torch.bool)
    mask[..., 10:14, :] = True
    kspace = torch.randn(1, 2, 20, 24, 2) * mask
    with torch.no_grad():
        for parameter in module.parameters():  # cascades that are zero see no sensitivities
            parameter.add_(0.05)
        torch.save({**torch.load(path), "state_dict": module.state_dict()}, path)
        expected = module.eval()(kspace, mask)
        assert torch.equal(fastmri_clgnet.load(path)(kspace, mask), expected)
        other = MODELS["clgvarnet"].module(**{**arguments, "sens_residual": True})
        other.load_state_dict(module.state_dict())
        assert not torch.allclose(other.eval()(kspace, mask), expected)
    with pytest.raises(InputError, match="trained with sens_residual False"):
        checked(path, other)


@pytest.mark.parametrize("model", ["clgnet", "unet"])
def test_modules_take_one_slice_and_say_their_shape(tmp_path: Path, model: str) -> None:
    path, _ = stored(tmp_path, model, {"chans": 4})
    module = fastmri_clgnet.load(path)
    image = torch.randn(2, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(module(image[0]), module(image)[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"\(batch, height, width\).* got \(2, 1, 32, 32\)"):
        module(image[:, None])
