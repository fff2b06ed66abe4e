"""Writing fastMRI's files, and reading them back through the host."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from fastmri.data import SliceDataset

from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri_reading import inspect_volume
from fastmri_clgnet.formats.read_scan import read_scan
from tests.helpers import COLUMNS, ROWS, SIZE, small_volume


@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
def test_host_reads_what_was_written(challenge: str, tmp_path: Path) -> None:
    kspace, target = small_volume(challenge, 0)
    write_fastmri_file(
        tmp_path / "a.h5", kspace, target, acquisition="AXT2", attributes={"patient_id": "P"}
    )
    dataset = SliceDataset(tmp_path, challenge)
    assert len(dataset) == 3
    for i in range(3):
        read, mask, read_target, attributes, name, index = dataset[i]
        assert np.array_equal(read, kspace[i])
        assert np.array_equal(read_target, target[i])
        assert (mask, name, index) == (None, "a.h5", i)
    assert attributes["encoding_size"] == (ROWS, COLUMNS, 1)
    assert attributes["recon_size"] == (SIZE, SIZE, 1)
    assert (attributes["padding_left"], attributes["padding_right"]) == (0, COLUMNS)
    assert attributes["acquisition"] == "AXT2"
    assert attributes["patient_id"] == "P"
    assert attributes["max"] == target.max()
    assert np.isclose(attributes["norm"], np.linalg.norm(target))


def test_masked_volume_has_what_the_host_asks_for(tmp_path: Path) -> None:
    """Zero-filled edges in the header; acceleration and centre from the mask."""
    kspace, target = small_volume("multicoil", 0)
    mask = np.zeros(COLUMNS, bool)
    mask[18:24] = mask[4:32:4] = True
    kspace = kspace * mask
    path = tmp_path / "a.h5"
    write_fastmri_file(
        path, kspace, target, mask, acquired=(2, 34), attributes={"acceleration": 8, "simulated": 1}
    )
    dataset = SliceDataset(tmp_path, "multicoil")
    for i in range(3):
        read, read_mask, read_target, attributes, _, _ = dataset[i]
        assert np.array_equal(read, kspace[i])
        assert np.array_equal(read_mask, mask)
        assert np.array_equal(read_target, target[i])
    assert (attributes["padding_left"], attributes["padding_right"]) == (2, 34)
    # what is given wins over what is derived: 32 / 12 columns
    assert (attributes["acceleration"], attributes["num_low_frequency"]) == (8, 7)
    assert attributes["simulated"] == 1
    write_fastmri_file(path, kspace, target, mask, acquired=(2, 34))
    with h5py.File(path) as file:
        assert file.attrs["acceleration"] == 3
    first = path.read_bytes()
    write_fastmri_file(path, kspace, target, mask, acquired=(2, 34))
    assert path.read_bytes() == first


def test_the_header_says_to_us_what_it_says_to_the_host(tmp_path: Path) -> None:
    """Also one of several encodings, of which the first counts, with other elements between."""
    kspace, target = small_volume("multicoil", 0)
    kspace[..., :2] = kspace[..., 35:] = 0
    path = tmp_path / "a.h5"
    write_fastmri_file(path, kspace, target, acquired=(2, 35), pixel_mm=(0.5, 2.0))
    with h5py.File(path, "r+") as file:
        text = file["ismrmrd_header"][()].decode()
        start, end = text.index("<encoding>"), text.index("</encoding>") + len("</encoding>")
        second = text[start:end].replace(f"<x>{ROWS}</x>", "<x>7</x>")
        del file["ismrmrd_header"]
        file["ismrmrd_header"] = f"{text[:start]}<note/>{text[start:end]}{second}{text[end:]}"
        info = inspect_volume(file, path, "multicoil", masked=False)
    attributes = SliceDataset(tmp_path, "multicoil")[0][3]
    header = info.header
    assert (*header.encoded, 1) == attributes["encoding_size"] == (ROWS, COLUMNS, 1)
    assert (*header.recon, 1) == attributes["recon_size"]
    assert header.acquired == (attributes["padding_left"], attributes["padding_right"]) == (2, 35)
    assert header.pixel_mm == (0.5, 2.0)
    assert (info.challenge, info.image_size) == ("multicoil", (SIZE, SIZE))


def test_averages_in_front_are_named(tmp_path: Path) -> None:
    """As in fastMRI's prostate data, which are too large to be read at once."""
    path = tmp_path / "a.h5"
    write_fastmri_file(path, small_volume("multicoil", 0)[0])
    with h5py.File(path, "r+") as file:
        del file["kspace"]
        file.create_dataset("kspace", (3, 31, 20, 640, 451), "c8")
        with pytest.raises(InputError, match=r"a\.h5: .* averages that measured different"):
            inspect_volume(file, path, "multicoil", masked=False, references=False)


def test_real_and_imaginary_part_as_an_axis_are_named(tmp_path: Path) -> None:
    """As fastMRI's own `to_tensor` makes it."""
    path = tmp_path / "a.h5"
    kspace = small_volume("multicoil", 0)[0]
    write_fastmri_file(path, kspace)
    with h5py.File(path, "r+") as file:
        del file["kspace"]
        file["kspace"] = np.stack([kspace.real, kspace.imag], -1)
    with pytest.raises(InputError, match=r"a\.h5: .* the last axis, as complex numbers"):
        read_scan(path)


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
        ((kspace, target.astype(complex)), {}, "real target"),
        ((kspace, target * 0), {}, "largest value above 0"),
        ((kspace, target.astype(np.float64) * 1e50), {}, "within float32"),
        ((kspace, target), {"recon_size": (30, 32)}, "is not the target's size"),
        ((kspace, None), {"recon_size": (SIZE, COLUMNS + 1)}, "does not fit into k-space"),
        ((kspace * 0, None), {}, "zero everywhere"),
        ((kspace, None), {"mask": np.ones(3, bool)}, "mask of"),
        ((kspace, None), {"mask": np.arange(COLUMNS)}, "1 where sampled"),
        ((kspace, None), {"mask": np.arange(COLUMNS) > 3}, "outside the mask is not zero"),
        ((kspace, None), {"acquired": (25, COLUMNS)}, "around the centre 20"),
        ((kspace, None), {"acquired": (2, COLUMNS)}, "acquired columns 2 to 40 not zero"),
    ]
    for arrays, options, message in cases:
        with pytest.raises(InputError, match=message):
            write_fastmri_file(path, *arrays, **options)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_is_made_or_the_reason_is_said(tmp_path: Path) -> None:
    """Neither error says that the disk is full."""
    kspace, target = small_volume("singlecoil", 0)
    path = tmp_path / "DATA" / "singlecoil_train" / "a.h5"
    write_fastmri_file(path, kspace, target)
    assert len(SliceDataset(path.parent, "singlecoil")) == 3
    (tmp_path / "file").touch()
    for name in ("file/b.h5", "file/folder/b.h5"):
        with pytest.raises(InputError, match="/file: is a file, expected a folder"):
            write_fastmri_file(tmp_path / name, kspace, target)
    with pytest.raises(InputError, match=r"/dev/null: cannot be made .* choose another folder"):
        write_fastmri_file("/dev/null/b.h5", kspace, target)
    with pytest.raises(InputError, match=r"cannot be made .File name too long"):
        write_fastmri_file(tmp_path / ("long" * 100) / "b.h5", kspace, target)
