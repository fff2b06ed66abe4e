"""The transform that keeps the whole k-space: against NumPy and the host's own transform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fastmri.data import SliceDataset
from fastmri.data.subsample import RandomMaskFunc
from fastmri.data.transforms import VarNetDataTransform, VarNetSample

from fastmri_clgnet.data import Data
from fastmri_clgnet.data.reference import ReferenceDataTransform, ReferenceSample
from fastmri_clgnet.data.transforms import make_transform
from fastmri_clgnet.errors import InputError
from tests.helpers import COLUMNS, ROWS, SIZE, small_volume

ATTRIBUTES = {
    "max": 1.0,
    "padding_left": 2,
    "padding_right": COLUMNS - 2,
    "recon_size": (SIZE, SIZE, 1),
}


def mask_func() -> RandomMaskFunc:
    return RandomMaskFunc([0.1], [4])


def transformed(kspace: np.ndarray, target: np.ndarray | None) -> ReferenceSample:
    return ReferenceDataTransform(mask_func())(kspace, None, target, ATTRIBUTES, "a.h5", 1)


def as_complex(values: torch.Tensor) -> np.ndarray:
    array: np.ndarray = torch.view_as_complex(values.contiguous()).numpy()
    return array


def numpy_image(kspace: np.ndarray) -> np.ndarray:
    axes = (-2, -1)
    shifted = np.fft.ifftshift(kspace.astype(np.complex128), axes=axes)
    return np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=axes)


def test_the_samples_own_fields_come_first() -> None:
    assert ReferenceSample._fields == (*VarNetSample._fields, "kspace", "image")


@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
def test_equals_the_hosts_transform_in_all_of_its_fields(
    challenge: str, small_dataset: Path
) -> None:
    for split, mask in (("train", mask_func), ("test", None)):
        function = mask and mask()
        samples = [
            SliceDataset(
                small_dataset / f"{challenge}_{split}",
                challenge,
                lambda kspace, *rest, each=each: each(np.atleast_3d(kspace.T).T, *rest),
            )
            for each in (VarNetDataTransform(function), ReferenceDataTransform(function))
        ]
        for host, ours in zip(*samples, strict=True):
            for name in VarNetSample._fields:
                expected, value = getattr(host, name), getattr(ours, name)
                if isinstance(expected, torch.Tensor):
                    assert expected.dtype is value.dtype
                    assert torch.equal(expected, value), name
                else:
                    assert expected == value, name


@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
def test_kspace_and_image_against_numpy(challenge: str) -> None:
    kspace, targets = small_volume(challenge, 0)
    whole = kspace[1][None] if challenge == "singlecoil" else kspace[1]
    sample = transformed(whole, targets[1])
    np.testing.assert_array_equal(as_complex(sample.kspace), whole)
    measured = as_complex(sample.kspace) * sample.mask.numpy()[..., 0]
    np.testing.assert_array_equal(as_complex(sample.masked_kspace), measured)
    top, left = (ROWS - SIZE) // 2, (COLUMNS - SIZE) // 2
    expected = numpy_image(whole)[:, top : top + SIZE, left : left + SIZE]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(as_complex(sample.image) / scale, expected / scale, atol=1e-6)
    # in the target's units, at its place
    magnitude = np.sqrt((np.abs(as_complex(sample.image)) ** 2).sum(0))
    np.testing.assert_allclose(magnitude / scale, targets[1] / scale, atol=1e-6)


def test_without_target_the_header_crops_and_a_narrow_image_stays() -> None:
    kspace, targets = small_volume("singlecoil", 0)
    assert transformed(kspace[:1], None).image.shape == (1, SIZE, SIZE, 2)
    wide = np.pad(targets[0], ((0, 0), (8, 8)))  # wider than the image's 40 columns
    assert transformed(kspace[:1], wide).image.shape == (1, SIZE, COLUMNS, 2)


def test_slices_without_signal_are_zero() -> None:
    zeros = np.zeros((1, ROWS, COLUMNS), np.complex64)
    sample = transformed(zeros, np.zeros((SIZE, SIZE), np.float32))
    assert not sample.kspace.any()
    assert not sample.image.any()


def test_undersampled_files_have_no_reference() -> None:
    kspace, _ = small_volume("singlecoil", 0)
    mask = np.ones(COLUMNS, bool)
    sample = ReferenceDataTransform()(kspace[:1], mask, None, ATTRIBUTES, "a.h5", 0)
    assert sample.kspace.numel() == sample.image.numel() == 0


def test_data_modules_give_it_to_those_who_ask(small_dataset: Path) -> None:
    for needs_reference, kind in ((True, ReferenceSample), (False, VarNetSample)):
        data = Data(small_dataset, batch_size=2, num_workers=0)
        module = data.module(on_kspace=True, needs_reference=needs_reference)
        for loader in (module.train_dataloader(), module.val_dataloader()):
            batch = next(iter(loader))
            assert type(batch) is kind
        assert type(next(iter(module.test_dataloader()))) is VarNetSample
    module = Data(small_dataset, batch_size=2, num_workers=0).module(True, needs_reference=True)
    batch = next(iter(module.train_dataloader()))
    assert isinstance(batch, ReferenceSample)
    assert batch.kspace.shape == batch.masked_kspace.shape == (2, 1, ROWS, COLUMNS, 2)
    assert batch.image.shape == (2, 1, SIZE, SIZE, 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_spawned_processes_load_it(small_dataset: Path) -> None:
    loaded = []
    for num_workers in (0, 1):
        data = Data(small_dataset, batch_size=3, num_workers=num_workers)
        loader = data.module(on_kspace=True, needs_reference=True).train_dataloader()
        if num_workers:
            loader.multiprocessing_context = "spawn"
        loaded.append(list(loader))
    for here, there in zip(*loaded, strict=True):
        assert here.fname == there.fname
        for name in ("masked_kspace", "kspace", "image"):
            assert torch.equal(getattr(here, name), getattr(there, name))


def test_nan_is_refused() -> None:
    kspace, targets = small_volume("singlecoil", 0)
    kspace[0, 3, 4] = np.nan
    transform = make_transform("singlecoil", mask_func(), True, needs_reference=True)
    with pytest.raises(InputError, match=r"a\.h5, slice 1"):
        transform(kspace[0], None, targets[0], ATTRIBUTES, "a.h5", 1)
