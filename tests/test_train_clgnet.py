"""The training command on a small data set: training, resuming, testing, errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fastmri_clgnet.reporting import report
from fastmri_clgnet.train_clgnet import main, parse_arguments
from fastmri_clgnet.training.command import trainer_of
from tests.helpers import QUIET, SMALL, host_evaluates
from tests.processes import Running, as_main

MODULE = "fastmri_clgnet.train_clgnet"
COMMAND = [*SMALL, *QUIET, "--batch_size", "2", "--lr", "0.001", "--log_every_n_steps", "1"]


def steps(path: Path) -> int:
    """Optimizer steps in a checkpoint, which loads without any pickled code."""
    return int(torch.load(path, weights_only=True)["global_step"])


@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
def test_trains_resumes_tests_and_evaluates(
    challenge: str,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--challenge", challenge, "--data_path", str(small_dataset)]
    assert main([*COMMAND, *data, "--max_epochs", "1"]) == 0
    root = Path("clgnet") / challenge
    assert steps(root / "checkpoints" / "last.ckpt") == 3
    assert main([*COMMAND, *data, "--max_epochs", "2"]) == 0
    assert steps(root / "checkpoints" / "last.ckpt") == 6
    printed = capsys.readouterr().out
    assert "Continuing from" in printed
    assert "zero-filled" in printed
    assert "PSNR (dB)" in printed
    for name in ("comparison.png", "config.yaml", "metrics.json", "reconstructions/e.h5"):
        assert (root / name).is_file()
        assert name.split("/")[0] in printed or name == "metrics.json"
    assert list((root / "tensorboard").glob("events*"))
    with h5py.File(root / "reconstructions" / "e.h5") as file:
        assert file["reconstruction"].shape == (3, 32, 32)

    # the validation split, from another folder, by the saved configuration
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    config = ["--config", str(tmp_path / root / "config.yaml")]
    moved = ["--default_root_dir", str(tmp_path / root)]
    assert main([*config, *moved, "--mode", "test", "--test_split", "val"]) == 0
    values = host_evaluates(
        small_dataset / f"{challenge}_val", tmp_path / root / "reconstructions_val", challenge
    )
    logged = json.loads((tmp_path / root / "metrics.json").read_text())["CLGNet"]
    for name, value in logged.items():
        # printed with four digits
        assert values[name.upper()] == pytest.approx(value, rel=1e-3)

    # nothing was written to fastMRI's folder
    assert not list(tmp_path.rglob("*.pkl"))
    assert not list(tmp_path.rglob("fastmri_dirs.yaml"))


def test_the_same_seed_gives_the_same_weights(small_dataset: Path, tmp_path: Path) -> None:
    states = []
    for name in ("a", "b"):
        root = ["--default_root_dir", str(tmp_path / name), "--logger", "false"]
        data = ["--data_path", str(small_dataset), "--max_epochs", "1", "--deterministic"]
        assert main([*COMMAND, *data, *root]) == 0
        states.append(torch.load(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"])
    torch.use_deterministic_algorithms(False)
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert (tmp_path / "a" / "images").is_dir()


def test_ckpt_path_none_starts_over(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*COMMAND, "--data_path", str(small_dataset), "--default_root_dir", str(tmp_path)]
    assert main([*command, "--max_epochs", "2"]) == 0
    assert main([*command, "--max_epochs", "1", "--ckpt_path", "none"]) == 0
    assert steps(tmp_path / "checkpoints" / "last.ckpt") == 3
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == [
        "best.ckpt",
        "last.ckpt",
    ]
    assert "Continuing" not in capsys.readouterr().out


def test_real_process_and_ctrl_c(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C during training leaves a checkpoint, from which the same command continues."""
    command = [*COMMAND, "--data_path", str(small_dataset)]
    endless = ["--max_epochs", "100000", "--check_val_every_n_epoch", "100"]
    monkeypatch.chdir(tmp_path)
    started = Running(as_main, MODULE, [*command, *endless])
    logs = tmp_path / "clgnet" / "singlecoil" / "tensorboard"
    deadline = time.monotonic() + 300
    try:
        # some steps have been logged
        while sum(path.stat().st_size for path in logs.glob("events*")) < 5_000:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert started.process.pid is not None
        os.kill(started.process.pid, signal.SIGINT)
    finally:
        ended = started.wait(60)
    assert ended.returncode == 130, ended.stderr
    assert "The same command continues from" in ended.stdout
    assert "Traceback" not in ended.stderr
    last = tmp_path / "clgnet" / "singlecoil" / "checkpoints" / "last.ckpt"
    done = steps(last)
    assert done > 0
    capsys.readouterr()
    assert main([*command, "--max_steps", str(done + 1)]) == 0
    assert "Continuing from" in capsys.readouterr().out
    assert steps(last) == done + 1


