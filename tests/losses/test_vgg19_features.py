"""VGG19's features: the layers, the weights, and the errors without them."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models import VGG19_Weights, vgg19

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.losses import VGG19Features


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with random weights of the features, up to the 9th convolution."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = vgg19(weights=None).features[:20]
    path = tmp_path_factory.mktemp("vgg") / "vgg.pt"
    state = {
        name: torch.randn(value.shape) * (2 / max(1, value[0].numel())) ** 0.5
        for name, value in network.state_dict().items()
    }
    torch.save(state, path)
    return path


def test_equals_torchvisions_network(weights: Path) -> None:
    extractor = VGG19Features((1, 3, 9), weights)
    with torch.device("meta"):
        network = vgg19(weights=None).features[:21]
    network.load_state_dict(torch.load(weights), assign=True)
    grey = torch.rand(2, 1, 32, 40)
    normalised = grey.expand(-1, 3, -1, -1) - torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    normalised = normalised / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    features = extractor(grey)
    # the ReLU after the 1st, 3rd and 9th convolution in torchvision's list of layers
    for feature, end in zip(features, (2, 7, 21), strict=True):
        torch.testing.assert_close(feature, network[:end](normalised), rtol=1e-3, atol=1e-4)
    assert len(extractor.network) == 21


def test_is_frozen_and_stays_in_evaluation_mode(weights: Path) -> None:
    extractor = VGG19Features((1,), weights)
    assert extractor.train() is extractor
    assert not any(module.training for module in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    image = torch.rand(1, 1, 16, 16, requires_grad=True)
    extractor(image)[0].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().max() > 0


def test_full_state_dict_and_prefix(weights: Path, tmp_path: Path) -> None:
    state = {f"features.{name}": value for name, value in torch.load(weights).items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, tmp_path / "full.pt")
    image = torch.rand(1, 1, 16, 16)
    torch.testing.assert_close(
        VGG19Features((3,), tmp_path / "full.pt")(image)[0], VGG19Features((3,), weights)(image)[0]
    )


def test_errors(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"no weights for convolution 13 of VGG19; .* 1 to 9"):
        VGG19Features((1, 13), weights)
    with pytest.raises(ValueError, match="from 1 to 16"):
        VGG19Features((17,), weights)
    with pytest.raises(InputError, match=r"nowhere.pt: no such file"):
        VGG19Features((1,), tmp_path / "nowhere.pt")
    (tmp_path / "noise.pt").write_bytes(b"noise")
    with pytest.raises(InputError, match=r"noise.pt: not a checkpoint"):
        VGG19Features((1,), tmp_path / "noise.pt")
    torch.save({"0.weight": torch.zeros(3), "0.bias": torch.zeros(64)}, tmp_path / "shape.pt")
    with pytest.raises(
        InputError, match=r"not those of VGG19 \(of another shape: 0.weight 3 instead of 64x3x3x3"
    ):
        VGG19Features((1,), tmp_path / "shape.pt")

    def offline(*args: object, **options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(type(VGG19_Weights.IMAGENET1K_V1), "get_state_dict", offline)
    with pytest.raises(InputError, match=r"no route to host.*vgg_weights.*alpha 0"):
        VGG19Features()


def test_real_weights_see_edges(test_data: Path) -> None:
    """The real first layers respond more to an edge than to none, to noise than to blur."""
    extractor = VGG19Features((1, 3, 5), test_data / "vgg19_relu3_4.pt")
    flat = torch.full((1, 1, 64, 64), 0.5)
    edge = flat.clone()
    edge[..., 32:] = 1.0
    for plain, seen in zip(extractor(flat), extractor(edge), strict=True):
        inner = (..., slice(4, -4), slice(4, -4))
        assert seen[inner].std() > 2 * plain[inner].flatten(2).std(dim=-1).mean()
    with pytest.raises(InputError, match="1 to 8"):
        VGG19Features((9,), test_data / "vgg19_relu3_4.pt")
