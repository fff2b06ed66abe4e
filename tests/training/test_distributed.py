"""One run shared by two processes on the CPU (gloo)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import torch

from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.train_clgnet import main
from tests.helpers import QUIET, SIZE, SMALL, small_volume
from tests.processes import Running, as_main

MODULE = "fastmri_clgnet.train_clgnet"
# training on fully sampled slices, so that no mask is drawn
MASKS = ["--accelerations", "1", "--center_fractions", "0.5"]
MASKS += ["--val_accelerations", "4", "--val_center_fractions", "0.1"]
COMMAND = [*SMALL, *QUIET, *MASKS, "--log_every_n_steps", "1", "--num_sanity_val_steps", "0"]
TWO = ["--batch_size", "2", "--devices", "2", "--strategy", "ddp"]


class Runs(NamedTuple):
    """The same training in one process and in two.

    Args:
        one: Folder of the former.
        two: Folder of the latter.
        printed: What the latter's processes printed.
    """

    one: Path
    two: Path
    printed: str


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four training slices; three volumes of validation and of test, an odd number for two."""
    root = tmp_path_factory.mktemp("uneven")
    for split, names in {"train": "ab", "val": "cde", "test": "fgh"}.items():
        folder = root / f"singlecoil_{split}"
        folder.mkdir()
        for name in names:
            kspace, target = small_volume("singlecoil", ord(name))
            n_slices = 2 if split == "train" else 3
            path = folder / f"{name}.h5"
            if split == "test":
                mask = np.arange(kspace.shape[-1]) % 2 == 0
                write_fastmri_file(path, kspace * mask, mask=mask, recon_size=(SIZE, SIZE))
            else:
                write_fastmri_file(path, kspace[:n_slices], target[:n_slices])
    return root