def test_fastmri_dirs_yaml_is_read_and_never_made(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_arguments([])["data_path"] is None
    assert list(tmp_path.iterdir()) == []
    dirs = Path("fastmri_dirs.yaml")
    dirs.write_text(yaml.dump({"knee_path": "/path/to/knee", "log_path": "logs"}))
    values = parse_arguments([])
    assert values["data_path"] is None
    assert values["default_root_dir"] == Path("logs/clgnet/singlecoil_demo")
    assert (values["chans"], values["vgg_layers"]) == (16, (1, 3, 5))
    assert parse_arguments(["--chans", "8"])["chans"] == 8
    dirs.write_text(yaml.dump({"knee_path": "/nowhere", "brain_path": str(small_dataset)}))
    values = parse_arguments(["--challenge", "multicoil"])
    assert values["data_path"] == small_dataset
    assert (values["chans"], values["batch_size"], values["lr"]) == (32, 10, 1e-4)


class Bomb:
    """Something that runs when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Create a file."""
        return os.mkdir, ("exploded",)


@pytest.fixture
def run_dir(small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data set that can be damaged, and bad checkpoints."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val", "test"):
        shutil.copytree(small_dataset / f"singlecoil_{split}", Path("data") / f"singlecoil_{split}")
    torch.save({"state_dict": Bomb()}, "bomb.ckpt")
    Path("noise.ckpt").write_bytes(b"noise")
    torch.save({"weights": 1}, "other.ckpt")
    torch.save({"state_dict": {"unet.weight": torch.zeros(1)}}, "unet.ckpt")
    return tmp_path


ERRORS = {
    "no folder": (["--data_path", "nowhere"], "nowhere/singlecoil_train: no such"),
    "no split": (["--challenge", "multicoil"], "data/multicoil_train: no such"),
    "fractions": (["--accelerations", "4", "8"], "centre fraction for each"),
    "too dense": (["--accelerations", "20"], "centre alone would be more"),
    "rates": (["--sample_rate", "0.5", "--volume_sample_rate", "0.5"], "but not both"),
    "wavelet": (["--wavelet", "nonsense"], "not a discrete wavelet"),
    "no checkpoint": (["--ckpt_path", "nowhere.ckpt"], "nowhere.ckpt: no such checkpoint"),
    "nothing to test": (["--mode", "test"], "train first"),
    "test none": (["--mode", "test", "--ckpt_path", "none"], "checkpoint"),
    "bomb": (["--ckpt_path", "bomb.ckpt"], "bomb.ckpt: cannot be loaded safely"),
    "noise": (["--ckpt_path", "noise.ckpt"], "noise.ckpt: not a checkpoint"),
    "no state": (["--ckpt_path", "other.ckpt"], "other.ckpt: holds no 'state_dict'"),
    "other model": (["--ckpt_path", "unet.ckpt"], "unet.ckpt: of another model"),
    "two sources": (["--demo_dir", "demo"], "contradict"),
    "accelerator": (["--accelerator", "gpu"], "argument of the trainer"),
    "precision": (["--precision", "bf16-true"], "bf16-mixed"),
    "a file": (["--default_root_dir", "noise.ckpt"], "noise.ckpt: is a file"),
    "no validation": (["--limit_val_batches", "0"], "validation"),
    "no batches": (["--limit_train_batches", "0"], "limit_train_batches 0: expected more than 0"),
    "no slices": (["--sample_rate", "0.05"], "data: no slice is left for train by sample_rate"),
    "no epoch": (["--check_val_every_n_epoch", "0"], "check_val_every_n_epoch 0: expected more"),
    "no interval": (["--val_check_interval", "0"], "val_check_interval 0: expected more than 0"),
    "rare": (["--val_check_interval", "99"], "`val_check_interval` (99) must be less than"),
    "no step": (["--accumulate_grad_batches", "0"], "accumulate_grad_batches 0: expected more"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.usefixtures("run_dir")
def test_bad_input_is_one_error_and_nothing_is_written(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, message = ERRORS[name]
    if name == "accelerator" and torch.cuda.is_available():
        pytest.skip("this machine has the GPU whose absence is tested")
    assert main(["--data_path", "data", *COMMAND, *flags]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not Path("exploded").exists()
    assert not Path("clgnet/singlecoil/checkpoints").exists()


@pytest.mark.parametrize(
    ("flags", "models"),
    [(["--num-pool-layers=2"], "unet"), (["--wavelet", "haar"], "clgnet, clgnet_dc, clgvarnet")],
)
def test_a_flag_of_another_model_names_that_model(
    flags: list[str], models: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--model", "varnet", *flags])
    assert raised.value.code == 2
    assert f"a flag of --model {models} only" in capsys.readouterr().err


def test_lists_and_mappings_of_the_trainer_are_json(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.dump({"devices": [0], "max_time": {"minutes": 1}, "max_epochs": None}))
    chosen = trainer_of(parse_arguments(["--config", str(path), "--val_check_interval", "0.5"]))
    assert (chosen["devices"], chosen["max_time"]) == ([0], {"minutes": 1})
    assert (chosen["max_epochs"], chosen["val_check_interval"]) == (None, 0.5)
    assert trainer_of(parse_arguments(["--devices", "2"]))["devices"] == 2


@pytest.mark.usefixtures("run_dir")
def test_bad_files_are_found_before_training(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("data/singlecoil_val/d.h5")
    with h5py.File(path, "r+") as file:
        file["kspace"][0, 0, 0] = np.nan
    assert main(["--data_path", "data", *COMMAND]) == 1
    assert f"error: {path}, slice 0: the k-space holds NaN" in capsys.readouterr().err
    assert not Path("clgnet").exists()
    with pytest.raises(ValueError, match="holds NaN"):
        main(["--data_path", "data", *COMMAND, "--debug"])


@pytest.mark.usefixtures("run_dir")
def test_the_objective_and_what_happens_without_its_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", "empty")
    command = ["--data_path", "data", *COMMAND, "--batch_size", "6", "--max_epochs", "1"]
    objective = [*command, "--alpha", "0.05"]
    assert main(objective) == 1
    error = capsys.readouterr().err
    assert "error: VGG19's ImageNet weights could not be downloaded" in error
    assert "vgg_weights" in error
    assert not Path("clgnet").exists()
    torch.save({"0.weight": torch.randn(64, 3, 3, 3), "0.bias": torch.zeros(64)}, "vgg.pt")
    weights = ["--vgg_weights", "vgg.pt"]
    assert main([*objective, *weights]) == 1
    assert "vgg.pt: no weights for convolution 3, 5, 9, 13" in capsys.readouterr().err
    assert main([*objective, *weights, "--vgg_layers", "1", "2"]) == 1
    assert "vgg_layers: expected some of 1 3 5 9 13" in capsys.readouterr().err
    assert main([*objective, *weights, "--vgg_layers", "1"]) == 0
    assert "Loss: L1 + 0.05 x contrastive" in capsys.readouterr().out
    checkpoint = torch.load("clgnet/singlecoil/checkpoints/last.ckpt", weights_only=True)
    assert all(name.startswith("clgnet.") for name in checkpoint["state_dict"])
    (optimizer,) = checkpoint["optimizer_states"]
    assert len(optimizer["state"]) == len(checkpoint["state_dict"])
    events = EventAccumulator("clgnet/singlecoil/tensorboard")
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"train_loss", "train_loss/l1", "train_loss/contrastive"} <= scalars
    # the network of an ablation, tested as it was trained
    assert main([*command, "--variant", "sa", "--default_root_dir", "sa"]) == 0
    assert main([*command, "--variant", "sa", "--default_root_dir", "sa", "--mode", "test"]) == 0
    assert main([*command, "--default_root_dir", "sa", "--mode", "test"]) == 1
    assert "trained with variant sa" in capsys.readouterr().err


# a tiny network of each model with a size from the command line
SIZES = {
    "unet": ["--chans", "4", "--num_pool_layers", "2"],
    "clgnet_dc": SMALL[:-2],
    "clgvarnet": [*SMALL[:-2], "--num_cascades", "2", "--checkpoint_activations", "true"],
    "varnet": ["--num_cascades", "2", "--chans", "4", "--pools", "2"],
}


OTHERS = (*SIZES, "dccnn", "ista", "cddn", "pd", "dudor", "octconv")


@pytest.mark.parametrize(
    ("model", "whole"),
    [
        *((model, False) for model in OTHERS),
        ("unet", True),
        ("dccnn", True),  # on k-space
        *(
            pytest.param(model, True, marks=pytest.mark.slow)
            for model in OTHERS
            if model not in ("unet", "dccnn")
        ),
    ],
)
def test_other_models_train_resume_and_test(
    model: str,
    whole: bool,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["--model", model, *QUIET, "--batch_size", "2", "--data_path", str(small_dataset)]
    command += [*SIZES.get(model, []), "--limit_train_batches", "1"]
    assert main([*command, "--max_epochs", "1"]) == 0
    root = Path(model) / "singlecoil"
    assert steps(root / "checkpoints" / "last.ckpt") == 1
    assert len(json.loads((root / "metrics.json").read_text())) == 2
    with h5py.File(root / "reconstructions" / "e.h5") as file:
        assert file["reconstruction"].shape == (3, 32, 32)
    if not whole:
        return
    assert main([*command, "--max_epochs", "2"]) == 0
    assert steps(root / "checkpoints" / "last.ckpt") == 2
    assert "Loss:" not in capsys.readouterr().out
    assert len(json.loads((root / "metrics.json").read_text())) == 2
    # the saved configuration has the model
    config = ["--config", str(root / "config.yaml")]
    assert main([*config, "--mode", "test", "--test_split", "val"]) == 0
    values = host_evaluates(
        small_dataset / "singlecoil_val", root / "reconstructions_val", "singlecoil"
    )
    metrics = json.loads((root / "metrics.json").read_text())
    (label,) = metrics.keys() - {"zero-filled"}
    for name, value in metrics[label].items():
        assert values[name.upper()] == pytest.approx(value, rel=1e-3)
    with h5py.File(root / "reconstructions" / "e.h5") as file:
        assert file["reconstruction"].shape == (3, 32, 32)


def test_zero_filling_needs_no_training(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["--model", "zero_filled", *QUIET, "--data_path", str(small_dataset)]
    assert main(command) == 0
    root = Path("zero_filled") / "singlecoil"
    assert (root / "reconstructions" / "e.h5").is_file()
    assert not (root / "checkpoints").exists()
    assert "TensorBoard logs: (off)" in capsys.readouterr().out
    assert yaml.safe_load((root / "config.yaml").read_text())["model"] == "zero_filled"
    assert report([root], tmp_path / "report.html").path.stat().st_size > 10_000
    assert main([*command, "--mode", "test", "--test_split", "val"]) == 0
    # separate from the test split, so that a folder can be evaluated directly
    assert {path.name for path in (root / "reconstructions_val").iterdir()} == {"c.h5", "d.h5"}
    assert {path.name for path in (root / "reconstructions").iterdir()} == {"e.h5"}


@pytest.mark.usefixtures("run_dir")
def test_comparison_methods_refuse_multicoil_data(
    small_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model", "dccnn", "--challenge", "multicoil", "--data_path", str(small_dataset)]
    assert main(flags) == 1
    error = capsys.readouterr().err
    assert (
        "takes single-coil data only; clgnet, clgnet_dc, clgvarnet, unet, varnet, cs_wavelet, "
        "cs_tv, zero_filled take" in error
    )


@pytest.mark.parametrize("model", ["clgnet_dc", "clgvarnet", "varnet"])
def test_data_consistency_on_multicoil_data(
    model: str, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both train with mixed accelerations in a batch, and use the test volume's own mask."""
    flags = [*QUIET, *SIZES[model], "--challenge", "multicoil", "--data_path", str(small_dataset)]
    flags += ["--accelerations", "4", "2", "--center_fractions", "0.1", "0.2", "--batch_size", "3"]
    if model != "clgnet_dc":
        flags += ["--sens_chans", "2", "--sens_pools", "2"]
    root = ["--default_root_dir", str(tmp_path)]
    assert main(["--model", model, *flags, *root, "--max_epochs", "2"]) == 0
    assert steps(tmp_path / "checkpoints" / "last.ckpt") == 4
    with h5py.File(tmp_path / "reconstructions" / "e.h5") as file:
        assert np.isfinite(file["reconstruction"][()]).all()
    flags[flags.index("multicoil")] = "singlecoil"
    if model != "clgnet_dc":
        capsys.readouterr()
        assert main(["--model", model, *flags, *root]) == 1
        assert "trained with challenge multicoil" in capsys.readouterr().err


@pytest.mark.usefixtures("run_dir")
def test_checkpoint_of_another_size_names_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data_path", "data", *COMMAND, "--max_epochs", "1"]) == 0
    assert main(["--data_path", "data", *COMMAND, "--chans", "6"]) == 1
    assert "trained with chans 4. Give these" in capsys.readouterr().err
    # the same shapes, another network
    assert main(["--data_path", "data", *COMMAND, "--mode", "test", "--wavelet", "db4"]) == 1
    assert "trained with wavelet haar. Give these" in capsys.readouterr().err


@pytest.mark.usefixtures("run_dir")
def test_a_run_of_some_batches_replaces_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--data_path", "data", *COMMAND, "--max_epochs", "1"]
    assert main(command) == 0
    root = Path("clgnet/singlecoil")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert main([*command, "--fast_dev_run", "true"]) == 1
    assert f"{root}: holds a run, whose results" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert main([*command, "--fast_dev_run", "true", "--default_root_dir", "try"]) == 0


@pytest.mark.parametrize("model", ["clgnet", "clgvarnet", "zero_filled"])
def test_a_configuration_gives_the_values_that_it_was_made_of(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where one is null and its default is not."""
    flags = ["--model", model, "--data_path", "DATA", "--check_val_every_n_epoch", "null"]
    flags += ["--val_check_interval", "9"]
    flags += [] if model == "zero_filled" else ["--lr_step_size", "null"]
    with pytest.raises(SystemExit):
        main([*flags, "--print_config"])
    path = tmp_path / "run.yaml"
    path.write_text(capsys.readouterr().out)
    assert yaml.safe_load(path.read_text())["check_val_every_n_epoch"] is None
    given, read = parse_arguments(flags), parse_arguments(["--config", str(path)])
    assert {**read, "config": None} == {**given, "config": None}


def test_training_without_a_test_split(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run_dir / "data" / "singlecoil_test")
    assert main(["--data_path", "data", *COMMAND, "--max_epochs", "1"]) == 0
    assert "(no test split)" in capsys.readouterr().out
