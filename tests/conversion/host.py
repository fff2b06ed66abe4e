"""What the host's data set and transforms make of a converted folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from fastmri.data import SliceDataset
from fastmri.data.subsample import RandomMaskFunc
from fastmri.data.transforms import UnetDataTransform, VarNetDataTransform

from fastmri_clgnet.data.check import check


def fft2c(image: np.ndarray) -> np.ndarray:
    """NumPy's centred orthonormal FFT of the last two axes."""
    axes = (-2, -1)
    shifted = np.fft.ifftshift(image, axes=axes)
    return np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=axes)


def ifft2c(kspace: np.ndarray) -> np.ndarray:
    """NumPy's centred orthonormal inverse FFT of the last two axes, in float64."""
    axes = (-2, -1)
    shifted = np.fft.ifftshift(kspace.astype(np.complex128), axes=axes)
    return np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=axes)


def blobs(seed: int, *shape: int) -> np.ndarray:
    """Images of three random blobs with a smooth phase, (*shape) complex128, nothing symmetric."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[-2:]), indexing="ij")
    images = np.zeros((int(np.prod(shape[:-2])), *shape[-2:]), np.complex128)
    for image in images:
        for _ in range(3):
            a, b = rng.uniform(-0.4, 0.4, size=2)
            image += rng.uniform(0.5, 1) * np.exp(-6 * ((y - a) ** 2 + (x - b) ** 2))
        image *= np.exp(1j * (rng.uniform(0, 6) + rng.uniform(-1, 1) * x + y))
    return images.reshape(shape)


def assert_host_gives(folder: Path, references: dict[str, np.ndarray], tolerance: float) -> None:
    """The host's image of the whole k-space, and its target, are the references.

    Args:
        folder: Such as OUT/singlecoil_train.
        references: (slices, height, width) by file name.
        tolerance: Relative to the largest value of a reference.
    """
    challenge = folder.name.split("_")[0]
    whole = SliceDataset(folder, challenge, UnetDataTransform(challenge))
    assert len(whole) == sum(len(reference) for reference in references.values())
    for i in range(len(whole)):
        sample = whole[i]
        expected = torch.from_numpy(references[sample.fname][sample.slice_num]).double()
        size = tolerance * float(references[sample.fname].max())
        for normalised in (sample.image, sample.target):
            image = normalised.double() * (sample.std + 1e-11) + sample.mean
            # the host clips 6 standard deviations above the mean
            clipped = normalised.abs() >= 6
            assert image.shape == expected.shape
            assert (image - expected)[~clipped].abs().max() <= size
    masked = SliceDataset(
        folder, challenge, VarNetDataTransform(RandomMaskFunc([0.2], [2]), use_seed=True)
    )
    sample = masked[0]
    assert sample.crop_size == tuple(references[sample.fname].shape[1:])
    assert torch.isfinite(sample.masked_kspace).all()


def assert_good(out: Path) -> None:
    """The check command finds nothing wrong."""
    findings = check(out, num_workers=1)
    assert findings.good, findings
