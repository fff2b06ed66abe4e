"""Self-supervised training: from undersampled files to best.ckpt and reconstructions."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml

from fastmri_clgnet import load
from fastmri_clgnet.data import Data, check, write_fastmri_file
from fastmri_clgnet.data.ssdu import Partition, PartitionedSample
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference import reconstruct
from fastmri_clgnet.pl_modules import CLGVarNetModule, VarNetModule
from fastmri_clgnet.pl_modules.variational_module import VariationalModule
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training import train
from tests.helpers import COLUMNS, QUIET, SIZE, assert_gradients_reach_all, small_volume
from tests.reliability.runs import assert_same_state, checkpoint
from tests.reliability.test_stopping import STEP, stopped_at

CLGVARNET = ["--model", "clgvarnet", "--num_cascades", "1", "--chans", "4", "--num_groups", "1"]
CLGVARNET += ["--num_blocks", "1", "--sens_chans", "2", "--sens_pools", "1"]
VARNET = ["--model", "varnet", "--num_cascades", "1", "--chans", "2", "--pools", "1"]
VARNET += ["--sens_chans", "2", "--sens_pools", "1"]
COMMAND = [*QUIET, "--loss", "ssdu", "--batch_size", "2", "--logger", "false", "--lr", "1e-3"]


def column_mask(step: int = 2, centre: int = 6) -> np.ndarray:
    """Every so many columns, and those of the centre."""
    mask = np.zeros(COLUMNS, bool)
    mask[::step] = mask[COLUMNS // 2 - centre // 2 : COLUMNS // 2 + centre // 2] = True
    return mask


def write(path: Path, challenge: str, seed: int, mask: np.ndarray, reference: bool = False) -> None:
    """An undersampled volume, with or without the reference of the whole k-space."""
    kspace, target = small_volume(challenge, seed)
    write_fastmri_file(
        path, kspace * mask, target if reference else None, mask, recon_size=(SIZE, SIZE),
        acquisition="AXT2",
    )  # fmt: skip


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as fastMRI's test files only, in all splits; read only."""
    root = tmp_path_factory.mktemp("masked")
    for challenge in ("singlecoil", "multicoil"):
        for seed, name in enumerate(("train/a", "train/b", "val/c", "test/e")):
            write(root / f"{challenge}_{name}.h5", challenge, seed, column_mask(2 + seed % 2))
    return root