@pytest.fixture(scope="module")
def runs(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One step on the joint batch of four slices, in one process and in two, half of it each."""
    root = tmp_path_factory.mktemp("runs")
    flags = [*COMMAND, "--data_path", str(data_path), "--max_epochs", "1"]
    one, two = root / "one", root / "two"
    # as a cluster starts them, so that they can be forked from a process with all imports
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    each = [*flags, *TWO, "--default_root_dir", str(two)]
    processes = [
        Running(as_main, MODULE, each, environment={**shared, "LOCAL_RANK": rank}) for rank in "01"
    ]
    ended = [process.wait(300) for process in processes]
    assert [process.returncode for process in ended] == [0, 0], ended
    assert main([*flags, "--batch_size", "4", "--default_root_dir", str(one)]) == 0
    return Runs(one, two, "".join(process.stdout for process in ended))


def checkpoint(root: Path) -> dict[str, Any]:
    """The last checkpoint of a run."""
    loaded: dict[str, Any] = torch.load(root / "checkpoints" / "last.ckpt", weights_only=True)
    return loaded


def test_gradients_equal_those_of_the_joint_batch(runs: Runs) -> None:
    """Adam's first moment after one step is a tenth of the gradient."""
    states = [checkpoint(root)["optimizer_states"][0]["state"] for root in (runs.one, runs.two)]
    assert states[0].keys() == states[1].keys()
    moments = {key: state["exp_avg"] for key, state in states[0].items()}
    # the normalisation cancels the spectral bias: its gradient is what float32 rounds off
    rounding = 1e-7 * max(float(each.abs().max()) for each in moments.values())
    for key, expected in moments.items():
        assert expected.abs().max() > 0
        tolerance = max(1e-4 * float(expected.abs().max()), rounding)
        torch.testing.assert_close(states[1][key]["exp_avg"], expected, rtol=0, atol=tolerance)


def test_validation_equals_that_of_one_process(runs: Runs) -> None:
    metrics = [json.loads((root / "metrics.json").read_text()) for root in (runs.one, runs.two)]
    assert metrics[0].keys() == {"zero-filled", "CLGNet"}
    for method, values in metrics[0].items():
        for name, value in values.items():
            assert metrics[1][method][name] == pytest.approx(value, rel=1e-5), (method, name)
    losses = []
    for root in (runs.one, runs.two):
        callbacks = checkpoint(root)["callbacks"]
        (key,) = [key for key in callbacks if "validation_loss" in key]
        losses.append(float(callbacks[key]["best_model_score"]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_every_volume_is_written_whole(runs: Runs) -> None:
    for name in "fgh":
        volumes = []
        for root in (runs.one, runs.two):
            with h5py.File(root / "reconstructions" / f"{name}.h5") as file:
                volumes.append(file["reconstruction"][()])
        assert volumes[0].shape == (3, SIZE, SIZE)
        np.testing.assert_allclose(
            volumes[1], volumes[0], rtol=0, atol=1e-3 * np.abs(volumes[0]).max()
        )
    assert len(list((runs.two / "reconstructions").iterdir())) == 3


def test_one_process_alone_writes_and_speaks(runs: Runs) -> None:
    assert len(list((runs.two / "tensorboard").glob("events*"))) == 1
    names = sorted(path.name for path in runs.two.iterdir())
    assert names == sorted(path.name for path in runs.one.iterdir())
    for text in ("Loss: L1 only", "Saved reconstructions", "Validation volumes", "PSNR (dB)"):
        assert runs.printed.count(text) == 1, text


def test_too_many_processes_are_one_error(
    data_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*COMMAND, "--data_path", str(data_path), "--default_root_dir", str(tmp_path / "run")]
    assert main([*flags, "--devices", "4", "--strategy", "ddp"]) == 1
    error = capsys.readouterr().err
    assert "singlecoil_val: 3 volumes for 4 processes" in error
    assert not (tmp_path / "run").exists()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def run_all(commands: Sequence[tuple[list[str], dict[str, str]]], cwd: Path) -> list[str]:
    """Run processes at once, each with more environment variables; give what they printed."""
    processes = [
        subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command, environment in commands
    ]
    printed = [process.communicate(timeout=600)[0] for process in processes]
    for process, text in zip(processes, printed, strict=True):
        assert process.returncode == 0, text
    return printed


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "slurm"])
def test_launchers_and_the_demo_data_set(launcher: str, tmp_path: Path) -> None:
    """As torchrun and as srun start processes; the first one makes the demo data set, once."""
    flags = ["-m", MODULE, *SMALL, *QUIET, "--devices", "2", "--strategy", "ddp", "--demo_dir"]
    flags += ["demo", "--max_steps", "1", "--limit_val_batches", "1"]
    commands: list[tuple[list[str], dict[str, str]]]
    if launcher == "torchrun":
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
        commands = [([*torchrun, "--master_port", str(free_port()), *flags], {})]
    else:
        slurm = {
            "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2",
            "SLURM_NTASKS_PER_NODE": "2", "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "localhost",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
        }  # fmt: skip
        commands = [
            (
                [sys.executable, *flags],
                {**slurm, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            )
            for rank in range(2)
        ]
    printed = "".join(run_all(commands, tmp_path))
    assert "Starting with 2 processes" in printed
    # tqdm's first line of a bar, in one process alone
    assert printed.count("Making the demo data set:   0%") == 1
    assert printed.count("*** DEMO") == 1
    root = tmp_path / "clgnet" / "singlecoil_demo"
    assert checkpoint(root)["global_step"] == 1
    assert len(list((root / "reconstructions").iterdir())) == 2


# the kill may come in the middle of an epoch, and Lightning says so
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch")
@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_a_checkpoint(data_path: Path, tmp_path: Path) -> None:
    flags = [*COMMAND, "--data_path", str(data_path), "--check_val_every_n_epoch", "1000000"]
    flags += ["--checkpoint_minutes", "0.02"]  # the last file stands
    root = tmp_path / "run"
    command = [sys.executable, "-m", MODULE, *flags, *TWO, "--default_root_dir", str(root)]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--max_epochs", "1000000"], stdout=file, stderr=subprocess.STDOUT
        )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("needs Linux's list of a process's children")
    deadline = time.monotonic() + 300
    while not list(root.glob("tensorboard/events*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(10)
    os.kill(int(children.read_text().split()[-1]), signal.SIGKILL)
    assert process.wait(timeout=120) != 0
    printed = log.read_text()
    assert "Stopped by an error. The same command continues from" in printed
    done = checkpoint(root)["global_step"]
    assert done > 0
    assert main([*command[3:-6], "--batch_size", "2", "--default_root_dir", str(root),
                 "--max_steps", str(done + 1), "--max_epochs", "-1"]) == 0  # fmt: skip
    assert checkpoint(root)["global_step"] == done + 1
