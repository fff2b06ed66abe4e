"""Memory and open files do not grow with the length of a training, nor from run to run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import QUIET, SMALL

# measures a process from within; its arguments are those of train_clgnet, after a count of epochs
CODE = """
import gc, json, os, sys
from functools import partial
from pathlib import Path
import pytorch_lightning as pl
from fastmri_clgnet import train_clgnet
from fastmri_clgnet.training import train

PAGE = os.sysconf("SC_PAGE_SIZE")
measured = []

def measure():
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6
    measured.append((resident, len(os.listdir("/proc/self/fd"))))

class Measure(pl.Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        if (trainer.current_epoch + 1) % EVERY == 0:
            measure()

EVERY = int(sys.argv[1])
if EVERY:
    train_clgnet.train = partial(train, callbacks=[Measure()])
    assert train_clgnet.main(sys.argv[2:]) == 0
else:
    for i in range(8):
        assert train_clgnet.main([*sys.argv[2:], "--default_root_dir", f"run{i}"]) == 0
        measure()
print("MEASURED", json.dumps(measured))
"""
MEGABYTES = 30  # noise of the allocator; what grew would grow by more


def measure(every: int, flags: list[str], folder: Path) -> list[tuple[float, int]]:
    """Resident megabytes and open files, each `every` epochs, or after each of 8 runs for 0."""
    process = subprocess.run(
        [sys.executable, "-c", CODE, str(every), *QUIET, "--log_every_n_steps", "10", *flags],
        capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    line = next(x for x in process.stdout.splitlines() if x.startswith("MEASURED"))
    return [(megabytes, files) for megabytes, files in json.loads(line.removeprefix("MEASURED "))]


def assert_flat(measured: list[tuple[float, int]]) -> None:
    """The last is not above the second, up to noise; the first warms up."""
    assert len(measured) >= 4
    assert measured[-1][0] - measured[1][0] < MEGABYTES, measured
    assert measured[-1][1] <= measured[1][1], measured


@pytest.mark.slow
def test_2000_steps(small_dataset: Path, tmp_path: Path) -> None:
    flags = ["--data_path", str(small_dataset), *SMALL, "--batch_size", "1"]
    flags += ["--max_epochs", "334", "--check_val_every_n_epoch", "334"]
    assert_flat(measure(60, flags, tmp_path))


@pytest.mark.slow
def test_50_epochs_of_validation_with_images(small_dataset: Path, tmp_path: Path) -> None:
    flags = ["--data_path", str(small_dataset), *SMALL, "--batch_size", "2"]
    flags += ["--max_epochs", "50", "--limit_train_batches", "1"]
    assert_flat(measure(10, flags, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["clgnet", "dudor"])
def test_runs_in_one_process(model: str, small_dataset: Path, tmp_path: Path) -> None:
    """As `benchmark table1` has them, one after the other."""
    flags = ["--data_path", str(small_dataset), "--model", model, "--batch_size", "2"]
    flags += ["--max_epochs", "1", *(SMALL if model == "clgnet" else [])]
    assert_flat(measure(0, flags, tmp_path))
