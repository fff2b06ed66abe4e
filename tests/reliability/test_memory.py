"""Memory and open files do not grow during a training, nor from run to run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# measures a process from within, each `every` epochs of a training, or after each of 8 for 0
CODE = """
import gc, json, os, sys
from pathlib import Path
import pytorch_lightning as pl
from fastmri_clgnet.data import Data
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.training import train

PAGE = os.sysconf("SC_PAGE_SIZE")
measured = []

def measure():
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6
    measured.append((resident, len(os.listdir("/proc/self/fd"))))

class Measure(pl.Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        if (trainer.current_epoch + 1) % every == 0:
            measure()

every, model, arguments, root, batch_size, trainer = json.loads(sys.argv[1])
for i in range(1 if every else 8):
    data = Data(root, batch_size=batch_size, num_workers=0)
    callbacks = [Measure()] if every else []
    module = MODELS[model].module(**MODELS[model].fixed, **arguments)
    train(module, data, trainer=trainer, default_root_dir=f"run{i}", callbacks=callbacks)
    if not every:
        measure()
print("MEASURED", json.dumps(measured))
"""
SMALL = {"chans": 4, "num_groups": 1, "num_blocks": 1}
MEGABYTES = 30  # noise of the allocator; a leak would be larger


def assert_flat(
    folder: Path, root: Path, every: int, batch_size: int, model: str = "clgnet", **epochs: Any
) -> None:
    """The last memory and number of open files are not above the second; the first is warm-up."""
    quiet = {"accelerator": "cpu", "enable_progress_bar": False, "log_every_n_steps": 10}
    arguments = SMALL if model == "clgnet" else {}
    job = json.dumps([every, model, arguments, str(root), batch_size, quiet | epochs])
    process = subprocess.run(
        [sys.executable, "-c", CODE, job], capture_output=True, text=True, cwd=folder
    )
    assert process.returncode == 0, process.stderr
    line = next(x for x in process.stdout.splitlines() if x.startswith("MEASURED"))
    measured = json.loads(line.removeprefix("MEASURED "))
    assert len(measured) >= 4
    assert measured[-1][0] - measured[1][0] < MEGABYTES, measured
    assert measured[-1][1] <= measured[1][1], measured


@pytest.mark.slow
def test_2000_steps(small_dataset: Path, tmp_path: Path) -> None:
    assert_flat(tmp_path, small_dataset, 60, 1, max_epochs=334, check_val_every_n_epoch=334)


@pytest.mark.slow
def test_50_epochs_of_validation_with_images(small_dataset: Path, tmp_path: Path) -> None:
    assert_flat(tmp_path, small_dataset, 10, 2, max_epochs=50, limit_train_batches=1)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["clgnet", "dudor"])
def test_runs_in_one_process(model: str, small_dataset: Path, tmp_path: Path) -> None:
    """As in `benchmark table1`, one after the other."""
    assert_flat(tmp_path, small_dataset, 0, 2, model, max_epochs=1)
