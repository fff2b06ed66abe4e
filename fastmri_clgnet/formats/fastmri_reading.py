"""Reading fastMRI's files: what the host asks of them, and as other programs write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import TARGET_KEYS, Challenge, checked_mask, cropped_size
from fastmri_clgnet.formats.hdf5 import get_dataset, need_dataset, open_hdf5, plain
from fastmri_clgnet.formats.header import HeaderInfo, read_header, stored_header, usable_header
from fastmri_clgnet.formats.number_types import as_complex64, as_float32, is_complex, is_real
from fastmri_clgnet.formats.orientation import (
    refuse_coils_last,
    refuse_wrong_axes,
    refuse_wrong_order,
)
from fastmri_clgnet.formats.scan import Scan, sampled_columns

# what the host's data set takes from the header, unless attributes of the file stand in its way
_OF_THE_HEADER = {"padding_left", "padding_right", "encoding_size", "recon_size"}


class VolumeInfo(NamedTuple):
    """What a file holds; k-space is (slices, [coils,] rows, columns), an image (height, width)."""

    path: Path
    kspace_shape: tuple[int, ...]
    image_size: tuple[int, int]  # as the host crops it
    header: HeaderInfo
    target_size: tuple[int, int] | None = None  # as it is stored, where it is
    mask: npt.NDArray[np.bool_] | None = None  # of an undersampled volume, (columns,)
    acquisition: str = "unknown"
    simulated: bool = False

    @property
    def challenge(self) -> Challenge:
        """What fastMRI calls such data."""
        return "multicoil" if len(self.kspace_shape) == 4 else "singlecoil"

    def sampled(self) -> npt.NDArray[np.bool_]:
        """Which columns were measured, (columns,) bool: those acquired, by the mask if any."""
        first, end = self.header.acquired
        columns = np.arange(self.kspace_shape[-1])
        inside = (first <= columns) & (columns < end)
        return inside if self.mask is None else inside & self.mask


def inspect_volume(
    file: h5py.File, path: Path, challenge: str, masked: bool, references: bool = True
) -> VolumeInfo:
    """Check what the host asks of a file, but for its values.

    Args:
        file: The file, which is open.
        path: Its name.
        challenge: Expected kind of data.
        masked: Whether the volume is to be undersampled, and to say so by a mask.
        references: Whether it is compared with a reference, which a fully sampled volume then
            needs. False: it is only reconstructed.

    Returns:
        What the file holds.

    Raises:
        InputError: If something is missing or does not fit.
    """
    _refuse_averages(file, path)
    kspace = need_dataset(file, "kspace", path, "expected a file in fastMRI's format")
    ndim = {"singlecoil": 3, "multicoil": 4}[challenge]
    if kspace.ndim != ndim or 0 in kspace.shape or not is_complex(kspace.dtype):
        axes = "(slices, rows, columns)" if ndim == 3 else "(slices, coils, rows, columns)"
        other = {3: "singlecoil", 4: "multicoil"}.get(kspace.ndim)
        hint = f"; try challenge {other}" if other not in (None, challenge) else ""
        raise InputError(
            f"{path}: expected {challenge} k-space {axes}, complex, got {kspace.shape} "
            f"{kspace.dtype}{hint}"
        )
    rows, columns = kspace.shape[-2:]
    item = need_dataset(
        file, "ismrmrd_header", path,
        "fastMRI reads the image's size from it; fastmri_clgnet.data.write_fastmri_file writes it",
        at_once=True,
    )  # fmt: skip
    text = stored_header(file, path)
    if text is None or item.shape != ():
        raise InputError(f"{path}: the ismrmrd_header is an array; fastMRI expects one text")
    header = read_header(text, path)
    refuse_wrong_order(path, kspace.shape, header)
    if not 0 <= header.acquired[0] < min(header.acquired[1], columns):
        raise InputError(
            f"{path}: header: acquired columns {header.acquired[0]} to {header.acquired[1]} of "
            f"{columns} (padding of masks)"
        )
    mask = _checked_mask(file, path, columns, challenge, masked, references)
    key, target = TARGET_KEYS[challenge], None
    if get_dataset(file, key, path) is not None or (references and not masked):
        target = _target_size(file, key, path, len(kspace), challenge)
        if "max" not in file.attrs and (references or not masked):
            raise InputError(
                f"{path}: no attribute 'max' (largest value of the reference), which PSNR and SSIM "
                "are relative to"
            )
        if references and not masked and is_undersampled(file, path, challenge):
            raise InputError(
                f"{path}: is undersampled already (no signal outside of its 'mask'), among volumes "
                "that are taken as fully sampled; move it to a folder of undersampled volumes, or "
                "give its fully sampled k-space"
            )
    _check_attributes(file, path)
    image_size = host_crop(path, target or header.recon, rows, columns)
    if target is not None and image_size[0] > target[0]:
        raise InputError(
            f"{path}: a reference of {target[0]} x {target[1]} pixels, which cannot be cropped to "
            f"{image_size[0]} x {image_size[1]}, as fastMRI does for k-space of {columns} columns"
        )
    return VolumeInfo(path, tuple(kspace.shape), image_size, header, target, mask, *_said(file))


def _refuse_averages(file: h5py.File, path: Path) -> None:
    """Raise where k-space has a further axis, such as the averages of fastMRI's prostate data."""
    is_here = isinstance(file.get("kspace", getlink=True), h5py.HardLink)  # else it is refused
    if not is_here or getattr(file["kspace"], "ndim", 0) <= 4:
        return
    kspace = file["kspace"]
    remedy = (
        "take one entry of the other axes, such as one echo; averages that measured different "
        "columns are combined by k.sum(0) / np.maximum((k != 0).sum(0), 1), not by their mean"
    )
    if kspace.shape[-1] == 2 and not is_complex(kspace.dtype):
        remedy = "store real and imaginary part, the last axis, as complex numbers"
    raise InputError(
        f"{path}: k-space of shape {kspace.shape}; expected (slices, [coils,] rows, columns): "
        f"{remedy}"
    )


