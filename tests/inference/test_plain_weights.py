"""Plain state dictionaries that fastMRI's own classes write, as its published weights are."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import fastmri.pl_modules
import h5py
import numpy as np
import pytest
import torch
from fastmri.data import SliceDataset
from fastmri.data.transforms import UnetDataTransform, VarNetDataTransform, center_crop
from fastmri.models import Unet, VarNet
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from fastmri_clgnet import load
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.export import export
from fastmri_clgnet.inference.plain_weights import tell_network
from fastmri_clgnet.models import CLGVarNet
from fastmri_clgnet.pl_modules import VarNetModule
from fastmri_clgnet.reconstruct import main as reconstruct

UNETS: list[dict[str, Any]] = [
    {"in_chans": 1, "out_chans": 1, "chans": 3, "num_pool_layers": 1},
    {"in_chans": 1, "out_chans": 1, "chans": 4, "num_pool_layers": 3},
    {"in_chans": 2, "out_chans": 5, "chans": 2, "num_pool_layers": 2},
]
VARNETS: list[dict[str, Any]] = [
    {"num_cascades": 1, "chans": 3, "pools": 1, "sens_chans": 2, "sens_pools": 3},
    {"num_cascades": 11, "chans": 2, "pools": 2, "sens_chans": 4, "sens_pools": 1},
]
PREFIXES = [
    "", "module.", "model.", "module.model.", "model.module.", "_orig_mod.", "module._orig_mod.",
    "_orig_mod.module.model.",
]  # fmt: skip


def saved(path: Path, network: nn.Module, prefix: str = "") -> Path:
    """The network's state dictionary as `torch.save` writes it, with a prefix to each name."""
    state = network.state_dict()
    if prefix:
        state = OrderedDict((prefix + name, values) for name, values in state.items())
    torch.save(state, path)
    return path


