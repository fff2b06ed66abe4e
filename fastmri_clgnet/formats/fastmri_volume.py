"""fastMRI's files, also as other programs write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.folders import read_header
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import checked_mask
from fastmri_clgnet.formats.hdf5 import get_dataset, open_hdf5, plain
from fastmri_clgnet.formats.scan import Volume, sampled_columns


@dataclass(frozen=True)
class FastmriVolume:
    """A file in fastMRI's format, as other programs may write it, fully sampled or with a mask."""

    name: ClassVar[str] = "fastmri"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def read(self, path: Path, seed: Sequence[int]) -> Volume:
        """Read a volume; see `Reader`."""
        with open_hdf5(path) as file:
            stored = get_dataset(file, "kspace", path)
            if stored is None or stored.ndim not in (3, 4) or 0 in stored.shape:
                raise InputError(
                    f"{path}: expected k-space (slices, [coils,] rows, columns), got "
                    f"{getattr(stored, 'shape', 'no such array')}"
                )
            if stored.dtype.kind != "c":
                raise InputError(
                    f"{path}: k-space of type {stored.dtype}; expected complex numbers"
                )
            kspace = stored[()].astype(np.complex64, copy=False)
            mask_item = get_dataset(file, "mask", path, at_once=True)
            mask = None if mask_item is None else _mask(path, mask_item[()], kspace.shape[-1])
            text = _header(path, file)
            acquisition = plain(file.attrs.get("acquisition", "unknown"))
            simulated = "simulated" in file.attrs
        rows, columns = kspace.shape[-2:]
        size, pixel, acquired, notes = (rows, columns), None, (0, columns), []
        if text is None:
            notes.append("no ismrmrd_header: the image is as large as the k-space")
        else:
            info = read_header(text, path)
            size, pixel = info.recon, info.pixel_mm
            if rows < size[1]:  # as the host has it (FLAIR 203)
                size = (rows, rows)
            if size[0] > rows or size[1] > columns:
                raise InputError(
                    f"{path}: the header's image of {size[0]} x {size[1]} does not fit into "
                    f"k-space of {rows} x {columns}"
                )
            first, end = max(info.acquired[0], 0), min(info.acquired[1], columns)
            outside = kspace[..., :first].any() or kspace[..., end:].any()
            if first > columns // 2 or end <= columns // 2 or outside:
                notes.append(
                    f"the header says that columns {info.acquired[0]} to {info.acquired[1] - 1} "
                    f"were measured, the k-space has others of its {columns}: all are taken"
                )
            else:
                acquired = (first, end)
        if mask is not None:
            kspace = kspace * mask
            if mask[acquired[0] : acquired[1]].all():
                mask = None
        else:
            mask = sampled_columns(path, kspace)
            if mask is not None:
                notes.append("no mask, but zeros between the columns: they tell what was measured")
        return Volume(
            kspace,
            size,
            mask,
            str(acquisition),
            pixel,
            {"simulated": "k-space"} if simulated else {},
            acquired,
            notes=tuple(notes),
        )


def _header(path: Path, file: h5py.File) -> bytes | None:
    """The XML text, wherever it stands and however it is stored."""
    item = get_dataset(file, "ismrmrd_header", path, at_once=True)
    if item is None:
        return None
    value = plain(np.asarray(item[()]))
    if not isinstance(value, str) or not value:
        raise InputError(
            f"{path}: the ismrmrd_header is not one text, but {item.shape} {item.dtype}"
        )
    return value.encode()


def _mask(path: Path, values: npt.NDArray, columns: int) -> npt.NDArray[np.bool_]:
    mask = np.squeeze(values)
    if mask.ndim == 2:
        raise InputError(
            f"{path}: a mask {mask.shape} of two dimensions, but the masks here are columns: "
            "reconstruct it elsewhere (mrpro, sigpy, torchkbnufft)"
        )
    return checked_mask(path, mask, columns)