def is_undersampled(file: h5py.File, path: Path, challenge: str) -> bool:
    """Whether a volume is undersampled by a mask that it holds.

    One with a reference may be fully sampled, with a mask for others to apply: then the middle
    slice has signal outside of it.
    """
    mask = get_dataset(file, "mask", path, at_once=True)
    kspace = get_dataset(file, "kspace", path)
    if mask is None or kspace is None:
        return False
    if get_dataset(file, TARGET_KEYS[challenge], path) is None:
        return True
    unsampled = np.squeeze(mask[()]) == 0
    if 0 in kspace.shape or unsampled.shape != kspace.shape[-1:] or not unsampled.any():
        return False
    return not as_complex64(kspace[len(kspace) // 2])[..., unsampled].any()


def _checked_mask(
    file: h5py.File, path: Path, columns: int, challenge: str, masked: bool, references: bool
) -> npt.NDArray[np.bool_] | None:
    """The mask that a volume is to be undersampled by, if it is."""
    if masked:
        mask = need_dataset(
            file, "mask", path, "expected an undersampled volume; to undersample fully sampled "
            "ones, give mask_type and accelerations (in training: test_split val)", at_once=True,
        )  # fmt: skip
        return checked_mask(path, np.squeeze(mask[()]), columns)
    if not references and is_undersampled(file, path, challenge):
        raise InputError(
            f"{path}: is undersampled already (it holds a 'mask'); omit the mask, or give fully "
            "sampled volumes"
        )
    return None


def _target_size(
    file: h5py.File, key: str, path: Path, n_slices: int, challenge: str
) -> tuple[int, int]:
    """Height and width of the reference images, which the host reads wherever there are some."""
    target = need_dataset(
        file, key, path, f"the reference images of {challenge} data: is the challenge right, and "
        "the volume fully sampled? (train_clgnet's loss ssdu takes folders of undersampled ones)",
    )  # fmt: skip
    if target.ndim != 3 or len(target) != n_slices:
        raise InputError(
            f"{path}: expected {target.name} of {n_slices} slices (slices, height, width), "
            f"got {target.shape}"
        )
    if not is_real(target.dtype):
        raise InputError(f"{path}: expected {target.name} of real numbers, got {target.dtype}")
    return target.shape[1], target.shape[2]


def _check_attributes(file: h5py.File, path: Path) -> None:
    """Refuse attributes that would make wrong samples of a sound volume."""
    hiding = sorted(_OF_THE_HEADER & set(file.attrs))
    if hiding:
        raise InputError(
            f"{path}: attributes {', '.join(hiding)}, which fastMRI would take in place of the "
            "header's; remove them"
        )
    maximum = plain(file.attrs.get("max", 1.0))
    number = isinstance(maximum, int | float | np.floating)
    if not number or not 0 < maximum < np.inf:
        raise InputError(f"{path}: attribute max: {maximum!r}; expected a number above 0")


def host_crop(path: Path, size: tuple[int, int], rows: int, columns: int) -> tuple[int, int]:
    """The image's size, as the host crops it, which has to fit into the k-space."""
    cut = cropped_size(size, columns)
    if not (0 < cut[0] <= rows and cut[1] > 0):
        raise InputError(
            f"{path}: an image of {size[0]} x {size[1]} pixels does not fit into k-space of "
            f"{rows} x {columns}"
        )
    return cut


def _said(file: h5py.File) -> tuple[str, bool]:
    """What attributes say: the acquisition, and whether the k-space is simulated."""
    return str(plain(file.attrs.get("acquisition", "unknown"))), "simulated" in file.attrs


def read_slices(
    file: h5py.File, challenge: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Index, complex64 k-space and float32 reference (or None) of slices, the middle one first."""
    kspace, target = file["kspace"], file.get(TARGET_KEYS[challenge])
    middle = len(kspace) // 2
    for i in chain([middle], range(middle), range(middle + 1, len(kspace))):
        reference = None if target is None else as_float32(target[i])
        yield i, as_complex64(kspace[i]), reference


@dataclass(frozen=True)
class Fastmri:
    """A file in fastMRI's format, as other programs may write it, fully sampled or with a mask."""

    name: ClassVar[str] = "fastmri"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read a volume; see `Reader`."""
        with open_hdf5(path) as file:
            _refuse_averages(file, path)
            stored = get_dataset(file, "kspace", path)
            if stored is None or stored.ndim not in (3, 4) or 0 in stored.shape:
                raise InputError(
                    f"{path}: expected k-space (slices, [coils,] rows, columns), got "
                    f"{getattr(stored, 'shape', 'no such array')}"
                )
            if not is_complex(stored.dtype):
                raise InputError(
                    f"{path}: k-space of type {stored.dtype}; expected complex numbers"
                )
            kspace = as_complex64(stored[()])
            item = get_dataset(file, "mask", path, at_once=True)
            mask = None if item is None else np.squeeze(item[()])
            text = stored_header(file, path)
            acquisition, simulated = _said(file)
        rows, columns = kspace.shape[-2:]
        size, pixel, acquired = (rows, columns), None, (0, columns)
        header, notes = None, list[str]()
        if text is not None:
            header, notes = usable_header(text, path, rows, columns)
            refuse_wrong_order(path, kspace.shape, header)
        refuse_wrong_axes(path, kspace, header)
        if header is None:
            refuse_coils_last(path, kspace.shape, "transpose the k-space, or add ismrmrd_header")
            several = ", its first axis slices of one coil" if kspace.ndim == 3 else ""
            notes.append(f"no ismrmrd_header: the image is as large as the k-space{several}")
        else:
            if header.encoded != (rows, columns):
                notes.append(
                    f"the header's matrix is {header.encoded[0]} x {header.encoded[1]}, the "
                    f"k-space {rows} x {columns}"
                )
            size, pixel = host_crop(path, header.recon, rows, columns), header.pixel_mm
            first, end = max(header.acquired[0], 0), min(header.acquired[1], columns)
            outside = kspace[..., :first].any() or kspace[..., end:].any()
            if first > columns // 2 or end <= columns // 2 or outside:
                notes.append(
                    f"the header says that columns {header.acquired[0]} to "
                    f"{header.acquired[1] - 1} were measured, the k-space has others of its "
                    f"{columns}: all are taken"
                )
            else:
                acquired = (first, end)
        if mask is None:
            mask = sampled_columns(path, kspace)
            if mask is not None:
                notes.append("no mask, but zeros between the columns: they tell what was measured")
        elif mask.ndim == 2:
            raise InputError(
                f"{path}: a mask {mask.shape} of two dimensions, but the masks here are columns: "
                "reconstruct it elsewhere (mrpro, sigpy, torchkbnufft)"
            )
        else:
            mask = checked_mask(path, mask, columns)
            if kspace[..., ~mask].any():
                notes.append("signal outside the mask is left out")
            kspace = kspace * mask
            if mask[acquired[0] : acquired[1]].all():
                mask = None
        return Scan(
            kspace,
            size,
            mask,
            acquisition,
            pixel,
            {"simulated": "k-space"} if simulated else {},
            acquired,
            notes=tuple(notes),
        )
