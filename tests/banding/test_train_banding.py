"""`python -m banding.train_banding` on small data: fine-tunes, resumes, saves the model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastmri.pl_modules
import h5py
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from banding import picture, score, train_banding
from fastmri_clgnet import reconstruct, train_clgnet
from fastmri_clgnet.inference.export import export
from fastmri_clgnet.inference.loading import read_model
from fastmri_clgnet.inference.submission import read_settings
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.reporting import report
from fastmri_clgnet.training.checkpoints import MODEL_KEY, TRAINED_ON_KEY
from fastmri_clgnet.training.results import Slice
from tests.helpers import COLUMNS, MASK, QUIET, SIZE, SMALL

FLAGS = [*QUIET, "--batch_size", "1", "--log_every_n_steps", "1", "--adversary_chans", "4"]
FLAGS += ["--warmup_epochs", "0", "--limit_train_batches", "2", "--num_log_images", "0"]
UNET = ["--chans", "4", "--num_pool_layers", "2"]
CLGVARNET = ["--chans", "4", "--num_blocks", "1", "--num_cascades", "2"]
VARNET = ["--chans", "4", "--pools", "2", "--num_cascades", "2"]
NETWORKS = [
    ("clgvarnet", "multicoil", [*CLGVARNET, "--sens_chans", "2", "--sens_pools", "2"]),
    *(
        pytest.param(*network, marks=pytest.mark.slow)
        for network in (
            ("clgnet", "singlecoil", SMALL),
            ("unet", "singlecoil", UNET),
            ("unet", "multicoil", UNET),
            ("dccnn", "singlecoil", []),
            ("clgvarnet", "singlecoil", CLGVARNET),
            ("varnet", "singlecoil", VARNET),
        )
    ),
]


@pytest.fixture(scope="session")
def dark_dataset(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data set with a dark right half, since it is bright everywhere; for scores."""
    root = tmp_path_factory.mktemp("dark") / "data"
    shutil.copytree(small_dataset, root)
    axes = (-2, -1)
    for path in [*root.glob("*_train/*.h5"), *root.glob("*_val/*.h5")]:
        with h5py.File(path, "r+") as file:
            shifted = np.fft.ifftshift(file["kspace"][()], axes=axes)
            image = np.fft.fftshift(np.fft.ifft2(shifted), axes=axes)
            image[..., COLUMNS // 2 :] *= 0.01
            shifted = np.fft.fft2(np.fft.ifftshift(image, axes=axes))
            file["kspace"][...] = np.fft.fftshift(shifted, axes=axes)
            for key in ("reconstruction_esc", "reconstruction_rss"):
                if key in file:
                    file[key][..., SIZE // 2 :] *= 0.01
    return root


def pretrained(model: str, challenge: str, network: list[str], data: list[str]) -> Path:
    """Train for an epoch in the working folder; return the checkpoint."""
    command = ["--model", model, "--challenge", challenge, *network, *QUIET, *data]
    assert train_clgnet.main([*command, "--batch_size", "2", "--max_epochs", "1"]) == 0
    return Path(model) / challenge / "checkpoints" / "last.ckpt"


def read(path: Path) -> dict[str, Any]:
    contents: dict[str, Any] = torch.load(path, weights_only=True)
    return contents


@pytest.mark.parametrize(("model", "challenge", "network"), NETWORKS)
def test_fine_tunes_resumes_and_hands_back_the_plain_model(
    model: str,
    challenge: str,
    network: list[str],
    dark_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data_path", str(dark_dataset), "--limit_train_batches", "2"]
    source = pretrained(model, challenge, network, data)
    command = ["--checkpoint", str(source), "--challenge", challenge, *FLAGS, *data]
    assert train_banding.main([*command, "--max_epochs", "1"]) == 0
    root = Path("banding_runs") / model / challenge
    capsys.readouterr()
    assert train_banding.main([*command, "--max_epochs", "2"]) == 0
    printed = capsys.readouterr().out
    assert "Continuing from" in printed
    assert "epoch 2" in printed and "\nepoch 1 " not in printed
    assert (root / "bands.png").is_file()
    # both networks step once per batch
    assert read(root / "checkpoints" / "last.ckpt")["global_step"] == 2 * 2 * 2
    metrics = json.loads((root / "metrics.json").read_text())
    for moment in ("before", "after"):
        assert set(metrics[moment]) >= {"banding_score", "banding_energy", "val_metrics/ssim"}
        assert f"{metrics[moment]['banding_score']:.4f}" in printed
    events = EventAccumulator(str(root / "tensorboard"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"banding_score", "adversary_accuracy", "val_metrics/ssim"} <= scalars
    assert {"lr-Adam", "lr-Adam-1"} <= scalars

    # the plain model: the source's description of it, with other weights
    written = root / "checkpoints" / "plain.ckpt"
    before, after = read(source), read(written)
    for key in ("hyper_parameters", MODEL_KEY, TRAINED_ON_KEY):
        assert after[key] == before[key]
    assert after["state_dict"].keys() == before["state_dict"].keys()
    assert any(not torch.equal(after["state_dict"][k], v) for k, v in before["state_dict"].items())

    # Lightning reads it
    ours = MODELS[model].module.load_from_checkpoint(written, **MODELS[model].fixed)
    for name, values in ours.state_dict().items():
        torch.testing.assert_close(values, after["state_dict"][name], rtol=0, atol=0)

    # train_clgnet and reconstruct read it, and agree with each other and with the fine-tuning
    test = ["--model", model, "--challenge", challenge, *network, *QUIET, *data, "--mode", "test"]
    test += ["--test_split", "val", "--ckpt_path", str(written), "--default_root_dir", "tested"]
    assert train_clgnet.main(test) == 0
    validation = dark_dataset / f"{challenge}_val"
    made = ["--checkpoint", str(written), "--data_path", str(validation), "--device", "cpu", *MASK]
    assert reconstruct.main([*made, "--output_path", "made"]) == 0
    for name in ("c.h5", "d.h5"):
        with (
            h5py.File(Path("tested") / "reconstructions_val" / name) as one,
            h5py.File(Path("made") / name) as other,
        ):
            np.testing.assert_allclose(
                one["reconstruction"][()], other["reconstruction"][()], rtol=1e-4, atol=1e-9
            )
    scored = score.scores(["made"], target_path=validation).summaries["all"]["made"]
    for name in ("score", "energy"):
        expected = metrics["after"][f"banding_{name}"]
        assert scored[name].mean == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_config_repeats_the_run_and_max_steps_counts_batches(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data_path", str(small_dataset)]
    source = pretrained("unet", "singlecoil", UNET, [*data, "--limit_train_batches", "1"])
    command = ["--checkpoint", str(source), *FLAGS, *data, "--max_epochs", "5"]
    limits = ["--max_steps", "3", "--num_adversaries", "2"]
    assert train_banding.main([*command, *limits, "--default_root_dir", "a"]) == 0
    last = read(Path("a/checkpoints/last.ckpt"))
    assert last["global_step"] == 2 * 3  # of both networks
    repeat = ["--config", "a/config.yaml", "--default_root_dir", "b"]
    assert train_banding.main(repeat) == 0
    again = read(Path("b/checkpoints/last.ckpt"))
    assert again["global_step"] == last["global_step"]
    for name, value in last["state_dict"].items():
        torch.testing.assert_close(again["state_dict"][name], value, rtol=1e-4, atol=1e-6)
    # a fresh start; last.ckpt is written by the clock
    saved: list[int] = []
    save = pl.Trainer.save_checkpoint

    def noted(self: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        saved.append(self.global_step)
        save(self, *args, **kwargs)

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", noted)
    over = ["--default_root_dir", "b", "--ckpt_path", "none", "--checkpoint_minutes", "0"]
    assert train_banding.main(["--config", "a/config.yaml", *over]) == 0
    assert 2 in saved  # after the first batch of an epoch of two
    # one more batch after the stop
    assert train_banding.main([*repeat, "--default_root_dir", "a", "--max_steps", "4"]) == 0
    assert read(Path("a/checkpoints/last.ckpt"))["global_step"] == 2 * 4


def test_bad_input_is_one_error(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data_path", str(small_dataset)]
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, "other.ckpt")
    source = str(pretrained("dccnn", "singlecoil", [], [*data, "--limit_train_batches", "1"]))
    for name, more, message in (
        ("nowhere.ckpt", [], "nowhere.ckpt: no such weights"),
        ("other.ckpt", [], "other.ckpt: holds no weights"),
        (source, ["--challenge", "multicoil"], "model dccnn: takes single-coil data only"),
        (source, ["--alpha", "0.1"], "alpha: of clgnet's own loss; "),
        (source, ["--low_signal_weight", "2"], "low_signal_weight=2.0: expected 0 to 1"),
        (source, ["--limit_val_batches", "0"], "limit_val_batches 0: validation is needed"),
        (
            source,
            ["--max_epochs", "2", "--warmup_epochs", "2"],
            "max_epochs 2 with warmup_epochs 2",
        ),
        (
            source,
            ["--max_epochs", "9", "--check_val_every_n_epoch", "5", "--warmup_epochs", "5"],
            "max_epochs 9 with check_val_every_n_epoch 5 and warmup_epochs 5: no validation",
        ),
        (
            source,
            ["--fast_dev_run", "true", "--warmup_epochs", "1"],
            "fast_dev_run with warmup_epochs 1: nothing would be fine-tuned",
        ),
    ):
        assert train_banding.main(["--checkpoint", name, *FLAGS, *data, *more]) == 1
        assert f"error: {message}" in capsys.readouterr().err.replace(f"{source}: ", "")
    assert not Path("banding_runs").exists()
    never = ["--check_val_every_n_epoch", "5", "--max_epochs", "5", "--max_steps", "1"]
    assert train_banding.main(["--checkpoint", source, *FLAGS, *data, *never]) == 1
    assert "plain.ckpt: not written, since no validation" in capsys.readouterr().err


def test_unchanged_weights_are_said_to_be(
    small_run: Path,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 1, and the last line; a warm-up before does not count as an epoch to keep."""
    monkeypatch.chdir(tmp_path)
    command = ["--checkpoint", str(small_run / "checkpoints" / "best.ckpt"), *FLAGS]
    command += ["--data_path", str(small_dataset), "--max_epochs", "2", "--warmup_epochs", "1"]
    assert train_banding.main([*command, "--lr", "0"]) == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("Nothing was fine-tuned: all weights equal")
    assert "kept: epoch 2" in printed


@pytest.mark.parametrize(
    "method",
    [
        "dccnn",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("ista", "cddn", "pd", "octconv", "dudor")
        ),
    ],
)
def test_own_loss_of_a_comparison_method(
    method: str,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It needs the fully sampled k-space, in either orientation; config.yaml has only its flags."""
    monkeypatch.chdir(tmp_path)
    data = ["--data_path", str(small_dataset), "--limit_train_batches", "1"]
    source = pretrained(method, "singlecoil", [], data)
    command = ["--checkpoint", str(source), *FLAGS, *data, "--limit_train_batches", "4"]
    command += ["--loss", "own", "--max_epochs", "1", "--mask_type", "equispaced"]
    capsys.readouterr()
    assert train_banding.main(command) == 0
    printed = capsys.readouterr().out
    assert "trained on other data: mask_type random, here equispaced\n" in printed
    config = yaml.safe_load(Path(f"banding_runs/{method}/singlecoil/config.yaml").read_text())
    assert config["loss"] == "own" and not {"alpha", "vgg_layers", "model"} & config.keys()
    parsed = train_banding.parse_arguments(
        ["--config", f"banding_runs/{method}/singlecoil/config.yaml"]
    )
    assert parsed["mask_type"] == "equispaced"


def test_the_released_recipe_for_fastmris_varnet(
    dark_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a checkpoint of fastMRI's own VarNetModule: pre-training, then the adversary."""
    monkeypatch.chdir(tmp_path)
    varnet = fastmri.pl_modules.VarNetModule(
        num_cascades=2, pools=2, chans=4, sens_pools=2, sens_chans=2
    )
    torch.save(
        {"state_dict": varnet.state_dict(), "hyper_parameters": dict(varnet.hparams)},
        "fastmri.ckpt",
    )
    command = ["--challenge", "multicoil", "--data_path", str(dark_dataset), *QUIET]
    command += ["--center_fractions", "4", "--num_log_images", "0", "--max_epochs", "1"]
    checkpoint = "fastmri.ckpt"
    for recipe in ("released_pretraining", "released"):
        more = ["--recipe", recipe, "--checkpoint", checkpoint, "--limit_train_batches", "4"]
        assert train_banding.main([*command, *more, "--adversary_chans", "4"]) == 0
        printed = capsys.readouterr().out
        assert "artefacts in slices with little or no anatomy" in printed
        root = Path(f"banding_runs/varnet_{recipe}/multicoil")
        checkpoint = str(root / "checkpoints" / "plain.ckpt")
        last = read(root / "checkpoints" / "last.ckpt")
        assert len(last["optimizer_states"]) == (1 if recipe == "released_pretraining" else 2)
        for state in last["optimizer_states"]:
            assert state["param_groups"][0]["betas"] == (0.9, 0.999)
        written = read_model(checkpoint)
        assert (written.model, written.arguments["num_cascades"]) == ("varnet", 2)
    config = yaml.safe_load((root / "config.yaml").read_text())
    assert config["mask_type"] == "magic" and config["keep"] == "last" and config["keep_readout"]


@pytest.mark.slow
def test_two_processes(dark_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has one of the two validation volumes; they measure what one process measures."""
    monkeypatch.chdir(tmp_path)
    data = ["--data_path", str(dark_dataset)]
    source = pretrained("varnet", "multicoil", VARNET, [*data, "--limit_train_batches", "1"])
    shutil.copytree(dark_dataset, "data")
    shutil.rmtree("data/multicoil_test")  # which has one volume, too few for two
    data = ["--data_path", "data"]
    command = [sys.executable, "-m", "banding.train_banding", "--checkpoint", str(source), *FLAGS]
    command += ["--challenge", "multicoil", *data, "--max_epochs", "1", "--lr", "1e-3"]
    found = []
    for devices in ("1", "2"):
        more = ["--devices", devices, "--default_root_dir", devices]
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("\nbefore ") == 1 and done.stdout.count("kept: epoch 1") == 1
        found.append(json.loads(Path(devices, "metrics.json").read_text()))
    assert found[1]["before"] == pytest.approx(found[0]["before"], rel=1e-3)
    assert found[1]["after"] != found[1]["before"]
    assert read_model("2/checkpoints/plain.ckpt").model == "varnet"


def test_pictures_after_each_epoch(
    small_run: Path, dark_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each validation volume in a narrow window, from the first epoch after the warm-up on."""
    monkeypatch.chdir(tmp_path)
    shown: list[Slice] = []
    draw = picture.bands_figure

    def spy(one: Slice) -> Figure:
        shown.append(one)
        return draw(one)

    monkeypatch.setattr(picture, "bands_figure", spy)
    command = ["--checkpoint", str(small_run / "checkpoints" / "best.ckpt"), *FLAGS]
    command += ["--data_path", str(dark_dataset), "--warmup_epochs", "1", "--max_epochs", "3"]
    assert train_banding.main([*command, "--num_log_images", "2", "--lr", "0.01"]) == 0
    root = Path("banding_runs/clgnet/singlecoil")
    names = [f"{volume}_epoch{epoch:03}.png" for volume in "cd" for epoch in (2, 3)]
    assert sorted(path.name for path in (root / "bands").iterdir()) == names
    events = EventAccumulator(str(root / "tensorboard"))
    events.Reload()
    assert {"bands/c", "bands/d"} <= set(events.Tags()["images"])
    assert [list(one.images) for one in shown[:3]] == [["before", "epoch 2"]] * 2 + [
        ["before", "epoch 3"]
    ]
    assert shown[0].title.startswith("c.h5, slice 1") and shown[1].title.startswith("d.h5")
    assert not np.array_equal(shown[0].images["before"], shown[0].images["epoch 2"])
    np.testing.assert_array_equal(shown[0].images["before"], shown[2].images["before"])
    # the report takes the runs of before and after, and shows what was kept
    page = report([small_run, root], labels=["before", "after"], window=0.15, device="cpu")
    text = page.path.read_text(encoding="utf-8")
    assert f"banding.train_banding --config {root}/config.yaml" in text
    made = read_settings(root / "validation_reconstructions" / "c.h5")
    assert made is not None and made["checkpoint"] == str(root / "checkpoints" / "plain.ckpt")


def test_unmeasured_volumes_are_named(
    small_run: Path,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The small data set is bright everywhere, until one volume gets a dark half."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_dataset, "data")
    command = ["--checkpoint", str(small_run / "checkpoints" / "best.ckpt"), *FLAGS]
    command += ["--data_path", "data", "--max_epochs", "1"]
    assert train_banding.main(command) == 0
    printed = capsys.readouterr().out
    assert "2 validation volumes without a window of low signal: c.h5 d.h5; their bands" in printed
    assert json.loads(Path("banding_runs/clgnet/singlecoil/metrics.json").read_text())
    with h5py.File("data/singlecoil_val/d.h5", "r+") as file:
        file["reconstruction_esc"][..., :16] *= 0.01
    assert train_banding.main(command) == 0
    assert "1 validation volumes without a window of low signal: c.h5; " in capsys.readouterr().out


def test_fine_tunes_exported_weights(
    small_run: Path, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export(small_run / "checkpoints" / "best.ckpt", Path("weights"), half=True)
    data = ["--data_path", str(small_dataset), "--limit_train_batches", "1"]
    command = ["--checkpoint", "weights.safetensors", *FLAGS, *data, "--max_epochs", "1"]
    assert train_banding.main(command) == 0
    written = read_model(Path("banding_runs/clgnet/singlecoil/checkpoints/plain.ckpt"))
    source = read_model(Path("weights.safetensors"))
    assert (written.model, written.arguments) == (source.model, source.arguments)
    assert written.trained_on == source.trained_on
