"""The least size of every model, against what the network itself takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fastmri_clgnet.data import Mask, write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.inference import reconstruct, reconstruct_scan
from fastmri_clgnet.models.least_size import least_size
from fastmri_clgnet.models.reconstructor import Reconstructor
from fastmri_clgnet.models.registry import MODELS
from fastmri_clgnet.train_clgnet import main
from tests.helpers import QUIET

CLGNET = {"chans": 4, "num_groups": 1, "num_blocks": 1}
NETWORKS = {
    "clgnet": (CLGNET, (16, 16)),
    "clgnet_dc": (CLGNET, (16, 16)),
    "clgvarnet": ({**CLGNET, "num_cascades": 1, "sens_chans": 2}, (16, 17)),
    "unet": ({"chans": 4, "num_pool_layers": 3}, (8, 16)),
    "varnet": ({"chans": 2, "num_cascades": 1, "sens_chans": 2}, (1, 17)),
    "dccnn": ({}, (1, 1)),
    "zero_filled": ({}, (1, 1)),
}


def make(model: str) -> Reconstructor:
    choice = MODELS[model]
    network = choice.reconstructor()
    network.make_network({**NETWORKS[model][0], **choice.fixed})
    return network.eval()


def images(network: Reconstructor, height: int, width: int) -> torch.Tensor:
    if not network.on_kspace:
        return network(torch.randn(1, height, width))
    coils = [] if network.model_name == "dccnn" else [2]
    mask = torch.ones(1, *[1 for _ in coils], 1, width, 1)
    return network(torch.randn(1, *coils, height, width, 2), mask)


@pytest.mark.parametrize("model", NETWORKS)
def test_the_network_takes_its_least_size_and_nothing_smaller(model: str) -> None:
    network = make(model)
    shorter, longer = least_size(network)
    assert (shorter, longer) == NETWORKS[model][1]
    for size in ((shorter, longer), (longer, shorter)):
        height, width = max(size[0], 2), max(size[1], 2)
        assert torch.isfinite(images(network, height, width)).all()
    smaller = {(shorter - 1, longer), (shorter, longer - 1)} if longer > 1 else set()
    for size in smaller:
        if min(size) > 0 and max(size) >= shorter:
            with pytest.raises((ValueError, RuntimeError)):
                images(network, *size)


@pytest.mark.parametrize("model", ["clgnet", "clgvarnet", "unet", "varnet"])
def test_smaller_images_are_refused_in_one_sentence(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In training and in both ways to reconstruct."""
    side = 7 if model == "unet" else 12
    scan = Scan(np.ones((1, 2, side, side), np.complex64), (side, side), name="a")
    network = make(model)
    message = f"{side} x {side} pixels; the network \\({model}\\) takes images from"
    with pytest.raises(InputError, match=f"a: {message}"):
        reconstruct_scan(scan, network, device="cpu")
    folder = tmp_path / "multicoil_train"
    write_fastmri_file(folder / "a.h5", scan.kspace, scan.images())
    with pytest.raises(InputError, match=f"a.h5: {message}"):
        reconstruct(folder, tmp_path / "out", network, mask=Mask(), device="cpu")
    assert not (tmp_path / "out").exists()
    arguments = NETWORKS[model][0]
    flags = [str(word) for name, value in arguments.items() for word in (f"--{name}", value)]
    command = [*QUIET, "--data_path", str(tmp_path), "--challenge", "multicoil", "--model", model]
    assert main([*command, *flags, "--default_root_dir", str(tmp_path / "run")]) == 1
    assert f"the network ({model}) takes images from" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
