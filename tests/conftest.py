"""Fixtures: small data sets, and the folder of larger test data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from fastmri_clgnet.train_clgnet import main
from tests.browser import browse
from tests.helpers import QUIET, SMALL, make_small_dataset

__all__ = ["browse"]

# two workers share two cores; child processes inherit the variable
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of both challenges; read only."""
    root = tmp_path_factory.mktemp("small")
    for challenge in ("singlecoil", "multicoil"):
        make_small_dataset(root, challenge)
    return root


@pytest.fixture(scope="session")
def small_run(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of train_clgnet on single-coil data; read only."""
    root = tmp_path_factory.mktemp("run") / "small_run"
    flags = ["--data_path", str(small_dataset), "--default_root_dir", str(root)]
    flags += ["--batch_size", "2", "--max_epochs", "2", "--lr", "0.001", "--log_every_n_steps", "1"]
    assert main([*SMALL, *QUIET, *flags]) == 0
    return root


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data and weights, given by FASTMRI_CLGNET_TEST_DATA."""
    if "FASTMRI_CLGNET_TEST_DATA" not in os.environ:
        pytest.skip("needs FASTMRI_CLGNET_TEST_DATA, a folder of real data (see CONTRIBUTING.md)")
    return Path(os.environ["FASTMRI_CLGNET_TEST_DATA"])


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded generator."""
    return torch.Generator().manual_seed(0)
