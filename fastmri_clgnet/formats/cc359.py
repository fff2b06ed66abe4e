"""The raw data of Calgary-Campinas-359 (CC-359).

Single-channel: `.npy`, (slices, 256, 256, 2), real and imaginary part last. Multi-channel: HDF5
with `kspace` (256, 218, 170 to 180, 24), real and imaginary parts of 12 channels in turn. Both were
transformed along the readout already: their first axis is a slice of the image, and each slice is a
plane of two phase-encoding directions, (ky, kz); here kz are the columns, which fastMRI's masks
leave out. The last 15 % of kz were not acquired and are zero; zeros at the edge of the columns go
into the header, so that masks keep out of them. Nothing is set to zero here.

The data set's tools make their image by `np.fft.ifft2` of a slice, without shifts, and their
reference by its magnitude or root sum of squares; so is the reference here, to the same scale. They
do not say where the centre of k-space lies, and the magnitude of the image does not depend on it:
in the single-channel data it is in the corner; that the multi-channel data's kz are cut at both
ends, and zero at one, has it in the middle. It is looked up in each volume, by its energy.

References:
    Souza et al. An open, multi-vendor, multi-field-strength brain MR dataset and analysis of
    publicly available skull stripping methods agreement. NeuroImage 170, 2018.
    https://github.com/rmsouza01/MC-MRI-Rec (how the data is loaded and its reference computed)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from h5py import is_hdf5

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.conventions import Convention, center_is_in_the_middle, to_fastmri
from fastmri_clgnet.formats.hdf5 import get_dataset, open_hdf5
from fastmri_clgnet.formats.number_types import is_real
from fastmri_clgnet.formats.numpy_arrays import load_array
from fastmri_clgnet.formats.orientation import refuse_coils_last, refuse_wrong_axes
from fastmri_clgnet.formats.scan import Scan, sampled_columns


@dataclass(frozen=True)
class CC359:
    """Calgary-Campinas-359, single-channel (.npy) or multi-channel (.h5).

    Example:
        >>> kspace = np.fft.fft2(np.random.default_rng(0).random((4, 64, 48)))
        >>> np.save("e1.npy", np.stack([kspace.real, kspace.imag], axis=-1))
        >>> CC359().read(Path("e1.npy"), seed=(0,)).kspace.shape
        (4, 64, 48)
    """

    name: ClassVar[str] = "cc359"
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".h5", ".hdf5")

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read all slices of a volume, single-channel if it is a `.npy` file; see `Reader`."""
        kspace = _multi_channel(path) if is_hdf5(path) else _single_channel(path)
        energy = np.zeros(kspace.shape[-2:])
        for one in kspace:
            energy += (np.abs(one) ** 2).reshape(-1, *energy.shape).sum(axis=0)
        convention: Convention = "shifted" if center_is_in_the_middle(energy) else "plain"
        for i, one in enumerate(kspace):
            kspace[i] = to_fastmri(one, convention, "backward")
        refuse_wrong_axes(path, kspace)
        return Scan(
            kspace,
            (kspace.shape[-2], kspace.shape[-1]),
            _mask(path, kspace),
            acquisition="T1",
            attributes={"source": "Calgary-Campinas-359"},
        )


def _mask(path: Path, kspace: npt.NDArray[np.complex64]) -> npt.NDArray[np.bool_] | None:
    """The mask of undersampled k-space. One run of empty columns is what was not acquired."""
    mask = sampled_columns(path, kspace)
    return None if mask is None or (~mask & np.roll(mask, 1)).sum() == 1 else mask


def _single_channel(path: Path) -> npt.NDArray[np.complex64]:
    parts = load_array(path)
    if parts.ndim != 4 or parts.shape[-1] != 2 or np.iscomplexobj(parts):
        raise InputError(
            f"{path}: expected single-channel k-space (slices, 256, 256, 2), real and imaginary "
            f"part last, got {parts.shape} {parts.dtype}"
        )
    kspace = np.empty(parts.shape[:3], np.complex64)
    kspace.real, kspace.imag = parts[..., 0], parts[..., 1]
    return kspace


def _multi_channel(path: Path) -> npt.NDArray[np.complex64]:
    with open_hdf5(path) as file:
        parts = get_dataset(file, "kspace", path)
        fits = parts is not None and parts.ndim == 4 and 0 not in parts.shape
        if parts is None or not fits or parts.shape[-1] % 2 or not is_real(parts.dtype):
            found = "no such array" if parts is None else f"{parts.shape} {parts.dtype}"
            raise InputError(
                f"{path}: expected multi-channel 'kspace' (256, 218, nz, 24), real and imaginary "
                f"parts in turn, got {found}"
            )
        slices, rows, columns, twice = parts.shape
        refuse_coils_last(
            path,
            (slices, twice // 2, rows, columns),
            f"'kspace' {parts.shape} of real numbers is taken for Calgary-Campinas's (256, 218, "
            "nz, 24), real and imaginary parts in turn; store other layouts as complex numbers",
        )
        kspace = np.empty((slices, twice // 2, rows, columns), np.complex64)
        for i in range(slices):
            one = parts[i].transpose(2, 0, 1)
            kspace[i].real, kspace[i].imag = one[::2], one[1::2]
    return kspace
