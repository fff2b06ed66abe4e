"""CLGNet: the paper's counts, sizes, precisions, export, learning."""

from __future__ import annotations

import io
from pathlib import Path

import fastmri.models
import pytest
import torch

from fastmri_clgnet.benchmarks.macs import count_macs
from fastmri_clgnet.benchmarks.measure import count_operators
from fastmri_clgnet.benchmarks.plain import plain_clgnet
from fastmri_clgnet.models import SPECTRA, CLGNet, Spectrum
from tests.helpers import (
    assert_batch_equals_single,
    assert_gradients_reach_all,
)


def small_clgnet() -> CLGNet:
    torch.manual_seed(0)
    return CLGNet(chans=8, num_groups=1, num_blocks=2)


def test_counts_of_the_paper() -> None:
    model = CLGNet()
    assert sum(parameter.numel() for parameter in model.parameters()) == 964_033
    macs = count_macs(model, (512, 512))
    assert abs(macs / 68.91e9 - 1) < 0.015
    assert round(macs / 1e9, 1) == 69.2
    assert 54.7e9 < count_macs(fastmri.models.Unet(1, 1, chans=32), (512, 512)) < 54.9e9


def test_counter_on_a_network_counted_by_hand() -> None:
    """D5C5's cascade of the paper's Table 2: 2-64-64-64-64-2 channels, five times: 148.65 GMac."""
    cascade: list[torch.nn.Module] = [torch.nn.Conv2d(1, 2, 1, bias=False)]
    for _ in range(5):
        for n_in, n_out in [(2, 64), (64, 64), (64, 64), (64, 64), (64, 2)]:
            cascade.append(torch.nn.Conv2d(n_in, n_out, 3, padding=1))
            if n_out == 64:
                cascade.append(torch.nn.ReLU())
    entry = 2 * 512 * 512  # from the counter's one channel to two
    counted = count_macs(torch.nn.Sequential(*cascade), (512, 512)) - entry
    assert abs(counted / 148.65e9 - 1) < 1e-4


def test_residual_adds_the_input() -> None:
    torch.manual_seed(0)
    model, image = CLGNet(2, 2, chans=4, num_groups=1, num_blocks=1), torch.randn(2, 2, 17, 18)
    expected = image + model(image)
    model.residual = True
    assert torch.equal(model(image), expected)


@pytest.mark.parametrize("size", [(16, 16), (17, 16), (16, 23), (31, 45)])
@pytest.mark.parametrize("wavelet", ["haar", "bior2.2"])
def test_any_size(size: tuple[int, int], wavelet: str) -> None:
    model = CLGNet(in_chans=2, out_chans=3, chans=4, num_groups=1, num_blocks=1, wavelet=wavelet)
    output = model(torch.randn(2, 2, *size))
    assert output.shape == (2, 3, *size)
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_whole_network_equals_plain_evaluation(spectrum: Spectrum) -> None:
    model = CLGNet(chans=8, num_groups=1, num_blocks=2, spectrum=spectrum).double()
    image = torch.randn(1, 1, 33, 40, dtype=torch.float64)
    output = model(image)
    torch.testing.assert_close(output, plain_clgnet(model)(image), rtol=1e-10, atol=1e-10)


def test_operators_that_a_pass_dispatches() -> None:
    """A GPU launches about as many: a training step is only short with few of them."""
    model, image = CLGNet(), torch.randn(2, 1, 32, 32)

    def forward() -> None:
        with torch.no_grad():
            model(image)

    assert count_operators(forward) <= 600
    assert count_operators(lambda: (model(image) - image).abs().mean().backward()) <= 1700


def test_batch_equals_one_by_one() -> None:
    assert_batch_equals_single(small_clgnet().eval(), torch.randn(3, 1, 24, 20))


def test_bfloat16_autocast() -> None:
    model = small_clgnet()
    image = torch.randn(2, 1, 64, 64)
    reference = model(image)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(image)
    assert torch.isfinite(output).all()
    assert (output.float() - reference).norm() < 0.02 * reference.norm()


@pytest.mark.parametrize("size", [(32, 36), (17, 23)])
def test_export_gives_the_same_output(size: tuple[int, int]) -> None:
    model = small_clgnet().eval()
    image = torch.randn(1, 1, *size)
    exported = torch.export.export(model, (torch.zeros_like(image),)).module()
    torch.testing.assert_close(exported(image), model(image))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter's own
def test_onnx_gives_the_same_output(tmp_path: Path) -> None:
    """With torch's own exporter, as in the README; the size is fixed, and can be odd."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    for spectrum in SPECTRA:
        model = CLGNet(chans=8, num_groups=1, num_blocks=1, spectrum=spectrum).eval()
        image = torch.randn(1, 1, 31, 36)
        path = tmp_path / f"{spectrum}.onnx"
        torch.onnx.export(model, (torch.zeros_like(image),), path, dynamo=True)
        session = onnxruntime.InferenceSession(path)
        (output,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        torch.testing.assert_close(torch.from_numpy(output), model(image), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler's own
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_compiled_equals_eager(spectrum: Spectrum) -> None:
    """One graph without breaks; output and gradients, in training."""
    model = CLGNet(chans=8, num_groups=1, num_blocks=1, spectrum=spectrum)
    compiled = torch.compile(model, fullgraph=True)
    image = torch.randn(2, 1, 24, 30)
    results = []
    for each in (model, compiled):
        model.zero_grad()
        output = each(image)
        output.square().mean().backward()
        results.append((output, [parameter.grad for parameter in model.parameters()]))
    torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    model = small_clgnet()
    model(torch.randn(2, 1, 32, 32)).abs().mean().backward()
    assert_gradients_reach_all(model)


def test_overfits_one_slice() -> None:
    model = small_clgnet()
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    target = ((x**2 + 2 * y**2) < 0.6).float()[None, None]
    image = torch.nn.functional.avg_pool2d(target, (1, 15), stride=1, padding=(0, 7))
    goal = 0.2 * (image - target).abs().mean().item()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(250):
        optimizer.zero_grad()
        loss = torch.nn.functional.l1_loss(model(image), target)
        if loss < goal:
            break
        loss.backward()
        optimizer.step()
    assert loss.item() < goal


def test_save_and_load_gives_the_same_output() -> None:
    model, image = small_clgnet(), torch.randn(1, 1, 20, 24)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    torch.manual_seed(1)
    restored = CLGNet(chans=8, num_groups=1, num_blocks=2)
    restored.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(restored(image), model(image))


def test_errors() -> None:
    with pytest.raises(ValueError, match="16 x 16"):
        CLGNet(chans=4)(torch.zeros(1, 1, 15, 20))
    with pytest.raises(ValueError, match="batch, chans"):
        CLGNet(chans=4)(torch.zeros(1, 20, 20))
    with pytest.raises(ValueError, match="in_chans=2 is not out_chans=1"):
        CLGNet(in_chans=2, residual=True)
    with pytest.raises(ValueError, match="num_groups=0"):
        CLGNet(num_groups=0)
