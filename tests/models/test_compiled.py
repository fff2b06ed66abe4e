"""Networks whose repeated blocks are compiled."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from fastmri_clgnet.data import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.folder import reconstruct
from fastmri_clgnet.inference.submission import read_settings
from fastmri_clgnet.models import CLGNet, Variant, compiled, lean_layer
from fastmri_clgnet.models.compiled import compile_network
from fastmri_clgnet.pl_modules import CLGNetModule
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.tables import ZERO_FILLED
from fastmri_clgnet.train_clgnet import main
from tests.inference.test_loading import SMALL, batch
from tests.reliability.runs import COMMAND, assert_same_state, checkpoint, make_weights

pytestmark = pytest.mark.filterwarnings("ignore")  # of the compiler's own


def passed(
    network: nn.Module, size: tuple[int, int, int], gradients: bool = True
) -> list[torch.Tensor]:
    """Output and gradients of all parameters for a fixed random image."""
    image = torch.randn(size, generator=torch.Generator().manual_seed(0))[:, None]
    if not gradients:
        with torch.inference_mode():
            return [network(image)]
    network.zero_grad()
    output = network(image)
    output.square().mean().backward()
    return [output, *(p.grad.clone() for p in network.parameters() if p.grad is not None)]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> CLGNet:
    """A small network, traced as for the compiler but evaluated by torch's own operators."""
    torch.compiler.reset()
    counters.clear()
    monkeypatch.setattr(compiled, "check_compiler", lambda device: None)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch.manual_seed(0)
    network = CLGNet(chans=4, num_groups=1, num_blocks=2)
    compile_network(network)
    return network


def test_a_block_is_compiled_once_for_all_its_instances_batches_and_sizes(traced: CLGNet) -> None:
    plain = copy.deepcopy(traced)  # a copy is not compiled
    counts = []
    for size, gradients in (
        ((3, 32, 32), True),
        ((2, 32, 32), True),  # a smaller last batch
        ((2, 32, 32), False),  # a validation
        ((5, 32, 32), False),
        ((2, 40, 48), False),  # of another size
        ((2, 33, 48), False),
        ((2, 33, 50), False),
        ((2, 35, 60), False),  # one size more than is compiled
        ((3, 32, 32), True),
    ):
        own, other = passed(traced, size, gradients), passed(plain, size, gradients)
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6)
        counts.append(counters["stats"]["unique_graphs"])
    assert counts == [1, 1, 2, 2, 3, 4, 5, 5, 5]
    assert not counters["graph_break"]
    assert traced.state_dict().keys() == plain.state_dict().keys()


def test_ffts_stay_in_float32_under_autocast(
    traced: CLGNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, rfft2 = copy.deepcopy(traced), lean_layer.rfft2

    def checked(features: torch.Tensor) -> torch.Tensor:
        assert features.dtype == torch.float32
        return rfft2(features)

    monkeypatch.setattr(lean_layer, "rfft2", checked)
    with torch.autocast("cpu", torch.bfloat16):
        own, other = (passed(each, (2, 20, 30)) for each in (traced, plain))
    assert own[0].dtype == torch.bfloat16
    torch.testing.assert_close(own, other, rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("variant", ["wo_sfl", "tran"])
def test_variants(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "check_compiler", lambda device: None)
    module = CLGNetModule(chans=8, num_groups=1, num_blocks=1, variant=variant)
    if variant == "tran":
        with pytest.raises(InputError, match="compile: CLGNetModule has no repeated block"):
            compile_network(module)
    else:
        compile_network(module)


def test_without_a_compiler_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("No working C++ compiler found\nand a long trace")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: fail)
    said = r"needs a C\+\+ compiler such as g\+\+ \(No working C\+\+ compiler found\); install"
    with pytest.raises(InputError, match=said):
        compile_network(CLGNet(chans=4, num_groups=1, num_blocks=1))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_model_compiles_to_the_same(model: str) -> None:
    """In float64: CDDN's gradients in float32 are one per cent away from those."""
    torch.manual_seed(0)
    choice, arguments = MODELS[model], SMALL.get(model, {})
    module = choice.module(**choice.fixed, **arguments).double()
    if model == ZERO_FILLED:
        with pytest.raises(InputError, match="has no repeated block"):
            compile_network(module)
        return
    plain = copy.deepcopy(module)
    compile_network(module)
    several = choice.multicoil and arguments.get("challenge") != "singlecoil"
    sample = batch(module.on_kspace, 3 if several else 1)
    given = (sample[0].double(), *sample[1 : 2 if module.on_kspace else 1])
    results = []
    for each in (module, plain):
        output = each(*given)
        (output / plain(*given).abs().max().detach()).square().mean().backward()
        gradients = [p.grad for p in each.parameters() if p.grad is not None]
        results.append((output.detach(), torch.cat([each.flatten() for each in gradients])))
    for own, other in zip(*results, strict=True):
        assert (own - other).norm() < 1e-9 * other.norm()


@pytest.mark.slow
def test_a_compiled_run_continues_bit_for_bit_and_its_checkpoints_are_plain(
    small_dataset: Path, tmp_path: Path
) -> None:
    """Validation after each step; the last batch of an epoch is smaller."""
    weights = make_weights(tmp_path / "vgg.pt")
    flags = [*COMMAND, *weights, "--data_path", str(small_dataset), "--compile", "true"]
    flags += ["--schedule", "onecycle", "--ema", "0.8", "--batch_size", "4"]
    roots = [tmp_path / name for name in ("whole", "run", "plain")]
    assert main([*flags, "--default_root_dir", str(roots[0])]) == 0
    with pytest.MonkeyPatch.context() as patch:
        from tests.reliability.test_stopping import STEP, SaveAndStop, at_call, signal

        stop = at_call(3, getattr(SaveAndStop, STEP), [signal.SIGINT])
        patch.setattr(SaveAndStop, STEP, stop)
        assert main([*flags, "--default_root_dir", str(roots[1])]) == 130
    torch.compiler.reset()  # as in another process
    assert main([*flags, "--default_root_dir", str(roots[1])]) == 0
    assert_same_state(roots[1], roots[0])
    flags[flags.index("--compile") + 1] = "false"
    assert main([*flags, "--default_root_dir", str(roots[2])]) == 0
    own, plain = checkpoint(roots[0]), checkpoint(roots[2])
    assert own["state_dict"].keys() == plain["state_dict"].keys()
    torch.testing.assert_close(own["state_dict"], plain["state_dict"], rtol=1e-2, atol=1e-4)
    # each continues with the other's
    assert main([*flags, "--default_root_dir", str(roots[0])]) == 0


@pytest.mark.slow
def test_reconstructions_are_the_same_up_to_rounding(
    small_run: Path, small_dataset: Path, tmp_path: Path
) -> None:
    import h5py

    data, weights = small_dataset / "singlecoil_val", small_run / "checkpoints" / "best.ckpt"
    images = []
    for name, processes in (("plain", 1), ("compiled", 1), ("shared", 2)):
        made = reconstruct(
            data, tmp_path / name, weights, mask=Mask(), batch_size=2, device="cpu",
            compile=name != "plain", num_processes=processes,
        )  # fmt: skip
        assert read_settings(made.written[0]) is not None
        with h5py.File(made.written[0]) as file:
            images.append(torch.from_numpy(file["reconstruction"][()]))
    for each in images[1:]:
        torch.testing.assert_close(each, images[0], rtol=1e-4, atol=1e-5 * float(images[0].max()))
