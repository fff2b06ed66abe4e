"""Fixtures: references with hostile names, and reconstructions of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import fastmri
import h5py
import numpy as np
import pytest

from fastmri_clgnet.data import write_fastmri_file
from tests.helpers import small_volume

HOSTILE = "<img src=x onerror=alert(1)>&'\"{{ 1 }}"


class Folders(NamedTuple):
    """References and two prediction folders."""

    targets: Path
    good: Path
    bad: Path


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Two volumes of 8 slices, one with a hostile name; predictions are volumes with noise."""
    root = tmp_path_factory.mktemp("report")
    folders = Folders(root / "targets", root / "good", root / "bad")
    rng = np.random.default_rng(0)
    folders.targets.mkdir()
    for seed, name in enumerate((f"{HOSTILE}.h5", "plain.h5")):
        volumes = [small_volume("singlecoil", 3 * seed + i) for i in range(3)]
        kspace, target = (np.concatenate(arrays)[:8] for arrays in zip(*volumes, strict=True))
        write_fastmri_file(
            folders.targets / name, kspace, target, acquisition="</script><script>throw 1"
        )
        for folder, noise in ((folders.good, 0.02), (folders.bad, 0.2)):
            level = noise * target.max() * np.linspace(0.5, 1, 8)[:, None, None]
            image = target + level * rng.standard_normal(target.shape)
            fastmri.save_reconstructions({name: image.astype(np.float32)}, folder)
    with h5py.File(folders.targets / "plain.h5", "r+") as file:
        file.attrs["acquisition"] = "AXT2"
    return folders
