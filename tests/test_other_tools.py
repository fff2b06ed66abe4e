"""The examples of the page "With other tools"; each is skipped where its package is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fastmri
import numpy as np
import pytest
import torch

from fastmri_clgnet.formats import Scan
from fastmri_clgnet.models import CLGNet
from fastmri_clgnet.weights import shipped
from tests.test_readme import python_block

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of other packages, which the page does not answer for
    pytest.mark.skipif(not shipped(), reason="no weights ship with this version"),
]


def small_network(_: str) -> Any:
    """In place of `load`, for what does not depend on the weights."""
    torch.manual_seed(0)
    return SimpleNamespace(clgnet=CLGNet(chans=4, num_groups=1, num_blocks=1).eval())


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the examples start from."""
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(python_block("other-tools"), found)
    return found


def test_deepinv(names: dict[str, Any]) -> None:
    """Operator and adapter give our image, with the zero-filled phase; the trainer trains."""
    deepinv = pytest.importorskip("deepinv")
    exec(python_block("deepinv"), names)
    ours = names["reconstruct_scan"](names["scan"], "brain-4x", device="cpu")
    image, physics, y = names["image"], names["physics"], names["y"]
    np.testing.assert_allclose(image.norm(dim=1), abs(ours), atol=1e-4 * ours.max())
    inner = physics.to_torch_complex(image) * physics.to_torch_complex(physics.A_adjoint(y)).conj()
    bright = torch.from_numpy(ours > 0.1 * ours.max())
    assert inner[bright].angle().abs().max() < 1e-3
    torch.manual_seed(0)
    exec(python_block("deepinv-trainer"), names)
    first, last = names["trainer"].loss_history["SupLoss"]
    assert last < first
    kspace = physics.from_torch_complex(torch.from_numpy(names["coils"].kspace))
    maps = torch.full((1, 4, 256, 256), 0.5, dtype=torch.complex64)
    several = deepinv.physics.MultiCoilMRI(mask=names["mask"], coil_maps=maps)
    combined = several.A_adjoint(kspace)
    sampled = names["coils"].kspace * names["scan"].mask
    single = np.fft.ifftshift(sampled.sum(axis=1) / 2, axes=(-2, -1))
    single = np.fft.fftshift(np.fft.ifft2(single, norm="ortho"), axes=(-2, -1))
    np.testing.assert_allclose(physics.to_torch_complex(combined), single, atol=1e-8)
    assert CLGNet(in_chans=2, out_chans=2, chans=4)(combined).shape == combined.shape
    prior = deepinv.optim.PnP(names["OnMagnitude"](small_network("").clgnet))
    method = deepinv.optim.PGD(prior=prior, data_fidelity=deepinv.optim.L2(), max_iter=2)
    with torch.no_grad():
        assert method(y, physics).isfinite().all()


def test_mrpro(names: dict[str, Any]) -> None:
    """Zero-filled images by its operator are ours, of one coil and several; and k-space back."""
    pytest.importorskip("mrpro")
    exec(python_block("mrpro"), names)
    expected = names["scan"].images()
    np.testing.assert_allclose(names["zero_filled"], expected, atol=1e-5 * expected.max())
    rng = np.random.default_rng(0)
    kspace = rng.normal(size=(2, 3, 24, 17, 2)).astype(np.float32).view(np.complex64)[..., 0]
    odd = Scan(kspace, (12, 17))  # the readout is oversampled
    kdata = names["to_mrpro"](odd)
    np.testing.assert_array_equal(kdata.data[:, :, 0].mT.numpy(), kspace)
    (images,) = names["FourierOp"].from_kdata(kdata).H(kdata.data)
    rss = images.abs().square().sum(dim=1).sqrt()[:, 0].mT
    np.testing.assert_allclose(rss, odd.images(), atol=1e-5)


def test_sigpy(names: dict[str, Any]) -> None:
    pytest.importorskip("sigpy")
    exec(python_block("sigpy"), names)
    coils = names["coils"]
    expected = coils.images()
    rss = np.sqrt((abs(names["images"]) ** 2).sum(axis=1))
    np.testing.assert_allclose(rss, expected, atol=1e-5 * expected.max())
    np.testing.assert_allclose(names["kspace"], coils.kspace, atol=1e-5 * abs(coils.kspace).max())


def test_monai(names: dict[str, Any]) -> None:
    """It reads our file, and its image of what its mask leaves is the host's."""
    pytest.importorskip("monai")
    names["load"] = small_network
    exec(python_block("monai"), names)
    np.testing.assert_array_equal(names["kspace"].numpy(), names["coils"].kspace)
    images = fastmri.complex_abs(fastmri.ifft2c(names["undersampled"]))
    torch.testing.assert_close(names["zero_filled"], fastmri.rss(images, dim=1))
    assert names["image"].shape == (1, 1, 256, 256)


@pytest.mark.slow
def test_onnx(names: dict[str, Any]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    names["load"] = small_network
    exec(python_block("onnx"), names)
    for image, given in zip(names["images"], names["scan"].images(), strict=True):
        zero_filled = torch.from_numpy(given)[None, None]
        std, mean = zero_filled.std(correction=0), zero_filled.mean()
        with torch.no_grad():
            expected = names["network"](((zero_filled - mean) / std).clamp(-6, 6)) * std + mean
        np.testing.assert_allclose(image, expected[0, 0], atol=1e-4 * float(expected.max()))
