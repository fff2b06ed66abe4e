"""The same slice under other masks: its k-space, other columns, and nothing changed without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastmri.data.subsample import create_mask_for_mask_type
from fastmri.data.transforms import UnetDataTransform, UnetSample

from fastmri_clgnet.data import Data, Mask
from fastmri_clgnet.data.other_masks import OtherMasksDataTransform, OtherMasksSample
from fastmri_clgnet.errors import InputError
from tests.helpers import small_volume

CHALLENGES = ["singlecoil", "multicoil"]


class Remembering:
    """A mask function of the host that notes the masks it gives."""

    def __init__(self, mask_type: str, factor: int, seed: int = 0) -> None:
        """Make the host's."""
        self.host = create_mask_for_mask_type(mask_type, [0.1], [factor])
        self.rng = self.host.rng
        self.rng.seed(seed)
        self.columns: list[np.ndarray] = []

    def __call__(self, *arguments: Any) -> Any:
        """Give the host's next mask."""
        made = self.host(*arguments)
        self.columns.append(made[0].numpy().ravel().astype(bool))
        return made


def zero_filled(kspace: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """NumPy's inverse FFT of masked k-space, cropped, root sum of squares."""
    axes = (-2, -1)
    shifted = np.fft.ifftshift(kspace.astype(np.complex128) * columns, axes=axes)
    image = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=axes)[..., 16:48, 4:36]
    return np.sqrt((np.abs(image.reshape(-1, 32, 32)) ** 2).sum(0))


@pytest.mark.parametrize("mask_type", ["random", "equispaced_fraction"])
@pytest.mark.parametrize("challenge", CHALLENGES)
def test_the_same_slice_under_other_columns(challenge: str, mask_type: str) -> None:
    kspace, target = small_volume(challenge, 0)
    attributes = {"max": float(target.max()), "recon_size": (32, 32, 1)}
    for seed in range(5):
        masks = Remembering(mask_type, 4, seed)
        transform = OtherMasksDataTransform(challenge, masks, 3)
        sample = transform(kspace[1], None, target[1], attributes, "a.h5", 1)
        own, *more = masks.columns
        kept = [columns for columns in more if not np.array_equal(columns, own)]
        assert sample.others.shape == (3, 32, 32)
        for columns, other in zip(kept, sample.others, strict=True):
            expected = (zero_filled(kspace[1], columns) - float(sample.mean)) / float(sample.std)
            np.testing.assert_allclose(other, expected.clip(-6, 6), rtol=1e-3, atol=1e-3)
            assert (other - sample.image).abs().max() > 0.02
        # the input and its reference are those that the host's transform makes of the same draw
        again = create_mask_for_mask_type(mask_type, [0.1], [4])
        again.rng.seed(seed)
        host = UnetDataTransform(challenge, again, use_seed=False)
        plain = host(kspace[1], None, target[1], attributes, "a.h5", 1)
        assert torch.equal(sample.image, plain.image)
        assert torch.equal(sample.target, plain.target)
        assert sample[2:7] == plain[2:7]


def test_what_has_no_other_mask_is_refused() -> None:
    kspace, target = small_volume("singlecoil", 0)
    given = (target[0], {"max": 1.0, "recon_size": (32, 32, 1)}, "a.h5", 0)
    with pytest.raises(InputError, match="needs fully sampled data and a mask to draw"):
        OtherMasksDataTransform("singlecoil", None, 2)
    transform = OtherMasksDataTransform("singlecoil", Mask().make(), 2)
    mask = np.arange(40) % 2
    assert len(transform(kspace[0], mask, *given).others) == 2  # which is not applied
    with pytest.raises(InputError, match=r"a\.h5: is undersampled by its mask"):
        transform(kspace[0] * mask, mask, *given)
    only_one = OtherMasksDataTransform("singlecoil", Mask("random", (1,), (0.5,)).make(), 2)
    with pytest.raises(InputError, match=r"a\.h5, slice 0: 100 masks were drawn, all but 0"):
        only_one(kspace[0], None, *given)


@pytest.mark.parametrize("challenge", CHALLENGES)
@pytest.mark.parametrize("augment", [False, True])
def test_training_samples_follow_from_the_seed(
    small_dataset: Path, challenge: str, augment: bool
) -> None:
    mask = Mask("random", (4,), (0.1,))
    data = Data(small_dataset, challenge, mask, batch_size=2, num_workers=0, augment=augment)  # type: ignore[arg-type]
    epochs = []
    for epoch in (0, 1, 0):
        loader = data.module(on_kspace=False, seed=1, other_masks=2).train_dataloader()
        loader.batch_sampler.sampler.set_epoch(epoch)
        batches = list(loader)
        assert all(isinstance(batch, OtherMasksSample) for batch in batches)
        epochs.append(torch.cat([batch.others for batch in batches]))
        plain = data.module(on_kspace=False, seed=1).train_dataloader()
        plain.batch_sampler.sampler.set_epoch(epoch)
        for batch, expected in zip(batches, plain, strict=True):
            assert isinstance(expected, UnetSample)
            assert torch.equal(batch.image, expected.image)
            assert torch.equal(batch.target, expected.target)
    assert epochs[0].shape == (6, 2, 32, 32)
    assert torch.equal(epochs[0], epochs[2])
    assert not torch.allclose(epochs[0], epochs[1])
    validation = data.module(on_kspace=False, other_masks=2).val_dataloader()
    assert all(isinstance(batch, UnetSample) for batch in validation)
