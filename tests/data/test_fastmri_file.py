"""Writing fastMRI's files, and reading them back through the host."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fastmri.data import SliceDataset

from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.errors import InputError
from tests.helpers import COLUMNS, ROWS, SIZE, small_volume


@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
def test_host_reads_what_was_written(challenge: str, tmp_path: Path) -> None:
    kspace, target = small_volume(challenge, 0)
    write_fastmri_file(tmp_path / "a.h5", kspace, target, acquisition="AXT2", patient_id="P")
    dataset = SliceDataset(tmp_path, challenge)
    assert len(dataset) == 3
    read, mask, read_target, attributes, name, index = dataset[1]
    assert np.array_equal(read, kspace[1])
    assert np.array_equal(read_target, target[1])
    assert (mask, name, index) == (None, "a.h5", 1)
    assert attributes["encoding_size"] == (ROWS, COLUMNS, 1)
    assert attributes["recon_size"] == (SIZE, SIZE, 1)
    assert (attributes["padding_left"], attributes["padding_right"]) == (0, COLUMNS)
    assert attributes["acquisition"] == "AXT2"
    assert attributes["patient_id"] == "P"
    assert attributes["max"] == target.max()
    assert np.isclose(attributes["norm"], np.linalg.norm(target))


def test_refusals_leave_nothing_and_keep_the_previous_file(tmp_path: Path) -> None:
    kspace, target = small_volume("singlecoil", 0)
    path = tmp_path / "a.h5"
    write_fastmri_file(path, kspace, target)
    before = path.read_bytes()
    broken = kspace.copy()
    broken[0, 0, 0] = np.nan
    cases = [
        ((broken, target), {}, "NaN"),
        ((kspace.real.astype(np.float32), target), {}, "complex64"),
        ((kspace[0], None), {}, "expected k-space"),
        ((kspace, target[:1]), {}, "target"),
        ((kspace, None), {"mask": np.ones(3, bool)}, "mask of"),
    ]
    for arrays, options, message in cases:
        with pytest.raises(InputError, match=message):
            write_fastmri_file(path, *arrays, **options)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
