"""Number types of arrays in files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from fastmri.data.transforms import UnetDataTransform, VarNetDataTransform

from fastmri_clgnet.data import Mask
from fastmri_clgnet.data.check import check
from fastmri_clgnet.data.transforms import make_transform
from fastmri_clgnet.evaluation import evaluate
from fastmri_clgnet.formats.header import ismrmrd_header
from fastmri_clgnet.formats.number_types import as_complex64, as_float32, is_complex
from fastmri_clgnet.formats.read_scan import read_scan
from fastmri_clgnet.inference import reconstruct
from tests.helpers import small_volume

KSPACES: dict[str, Any] = {
    "complex128": np.complex128,
    "clongdouble": np.clongdouble,
    "big-endian": ">c8",
    "MATLAB": [("real", "f8"), ("imag", "f8")],
    "h5py": [("r", "f4"), ("i", "f4")],
    "half": [("r", "f2"), ("i", "f2")],
    "turned": [("Im", ">f4"), ("Re", ">f4")],
    "integers": [("REAL", "i4"), ("IMAG", "i4")],
}
TARGETS = {"float64": "f8", "float16": "f2", "big-endian": ">f4", "int16": "i2", "uint8": "u1"}


def stored(kspace: np.ndarray, kind: np.dtype) -> np.ndarray:
    """The same numbers as another type."""
    if kind.names is None:
        return kspace.astype(kind)
    values = np.zeros(kspace.shape, kind)
    for name in kind.names:
        values[name] = kspace.imag if name.lower().startswith("i") else kspace.real
    return values


def write(folder: Path, kspace: np.ndarray, target: np.ndarray) -> Path:
    """A fully sampled file of values of any type, with the header of the small volumes."""
    folder.mkdir(parents=True)
    with h5py.File(folder / "a.h5", "w") as file:
        file["kspace"], file["reconstruction_rss"] = kspace, target
        file["ismrmrd_header"] = ismrmrd_header(kspace.shape[-2:], target.shape[-2:])
        file.attrs["max"] = np.array([target.max()])  # as MATLAB writes a number
        file.attrs["acquisition"] = "AXT2"
    return folder


@pytest.mark.parametrize("kind", KSPACES)
def test_kspace_of_any_type_is_used_in_every_way(kind: str, tmp_path: Path) -> None:
    kspace, target = small_volume("multicoil", 0)
    scale = 1e11 if kind == "integers" else 1e6  # within half precision
    values = stored(kspace * scale, np.dtype(KSPACES[kind]))
    tolerance = 2e-3 if kind == "half" else 1e-6
    folder = write(tmp_path / "multicoil_val", values, target * scale)
    assert check(tmp_path, num_workers=1).good
    shifted = np.fft.ifft2(np.fft.ifftshift(kspace, (-2, -1)), norm="ortho")
    image = scale * np.sqrt((np.abs(np.fft.fftshift(shifted, (-2, -1))) ** 2).sum(1))
    expected = image[:, 16:48, 4:36]
    largest = expected.max()
    np.testing.assert_allclose(
        read_scan(folder / "a.h5").images() / largest, expected / largest, atol=tolerance
    )
    np.save(tmp_path / "a.npy", values)
    from_array = read_scan(tmp_path / "a.npy").kspace
    np.testing.assert_array_equal(from_array, read_scan(folder / "a.h5").kspace)
    whole = Mask("random", (1,), (0.5,))
    reconstruct(folder, tmp_path / "out", model="zero_filled", mask=whole, device="cpu")
    with h5py.File(tmp_path / "out" / "a.h5") as file:
        made = file["reconstruction"][()]
    assert made.dtype == np.float32
    np.testing.assert_allclose(made / largest, expected / largest, atol=tolerance)


@pytest.mark.parametrize("on_kspace", [False, True])
def test_transforms_give_the_hosts_samples_of_single_precision(on_kspace: bool) -> None:
    kspace, target = small_volume("multicoil", 0)
    attributes = {"recon_size": (32, 32, 1), "padding_left": 0, "padding_right": 40, "max": 1e-4}
    mask_func = Mask().make()
    images, kspaces = UnetDataTransform("multicoil", mask_func), VarNetDataTransform(mask_func)
    host: Any = kspaces if on_kspace else images
    expected = host(kspace[0], None, target[0], attributes, "a.h5", 0)
    transform = make_transform("multicoil", mask_func, on_kspace)
    for name in set(KSPACES) - {"half", "integers"}:
        values = stored(kspace[0], np.dtype(KSPACES[name]))
        sample = transform(values, None, target[0].astype(">f8"), attributes, "a.h5", 0)
        for ours, theirs in zip(sample, expected, strict=True):
            if isinstance(theirs, torch.Tensor):
                torch.testing.assert_close(ours, theirs)  # types, too


@pytest.mark.parametrize("kind", TARGETS)
def test_targets_of_any_type_are_compared_in_single_precision(kind: str, tmp_path: Path) -> None:
    kspace, target = small_volume("multicoil", 0)
    scale = 200 / target.max()
    values = (target * scale).astype(TARGETS[kind])
    folder = write(tmp_path / "multicoil_val", kspace * scale, values)
    assert check(tmp_path, num_workers=1).good
    whole = Mask("random", (1,), (0.5,))
    reconstruct(folder, tmp_path / "out", model="zero_filled", mask=whole, device="cpu")
    found = evaluate(folder, [tmp_path / "out"], "multicoil").volumes[0]
    rounded = values.astype(np.float64)
    exact = (target * scale).astype(np.float64)
    error = ((rounded - exact) ** 2).sum() / (rounded**2).sum()
    assert found.values["NMSE"] == pytest.approx(error, rel=1e-2, abs=1e-12)


def test_what_is_no_number_is_refused_and_what_is_too_large_is_infinite() -> None:
    for kind in ("f4", "i2", [("a", "f4"), ("b", "f4")], [("r", "f4"), ("i", "S1")]):
        assert not is_complex(np.dtype(kind))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(as_complex64(np.array([1e60 + 0j]))).all()
        assert np.isinf(as_float32(np.array([1e60]))).all()