def a_slice(n_coils: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Masked k-space and mask of one random slice."""
    mask = torch.zeros(1, 1, 1, 40, 1, dtype=torch.bool)
    mask[..., 18:22, :] = mask[..., ::4, :] = True
    return 1e-5 * torch.randn(1, n_coils, 32, 40, 2) * mask, mask


@pytest.mark.parametrize("sizes", UNETS)
def test_a_unet_of_any_size(sizes: dict[str, Any], tmp_path: Path) -> None:
    host = Unet(**sizes).eval()
    image = torch.randn(2, sizes["in_chans"], 32, 48)
    for prefix in [*PREFIXES, "unet.", "model.unet.", "module.unet."]:
        path = saved(tmp_path / "a.pt", host, prefix)
        for model in (None, "unet"):
            module = load(path, model=model)
            assert {name: module.arguments[name] for name in sizes} == sizes
            with torch.no_grad():
                assert torch.equal(module.unet(image), host(image))
                if sizes["in_chans"] == sizes["out_chans"] == 1:
                    assert torch.equal(module(image[:, 0]), host(image)[:, 0])


@pytest.mark.parametrize("sizes", VARNETS)
def test_a_varnet_of_any_size(sizes: dict[str, Any], tmp_path: Path) -> None:
    host = VarNet(**sizes).eval()
    kspace, mask = a_slice()
    with torch.no_grad():
        expected = host(kspace, mask)
        for prefix in [*PREFIXES, "varnet.", "model.varnet.", "module.varnet."]:
            path = saved(tmp_path / "a.pt", host, prefix)
            for model in (None, "varnet"):
                module = load(path, model=model)
                assert {name: module.arguments[name] for name in sizes} == sizes
                assert torch.equal(module(kspace, mask), expected)


def test_the_published_sizes() -> None:
    """Without their memory: the U-Net has 124 million parameters."""
    with torch.device("meta"):
        unet = Unet(1, 1, chans=256, num_pool_layers=4).state_dict()
        varnet = VarNet(num_cascades=12, pools=4, chans=18, sens_pools=4, sens_chans=8).state_dict()
    model, arguments, state = tell_network(unet)
    assert (model, arguments["chans"], arguments["num_pool_layers"]) == ("unet", 256, 4)
    assert len(state) == len(unet)
    model, arguments, state = tell_network(varnet)
    assert model == "varnet"
    assert arguments == {
        "num_cascades": 12, "pools": 4, "chans": 18, "sens_pools": 4, "sens_chans": 8,
        "challenge": "multicoil",
    }  # fmt: skip


def test_the_hosts_lightning_modules(tmp_path: Path) -> None:
    """Their state dictionaries by themselves, and what Lightning's checkpoints say of them."""
    varnet = fastmri.pl_modules.VarNetModule(**VARNETS[0]).eval()
    kspace, mask = a_slice()
    with torch.no_grad():
        expected = varnet(kspace, mask, 4)
        for prefix in ("", "model.", "module."):
            path = saved(tmp_path / "a.pt", varnet, prefix)
            assert torch.equal(load(path)(kspace, mask, 4), expected)
        contents = {"state_dict": varnet.state_dict(), "hyper_parameters": dict(varnet.hparams)}
        torch.save(contents, tmp_path / "b.ckpt")
        for model in (None, "varnet"):
            assert torch.equal(load(tmp_path / "b.ckpt", model=model)(kspace, mask, 4), expected)


def test_a_varnet_of_one_coil_has_no_sensitivity_model(tmp_path: Path) -> None:
    module = VarNetModule(num_cascades=2, chans=2, pools=1, challenge="singlecoil").eval()
    kspace, mask = a_slice(n_coils=1)
    loaded = load(saved(tmp_path / "a.pt", module.varnet))
    assert loaded.arguments["challenge"] == "singlecoil"
    with torch.no_grad():
        assert torch.equal(loaded(kspace, mask), module(kspace, mask))


def spoiled(network: nn.Module, name: str, values: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """A state dictionary with one tensor that is another, or that is missing."""
    state = {**network.state_dict()}
    state.pop(name, None)
    return state if values is None else {**state, name: values}


def test_what_is_neither_is_refused_in_one_sentence(tmp_path: Path) -> None:
    unet, varnet = Unet(1, 1, 2, 1), VarNet(2, 2, 1, 2, 1)
    layer = "conv.layers.0.weight"
    refused: dict[str, tuple[object, str]] = {
        "wrapper": ({"classy_model": unet.state_dict(), "epoch": 3}, "of classy_model, epoch"),
        "checkpoint of fastMRI before 2020": (
            {"epoch": 1, "args": {}, "model": unet.state_dict(), "optimizer": {}},
            "of epoch, args, model, optimizer",
        ),
        "other network": (nn.Linear(2, 2).state_dict(), "2 tensors such as weight, which is no"),
        "CLGVarNet": (
            CLGVarNet(1, 4, 1, 1, sens_chans=2, sens_pools=1).state_dict(),
            "cascades.0.dc_weight|sens_net.*which is no layout",
        ),
        "U-Net of another layout": (
            {"down_sample_layers.0.layers.0.weight": torch.zeros(2, 1, 3, 3)},
            "1 tensors such as down_sample_layers.0.*which is no layout",
        ),
        "missing": (spoiled(unet, layer, None), f"num_pool_layers 1, but missing: {layer};"),
        "surplus": (
            {**unet.state_dict(), **{f"head.{i}": torch.zeros(3) for i in range(5)}},
            r"but left over: head\.0, head\.1, head\.2 and 2 more;",
        ),
        "renamed": (
            {**spoiled(unet, layer, None), "a.b": torch.zeros(3)},
            rf"but missing: {layer}; left over: a\.b;",
        ),
        "other shape": (
            spoiled(unet, layer, torch.zeros(5, 2, 3, 3)),
            f"but of another shape: {layer} 5x2x3x3 instead of 4x2x3x3",
        ),
        "cascades of two sizes": (
            spoiled(varnet, "cascades.1.dc_weight", torch.zeros(2)), "dc_weight 2 instead of 1"
        ),
        "names that are no text": ({3: torch.zeros(1)}, "names are no text"),
        "names of two lines": ({"a\nb\x1b[1m": torch.zeros(1)}, r"such as ab\[1m, which"),
        "number": ({"down_sample_layers.0.layers.0.weight": torch.tensor(1.0)}, "no layout"),
    }  # fmt: skip
    path = tmp_path / "weights.pt"
    for contents, text in refused.values():
        torch.save(contents, path)
        with pytest.raises(InputError, match=rf"weights\.pt: .*{text}") as error:
            load(path)
        message = str(error.value)
        assert "\n" not in message
        assert message.endswith("state dictionary of fastMRI's Unet or VarNet")
    saved(path, unet)
    for model in ("varnet", "clgnet"):
        with pytest.raises(InputError, match=f"of the model unet, not of {model}"):
            load(path, model=model)


def compiled(network: nn.Module) -> Any:
    """What torch.compile makes of a network, of a type that torch does not say."""
    return torch.compile(network)


def test_compiled_and_parallel_parts_of_a_network(tmp_path: Path) -> None:
    """As torch.compile and DataParallel name them, not as this package thinks that they do."""
    varnet = VarNet(**VARNETS[0]).eval()
    wrapped = VarNet(**VARNETS[0])
    wrapped.load_state_dict(varnet.state_dict())
    wrapped.sens_net = compiled(wrapped.sens_net)
    wrapped.cascades[0].model = nn.DataParallel(wrapped.cascades[0].model)
    whole = compiled(nn.DataParallel(wrapped))
    names = set(whole.state_dict())
    assert "_orig_mod.module.cascades.0.model.module.unet.up_conv.0.1.bias" in names
    assert any(name.startswith("_orig_mod.module.sens_net._orig_mod.") for name in names)
    kspace, mask = a_slice()
    with torch.no_grad():
        loaded = load(saved(tmp_path / "a.pt", whole))
        assert torch.equal(loaded(kspace, mask), varnet(kspace, mask))


OLD: dict[str, dict[Any, Any]] = {
    "namespace": {"hyper_parameters": argparse.Namespace(chans=2)},
    "callback": {"callbacks": {ModelCheckpoint: {"best_model_path": "best.ckpt"}}},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", [*OLD, "module"])
def test_what_torch_refuses_is_made_plain_by_two_lines(
    kind: str, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message's lines, run as they are by a torch that loads such files."""
    unet = Unet(1, 1, 2, 1)
    contents = unet if kind == "module" else {"state_dict": unet.state_dict(), **OLD[kind]}
    torch.save(contents, tmp_path / "old.ckpt", _use_new_zipfile_serialization=not legacy)
    held = {"namespace": "argparse.Namespace", "module": "fastmri.models.unet.Unet"}
    with pytest.raises(InputError, match=r"old\.ckpt: cannot be loaded safely") as error:
        load(tmp_path / "old.ckpt")
    first, *lines = str(error.value).splitlines()
    assert f"since it holds Python's {held.get(kind, 'pytorch_lightning.callbacks')}" in first
    assert len(lines) == 2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0")  # set back at the end
    with pytest.warns(UserWarning, match="forcing weights_only=False"):
        exec("\n".join(line.strip() for line in lines))
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    loaded = load("old_state_dict.pt")
    for name, values in unet.state_dict().items():
        assert torch.equal(loaded.unet.state_dict()[name], values)


def images(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        found: np.ndarray = file["reconstruction"][()]
    return found


@pytest.mark.parametrize("model", ["unet", "varnet"])
def test_reconstruct_takes_them(
    model: str, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The test volume as the host's transform and network give it; and export hands them on."""
    folder = small_dataset / "multicoil_test"
    host = (Unet(1, 1, 2, 2) if model == "unet" else VarNet(**VARNETS[0])).eval()
    path = saved(tmp_path / "brain_leaderboard_state_dict.pt", host)
    flags = ["--checkpoint", str(path), "--data_path", str(folder), "--device", "cpu"]
    for out, more in (("a", []), ("b", ["--model", model])):
        assert reconstruct([*flags, "--output_path", str(tmp_path / out), *more]) == 0
    expected = []
    transform = UnetDataTransform("multicoil") if model == "unet" else VarNetDataTransform()
    for sample in SliceDataset(folder, "multicoil", transform, use_dataset_cache=False):
        with torch.no_grad():
            if model == "unet":
                image = host(sample.image[None, None])[0, 0] * sample.std + sample.mean
            else:
                image = host(sample.masked_kspace[None], sample.mask[None])[0]
                image = center_crop(image, sample.crop_size)
        expected.append(image.numpy())
    for out in ("a", "b"):
        np.testing.assert_array_equal(images(tmp_path / out / "e.h5"), np.stack(expected))
    other = "varnet" if model == "unet" else "unet"
    assert reconstruct([*flags, "--output_path", str(tmp_path), "--model", other]) == 1
    assert f"of the model {model}, not of {other}" in capsys.readouterr().err
    weights, _ = export(path, tmp_path / "exported")
    exported, loaded = load(weights).state_dict(), load(path).state_dict()
    assert all(torch.equal(exported[name], values) for name, values in loaded.items())


def test_reconstruct_refuses_several_channels(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "complex.pt", Unet(2, 2, 2, 1))
    flags = ["--checkpoint", str(path), "--data_path", str(small_dataset / "singlecoil_test")]
    assert reconstruct([*flags, "--output_path", str(tmp_path / "out")]) == 1
    assert "complex.pt: a network with in_chans 2; expected one" in capsys.readouterr().err
