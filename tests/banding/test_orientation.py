"""The random transpose: an involution that commutes with the host's transforms."""

from __future__ import annotations

from typing import Any

import fastmri
import numpy as np
import pytest
import torch
from fastmri.data.subsample import EquispacedMaskFractionFunc, RandomMaskFunc
from fastmri.data.transforms import UnetDataTransform, VarNetDataTransform, to_tensor

from banding.orientation import (
    RandomTranspose,
    crop_readout,
    transpose_sample,
    transpose_slice,
    turn_back,
)
from fastmri_clgnet.data.transforms import CheckedTransform, collate_one_size
from fastmri_clgnet.errors import InputError


def make_slice(
    rows: int, columns: int, size: tuple[int, int], coils: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Random k-space, target and attributes, as from the host's data set."""
    rng = np.random.default_rng(0)
    shape = (*coils, rows, columns)
    kspace = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    target = rng.uniform(1, 2, size=size).astype(np.float32)
    attrs = {
        "max": 2.0,
        "recon_size": (*size, 1),
        "padding_left": 2,
        "padding_right": columns - 2,
    }
    return kspace.astype(np.complex64), target, attrs


def test_transposing_a_slice_twice_gives_it_back() -> None:
    kspace, target, attrs = make_slice(20, 16, (20, 14), coils=(3,))
    once = transpose_slice(kspace, target, attrs)
    assert once[0].shape == (3, 16, 20)
    assert once[1] is not None
    twice = transpose_slice(*once)
    np.testing.assert_array_equal(twice[0], kspace)
    np.testing.assert_array_equal(twice[1], target)
    assert twice[2]["recon_size"] == attrs["recon_size"]


@pytest.mark.parametrize("transform", ["unet", "varnet"])
def test_transposing_a_sample_twice_gives_it_back(transform: str) -> None:
    kspace, target, attrs = make_slice(16, 16, (16, 16), coils=(1,))
    mask_func = RandomMaskFunc([0.2], [2], seed=0)
    host = (
        UnetDataTransform("multicoil", mask_func)
        if transform == "unet"
        else VarNetDataTransform(mask_func)
    )
    sample = host(kspace, None, target, attrs, "a.h5", 0)
    turned = transpose_sample(sample)
    assert type(turned) is type(sample)
    if transform == "varnet":
        assert turned.mask.shape == (1, 16, 1, 1)
    for one, other in zip(transpose_sample(turned), sample, strict=True):
        same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        assert same


@pytest.mark.parametrize("shape", [(16, 16, (16, 16)), (33, 20, (15, 18)), (40, 18, (20, 20))])
def test_commutes_with_the_hosts_transform_of_full_data(
    shape: tuple[int, int, tuple[int, int]],
) -> None:
    """The host's images of a turned slice are the turned images of the slice."""
    kspace, target, attrs = make_slice(*shape)
    plain = UnetDataTransform("singlecoil")
    expected = plain(kspace, None, target, attrs, "a.h5", 0)
    turned = plain(*_with_mask(transpose_slice(*crop_readout(kspace, target, attrs))), "a.h5", 0)
    torch.testing.assert_close(turned.image, expected.image.T, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(turned.target, expected.target.T, rtol=1e-4, atol=1e-4)
    # without a mask function, the sample is turned after the transform: the same
    wrapped = RandomTranspose(plain, probability=1)(kspace, None, target, attrs, "a.h5", 0)
    assert wrapped.rotated
    torch.testing.assert_close(wrapped.sample.image, turned.image, rtol=1e-4, atol=1e-4)


def _with_mask(parts: tuple[Any, Any, Any]) -> tuple[Any, None, Any, Any]:
    kspace, target, attrs = parts
    return kspace, None, target, attrs


def test_the_sampled_axis_turns() -> None:
    """A turned sample is the image of k-space undersampled along its rows, transposed."""
    kspace, target, attrs = make_slice(32, 16, (16, 16))
    mask_func = EquispacedMaskFractionFunc([0.25], [2])
    transform = RandomTranspose(UnetDataTransform("singlecoil", mask_func), probability=1)
    sample = transform(kspace, None, target, attrs, "a.h5", 0).sample
    cropped, _, _ = crop_readout(kspace, target, attrs)
    mask, _ = mask_func((1, 16, 1), seed=tuple(map(ord, "a.h5")))
    rows = to_tensor(cropped) * mask.reshape(16, 1, 1)
    expected = fastmri.complex_abs(fastmri.ifft2c(rows)).T
    shown = sample.image * sample.std + sample.mean
    torch.testing.assert_close(shown, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("keep", [False, True])
def test_readout_oversampling_goes_where_the_sample_is_transposed(keep: bool) -> None:
    """The others are as in the validation: what training sees is what is measured."""
    kspace, target, attrs = make_slice(32, 16, (16, 16), coils=(2,))
    mask_func = RandomMaskFunc([0.25], [2])
    host = VarNetDataTransform(mask_func)
    plain, turned = (
        RandomTranspose(host, each, keep_readout=keep)(kspace, None, target, attrs, "a.h5", 0)
        for each in (0.0, 1.0)
    )
    expected = host(kspace, None, target, attrs, "a.h5", 0)
    torch.testing.assert_close(plain.sample.masked_kspace, expected.masked_kspace)
    assert turned.sample.masked_kspace.shape == (2, 16, 32 if keep else 16, 2)
    assert turned.sample.mask.shape == (1, 1, 32 if keep else 16, 1)
    image = UnetDataTransform("multicoil", mask_func)
    for each in (0.0, 1.0):  # images have one size either way
        transform = RandomTranspose(image, each, keep_readout=keep)
        sample = transform(kspace, None, target, attrs, "a.h5", 0).sample
        assert sample.image.shape == sample.target.shape == (16, 16)
        # of a narrow volume, whose images are wider than its k-space, also the target is cropped
        narrow = make_slice(32, 12, (16, 16), coils=(2,))
        sample = transform(narrow[0], None, *narrow[1:], "a.h5", 0).sample
        assert sample.image.shape == sample.target.shape == (12, 12)


def test_masked_data_turn_with_their_mask() -> None:
    kspace, target, attrs = make_slice(16, 16, (16, 16), coils=(1,))
    attrs |= {"padding_left": 0, "padding_right": 16}
    mask = np.zeros(16, np.float32)
    mask[::3] = 1
    transform = RandomTranspose(VarNetDataTransform(), probability=1)
    sample = transform(kspace * mask, mask, target, attrs, "a.h5", 0).sample
    assert sample.mask.squeeze().tolist() == (mask > 0).tolist()
    measured = sample.masked_kspace.abs().sum(dim=(0, 2, 3)) > 0
    assert measured.tolist() == sample.mask.squeeze().tolist()


def test_half_are_transposed_and_batches_turn_back(generator: torch.Generator) -> None:
    kspace, target, attrs = make_slice(32, 16, (16, 16))
    host = CheckedTransform(UnetDataTransform("singlecoil", RandomMaskFunc([0.9], [1])))
    transform = RandomTranspose(host, generator=generator)
    assert transform.mask_func is host.mask_func
    samples = [transform(kspace, None, target, attrs, "a.h5", i) for i in range(200)]
    batch = collate_one_size(samples)
    assert 70 < int(batch.rotated.sum()) < 130
    turned = turn_back(batch.sample.target, batch.rotated)
    assert (turned - turned[:1]).abs().max() < 1e-4 * turned.abs().max() + 0.2
    assert torch.equal(turned[batch.rotated][0], batch.sample.target[batch.rotated][0].T)
    all_turned = turn_back(torch.zeros(3, 4, 6), torch.ones(3, dtype=torch.bool))
    assert all_turned.shape == (3, 6, 4)
    other = RandomTranspose(host, 0)(*_with_mask(make_slice(32, 18, (16, 18))), "b.h5", 0)
    with pytest.raises(InputError, match=r"image of a\.h5, b\.h5\) cannot share a batch"):
        collate_one_size([samples[0], other])