def tiny(**more: object) -> CLGVarNetModule:
    settings = {"num_cascades": 1, "chans": 4, "num_groups": 1, "num_blocks": 1, "sens_chans": 2}
    return CLGVarNetModule(**{**settings, "sens_pools": 1, "loss": "ssdu", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("challenge", "model"), [("multicoil", CLGVARNET), ("singlecoil", VARNET)], ids=["clg", "var"]
)
def test_trains_validates_and_reconstructs_without_a_reference(
    challenge: str,
    model: list[str],
    masked: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    findings = check(masked, challenge, num_workers=1)  # type: ignore[arg-type]
    assert findings.good
    assert str(findings).count("warning: undersampled: train_clgnet takes it with --loss ssdu") == 3
    root = tmp_path / "run"
    flags = ["--challenge", challenge, "--data_path", str(masked), "--default_root_dir", str(root)]
    flags += ["--ssdu_masks", "2", "--ssdu_ratio", "0.3", "--max_epochs", "2"]
    assert main([*COMMAND, *model, *flags]) == 0
    printed = capsys.readouterr().out
    assert f"{challenge}_train: undersampled already, by masks in the files" in printed
    assert "Validation volumes, undersampled already:" in printed
    (metrics,) = json.loads((root / "metrics.json").read_text()).values()
    assert metrics.keys() == {"validation_loss"}
    assert 0 < metrics["validation_loss"] < 10
    best = torch.load(root / "checkpoints" / "best.ckpt", weights_only=True)
    scores = [each for each in best["callbacks"].values() if each.get("monitor")]
    # the held-out samples choose the best checkpoint
    assert float(scores[0]["best_model_score"]) == pytest.approx(metrics["validation_loss"])
    trained_on = best["fastmri_clgnet_trained_on"]
    assert trained_on["accelerations"] == [2]
    assert "mask_type" not in trained_on
    config = yaml.safe_load((root / "config.yaml").read_text())
    assert (config["loss"], config["ssdu_ratio"], config["ssdu_masks"]) == ("ssdu", 0.3, 2)
    for name in ("comparison.png", "reconstructions/e.h5"):
        assert (root / name).is_file()
    assert {path.name for path in (root / "images").rglob("*.png")} == {"reconstruction.png"}
    # of all measured columns, and the same as the training's own test
    made = reconstruct(
        masked / f"{challenge}_test", tmp_path / "out", root / "checkpoints/best.ckpt"
    )
    with (
        h5py.File(made.written[0]) as file,
        h5py.File(root / "reconstructions" / "e.h5") as written,
    ):
        torch.testing.assert_close(
            torch.from_numpy(file["reconstruction"][()]),
            torch.from_numpy(written["reconstruction"][()]),
        )
    loaded = load(root / "checkpoints/best.ckpt")
    assert loaded.arguments["loss"] == "ssdu"
    assert loaded.keeps_measured
    test_val = ["--mode", "test", "--test_split", "val", "--loss", "ssdu"]
    assert main([*COMMAND, *model, *flags, *test_val]) == 0
    assert (root / "reconstructions_val" / "c.h5").is_file()


@pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch")
def test_goes_on_bit_for_bit(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that is stopped within its epochs ends with the weights of one that is not.

    Its data is fully sampled; only what the masks measure is used.
    """
    flags = [*COMMAND, *VARNET, "--data_path", str(small_dataset), "--accelerations", "2"]
    flags += ["--deterministic", "true"]
    flags += ["--num_log_images", "0", "--max_epochs", "2", "--default_root_dir"]
    assert main([*flags, str(tmp_path / "whole")]) == 0
    run = [*flags, str(tmp_path / "run")]
    for number, steps in ((1, 1), (3, 4)):  # an epoch has 3 steps
        stopped_at(run, STEP, number, signal.SIGINT, capsys)
        assert checkpoint(tmp_path / "run")["global_step"] == steps
    assert main([*run, "--loss", "ssim"]) == 1
    assert "trained with schedule step, ema null, loss ssdu. Give" in capsys.readouterr().err
    assert main(run) == 0
    torch.use_deterministic_algorithms(False)
    assert_same_state(tmp_path / "run", tmp_path / "whole")


def test_with_references_the_validation_has_metrics_too(masked: Path, tmp_path: Path) -> None:
    """Undersampled files with a reference: the reference is not the loss's."""
    shutil.copytree(masked / "multicoil_train", tmp_path / "multicoil_train")
    write(tmp_path / "multicoil_val" / "c.h5", "multicoil", 5, column_mask(), reference=True)
    assert check(tmp_path, num_workers=1).good
    data = Data(tmp_path, "multicoil", batch_size=2, num_workers=0)
    settings = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False}
    module = tiny()
    run = train(module, data, trainer=settings, default_root_dir=tmp_path / "run", logger=False)
    assert list(run.metrics) == ["zero-filled", "CLGVarNet"]
    assert all(values.keys() == {"nmse", "psnr", "ssim"} for values in run.metrics.values())
    assert run.best is not None
    (score,) = (
        float(each["best_model_score"])
        for each in torch.load(run.best, weights_only=True)["callbacks"].values()
        if each.get("monitor")
    )
    samples = data.module(True, partition=module.partition)
    losses = [module.held_out_loss(batch).item() for batch in samples.val_dataloader()]
    assert score == pytest.approx((2 * losses[0] + losses[1]) / 3, rel=1e-4)


def batch_of(n_masks: int, challenge: str = "multicoil") -> PartitionedSample:
    kspace, _ = small_volume(challenge, 0)
    mask = torch.from_numpy(column_mask())[None, None, :, None]
    partition = Partition(masks=n_masks)
    values = torch.view_as_real(torch.from_numpy(kspace[:2])) * mask
    held_out = torch.stack(
        [partition.held_out(mask, torch.Generator().manual_seed(i)) for i in range(2)]
    )
    masks = mask.expand(2, *mask.shape)
    numbers, none = torch.arange(2), torch.zeros(2)
    return PartitionedSample._make(
        [values, masks, none.int(), none, ["a", "b"], numbers, none, (SIZE, SIZE), held_out]
    )


def network(kind: type[VariationalModule]) -> VariationalModule:
    """Three cascades that change their input, which an untrained CLGVarNet does not."""
    torch.manual_seed(0)
    module = kind(num_cascades=3, chans=4, sens_chans=2, sens_pools=1, loss="ssdu")
    for parameter in module.varnet.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return module


@pytest.mark.parametrize("kind", [CLGVarNetModule, VarNetModule])
def test_the_network_gets_the_given_columns_only(
    kind: type[VariationalModule], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other values in the held-out columns change the loss, not the prediction."""
    module, batch = network(kind), batch_of(n_masks=1)
    predictions: list[torch.Tensor] = []
    predict = module.predict_kspace

    def kept(kspace: torch.Tensor, mask: torch.Tensor, *centre: Any) -> torch.Tensor:
        assert not (mask & batch.held_out[:, 0]).any()
        predictions.append(predict(kspace, mask, *centre))
        return predictions[-1]

    monkeypatch.setattr(module, "predict_kspace", kept)
    loss = module.held_out_loss(batch)
    changed = torch.where(batch.held_out[:, 0], 2 * batch.masked_kspace, batch.masked_kspace)
    other = module.held_out_loss(batch._replace(masked_kspace=changed))
    torch.testing.assert_close(predictions[0], predictions[1], rtol=0, atol=0)
    assert other != loss


@pytest.mark.parametrize("kind", [CLGVarNetModule, VarNetModule])
@pytest.mark.parametrize("keeps_measured", [True, False])
def test_the_image_has_the_predicted_and_the_measured_samples(
    kind: type[VariationalModule], keeps_measured: bool
) -> None:
    """The loss does not say what the network makes of given samples, so it has to keep them."""
    module, batch = network(kind), batch_of(n_masks=1)
    assert module.keeps_measured
    module.keeps_measured = keeps_measured  # without, as after other losses
    image = module(batch.masked_kspace, batch.mask)
    predicted = module.predict_kspace(batch.masked_kspace, batch.mask).detach()
    kspace, measured = (
        torch.view_as_complex(each).numpy().astype(np.complex128)
        for each in (predicted, batch.masked_kspace)
    )
    columns = column_mask()
    assert not np.allclose(kspace[..., columns], measured[..., columns], rtol=1e-3)
    if keeps_measured:
        kspace[..., columns] = measured[..., columns]
    axes = (-2, -1)
    coils = np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho")
    expected = np.sqrt((np.abs(np.fft.fftshift(coils, axes)) ** 2).sum(1))
    np.testing.assert_allclose(image.detach().numpy(), expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("kind", [CLGVarNetModule, VarNetModule])
def test_gradients_reach_the_parameters(kind: type[VariationalModule]) -> None:
    """But for the first and the last weight of data consistency.

    The first has nothing to correct yet, and the last corrects the given columns only.
    """
    module = network(kind)
    module.held_out_loss(batch_of(n_masks=2)).backward()
    for index in (0, 2):
        weight = module.varnet.cascades[index].dc_weight
        assert weight.grad == 0
        weight.grad = torch.ones(1)
    assert_gradients_reach_all(module.varnet)


def test_several_masks_are_the_mean_over_them_and_over_slices() -> None:
    module, batch = network(CLGVarNetModule), batch_of(n_masks=3)
    single = []
    for i in range(2):
        for k in range(3):
            held_out = batch.held_out[i : i + 1, k : k + 1]
            one = [v[i : i + 1] if isinstance(v, torch.Tensor) else v for v in batch]
            single.append(module.held_out_loss(PartitionedSample._make([*one[:-1], held_out])))
    torch.testing.assert_close(module.held_out_loss(batch), torch.stack(single).mean())
    assert len({round(each.item(), 4) for each in single}) == 6
    # an untrained one predicts nothing
    assert tiny().held_out_loss(batch).item() == pytest.approx(2)


def test_a_model_on_images_has_no_such_loss(capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("unet", "clgnet", "dccnn"):
        with pytest.raises(SystemExit) as raised:
            main(["--loss", "ssdu", "--model", model])
        assert raised.value.code == 2
        error = capsys.readouterr().err
        assert "error: --loss is a flag of --model clgvarnet, varnet only" in error
    with pytest.raises(InputError, match="loss 'l1': expected ssim ssdu"):
        tiny(loss="l1")


REFUSED = {
    "ratio": (["--ssdu_ratio", "1.5"], "ssdu_ratio 1.5: expected a number between 0 and 1"),
    "masks": (["--ssdu_masks", "0"], "ssdu_masks 0: expected 1 or more"),
    "no room": (["--ssdu_ratio", "0.9"], r"a.h5: ssdu_ratio 0.9 holds out"),
    "nothing": (["--ssdu_ratio", "0.001"], r"a.h5: ssdu_ratio 0.001 holds out 0 of"),
    "augment": (["--augment", "true"], "loss ssdu with augment or train_size"),
    "train_size": (["--train_size", "32"], "loss ssdu with augment or train_size"),
    "ssim": (["--loss", "ssim"], "a.h5: no 'reconstruction_rss'.*loss ssdu takes folders"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(
    case: str, masked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, message = REFUSED[case]
    data = ["--challenge", "multicoil", "--data_path", str(masked)]
    root = tmp_path / "run"
    assert main([*COMMAND, *CLGVARNET, *data, "--default_root_dir", str(root), *flags]) == 1
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert re.search(message, error), error
    assert not root.exists()


def test_volumes_with_and_without_a_reference_fit_into_no_batch(
    masked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In validation; training uses no references."""
    root = Path(shutil.copytree(masked, tmp_path / "data"))
    for split in ("train", "val"):
        write(root / f"multicoil_{split}" / "d.h5", "multicoil", 4, column_mask(), reference=True)
    flags = [*COMMAND, *CLGVARNET, "--challenge", "multicoil", "--data_path", str(root)]
    flags += ["--default_root_dir", str(tmp_path / "run"), "--max_epochs", "1"]
    assert main(flags) == 1
    error = capsys.readouterr().err
    assert "multicoil_val: c.h5 without a reference, 1 with one" in error
    (root / "multicoil_val" / "c.h5").unlink()
    assert main(flags) == 0
    # another split holds out other columns, so that losses cannot be compared
    assert main([*flags, "--max_epochs", "2", "--ssdu_ratio", "0.3"]) == 1
    assert "trained with" in (error := capsys.readouterr().err)
    assert "ssdu_ratio 0.4" in error
