"""What files in fastMRI's format hold, and whether fastMRI can use them: the one inspection.

The training command, `reconstruct` and `check` look at every file here before they begin.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import h5py
import numpy as np
from tqdm import tqdm

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import TARGET_KEYS, Challenge, checked_mask
from fastmri_clgnet.formats.hdf5 import get_dataset, need_dataset, open_hdf5, plain

Result = TypeVar("Result")

# Up to this many bytes of files a folder is read whole; above it, each volume's middle slice is,
# and the other slices are checked as they are loaded.
READ_WHOLE_BYTES = 2**30
# of fastMRI's layout, and whether their volumes are undersampled
SPLITS = {"train": False, "val": False, "test": True, "challenge": True}
_LARGEST = 2**16 - 1  # ISMRMRD's sizes are of the type xs:unsignedShort
# what the host's data set takes from the header, unless attributes of the file stand in its way
_OF_THE_HEADER = {"padding_left", "padding_right", "encoding_size", "recon_size"}


class HeaderInfo(NamedTuple):
    """What the host reads from an ISMRMRD header."""

    encoded: tuple[int, int]  # rows and columns
    recon: tuple[int, int]  # height and width of the image
    acquired: tuple[int, int]  # first measured column, and one past the last
    pixel_mm: tuple[float, float] | None  # where the header says it


class VolumeInfo(NamedTuple):
    """What a file holds; k-space is (slices, [coils,] rows, columns), an image (height, width)."""

    path: Path
    kspace_shape: tuple[int, ...]
    image_size: tuple[int, int]
    header: HeaderInfo
    acquisition: str = "unknown"
    simulated: bool = False


def list_files(folder: Path) -> list[Path]:
    """All that is in a folder, sorted by name, since fastMRI opens all of it."""
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; expected one of fastMRI's HDF5 files (in its layout "
            "DATA/singlecoil_train, singlecoil_val and singlecoil_test, or multicoil_train ...)"
            + _elsewhere(folder)
        )
    paths = sorted(folder.iterdir())
    if not paths:
        raise InputError(f"{folder}: empty; expected fastMRI's HDF5 files")
    within = sorted(name for name in split_names() if (folder / name).is_dir())
    if within or all(path.is_dir() for path in paths):
        names = ", ".join(within or [path.name for path in paths[:4]])
        raise InputError(
            f"{folder}: expected fastMRI's HDF5 files, but there are the folders {names}; give one "
            "of them"
        )
    return paths


def split_names(challenges: Iterable[str] = TARGET_KEYS) -> list[str]:
    """The names of the splits' folders in fastMRI's layout, such as singlecoil_val."""
    return [f"{challenge}_{split}" for challenge in challenges for split in SPLITS]


def _elsewhere(folder: Path) -> str:
    """The folder that may be meant: the same split of the other challenge, or one level below."""
    challenge, _, split = folder.name.partition("_")
    if challenge not in TARGET_KEYS or not folder.parent.is_dir():
        return ""
    for other in TARGET_KEYS:
        if (folder.parent / f"{other}_{split}").is_dir():
            return f"; did you mean {folder.parent / f'{other}_{split}'} (--challenge {other})?"
    for path in sorted(folder.parent.iterdir()):
        if (path / folder.name).is_dir():
            return f"; did you mean {path / folder.name}?"
    return ""


def look_at(paths: Sequence[Path], look: Callable[[h5py.File, Path], Result]) -> Iterator[Result]:
    """Call `look` on opened files; damaged ones crash another process, not this one."""

    def read(path: Path) -> Result:
        with open_hdf5(path) as file:
            return look(file, path)

    if sys.platform != "linux":  # forks are unsafe there
        return map(read, paths)
    from fastmri.data import mri_data  # noqa: F401  here, not again in every fork

    from fastmri_clgnet.formats.isolate import map_in_fork

    return map_in_fork(read, paths)


def look_at_folder(folder: Path, look: Callable[[h5py.File, Path, bool], Result]) -> list[Result]:
    """`look_at` all files of a folder; `look` is told whether they are few enough to read whole."""
    paths = list_files(folder)
    n_bytes = sum(path.stat().st_size for path in paths if path.is_file())
    whole = n_bytes <= READ_WHOLE_BYTES
    results = look_at(paths, lambda file, path: look(file, path, whole))
    return list(
        tqdm(results, f"Checking {folder.name}", len(paths), unit="file", delay=2, leave=False)
    )


def check_split(
    folder: Path, challenge: str, masked: bool, refuse_nan: bool = True
) -> list[VolumeInfo]:
    """Check all files of one split, and what they hold; `masked`: of undersampled volumes."""

    def look(file: h5py.File, path: Path, whole: bool) -> VolumeInfo:
        volume = inspect_volume(file, path, challenge, masked)
        any_signal = False
        for i, kspace, target in read_slices(file, challenge):
            if refuse_nan:
                check_finite(kspace, f"{path}, slice {i}")
                if target is not None:
                    check_finite(target, f"{path}, slice {i}", "reference")
            any_signal = any_signal or bool(kspace.any())
            if any_signal and not whole:
                break
        if not any_signal:
            raise InputError(f"{path}: the k-space is zero everywhere; remove it from the folder")
        return volume

    return look_at_folder(folder, look)


def challenge_of(folder: Path) -> Challenge:
    """Whether a folder's first HDF5 file holds single-coil or multicoil k-space, by its axes."""

    def look(file: h5py.File, path: Path) -> Challenge:
        kspace = get_dataset(file, "kspace", path)
        return "multicoil" if kspace is not None and kspace.ndim == 4 else "singlecoil"

    paths = [path for path in list_files(folder) if path.is_file() and h5py.is_hdf5(path)]
    return next(look_at(paths[:1], look), "singlecoil")  # whose check says what is wrong


def inspect_volume(
    file: h5py.File, path: Path, challenge: str, masked: bool, reference: bool = True
) -> VolumeInfo:
    """Check what the host asks of a file, but for its values; `reference`: needs a target."""
    kspace = need_dataset(file, "kspace", path, "expected a file in fastMRI's format")
    ndim = {"singlecoil": 3, "multicoil": 4}[challenge]
    if kspace.ndim != ndim or 0 in kspace.shape or kspace.dtype not in (np.complex64, complex):
        axes = "(slices, rows, columns)" if ndim == 3 else "(slices, coils, rows, columns)"
        other = {3: "singlecoil", 4: "multicoil"}.get(kspace.ndim)
        hint = f"; try --challenge {other}" if other not in (None, challenge) else ""
        raise InputError(
            f"{path}: expected {challenge} k-space {axes}, complex, got {kspace.shape} "
            f"{kspace.dtype}{hint}"
        )
    rows, columns = kspace.shape[-2:]
    header = need_dataset(
        file, "ismrmrd_header", path,
        "fastMRI reads the image's size from it; fastmri_clgnet.data.write_fastmri_file writes it",
        at_once=True,
    )  # fmt: skip
    value = header[()] if header.shape == () and header.dtype.kind in "OS" else None
    text = value.encode() if isinstance(value, str) else value
    if not isinstance(text, bytes):
        raise InputError(f"{path}: the ismrmrd_header is not a text")
    info = read_header(text, path)
    if not 0 <= info.acquired[0] < min(info.acquired[1], columns):
        raise InputError(
            f"{path}: header: acquired columns {info.acquired[0]} to {info.acquired[1]} of "
            f"{columns} (padding of masks)"
        )
    if masked:
        mask = need_dataset(
            file, "mask", path, "expected an undersampled test volume; fully sampled ones go to "
            "--test_split val, which undersamples them", at_once=True,
        )  # fmt: skip
        checked_mask(path, mask[()], columns)
    else:
        get_dataset(file, "mask", path, at_once=True)  # the host reads it all the same
    image_size = info.recon
    key = TARGET_KEYS[challenge]
    if get_dataset(file, key, path) is not None or (reference and not masked):
        image_size = _check_target(file, key, path, len(kspace), challenge)
        if not masked and "max" not in file.attrs:
            raise InputError(
                f"{path}: no attribute 'max' (largest value of the reference), which PSNR and SSIM "
                "are relative to"
            )
    _check_attributes(file, path)
    # the host cuts the image to a square where its width does not fit into the rows (FLAIR 203)
    cut = (rows, rows) if rows < image_size[1] else image_size
    if not (0 < cut[0] <= rows and 0 < cut[1] <= columns):
        raise InputError(
            f"{path}: an image of {image_size[0]} x {image_size[1]} pixels does not fit into "
            f"k-space of {rows} x {columns}"
        )
    acquisition = str(plain(file.attrs.get("acquisition", "unknown")))
    simulated = "simulated" in file.attrs
    return VolumeInfo(path, tuple(kspace.shape), image_size, info, acquisition, simulated)


def read_header(header: bytes, path: Path) -> HeaderInfo:
    """All that the host reads of the ISMRMRD header, an XML text."""
    from fastmri.data.mri_data import et_query

    def number(*names: str, smallest: int = 1) -> int:
        value = int(et_query(root, ["encoding", *names]))
        if not smallest <= value <= _LARGEST:
            raise ValueError(f"{value}, expected {smallest} to {_LARGEST}")
        return value

    try:
        root = ElementTree.fromstring(header, ElementTree.XMLParser(target=_WithoutDoctype()))
        spaces = ("encodedSpace", "reconSpace")
        sizes = [[number(space, "matrixSize", axis) for axis in "xyz"] for space in spaces]
        center, maximum = (
            number("encodingLimits", "kspace_encoding_step_1", limit, smallest=0)
            for limit in ("center", "maximum")
        )
    except (ElementTree.ParseError, RuntimeError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: the ismrmrd_header cannot be used ({error}); expected ISMRMRD XML with "
            "encoded and recon matrix sizes and the limits of kspace_encoding_step_1"
        ) from error
    (rows, columns, _), (height, width, _) = sizes
    first = columns // 2 - center
    pixel_mm = None
    with suppress(RuntimeError, ValueError):
        field = [
            float(et_query(root, ["encoding", spaces[0], "fieldOfView_mm", axis])) for axis in "xy"
        ]
        if all(0 < millimetres < _LARGEST for millimetres in field):
            pixel_mm = (field[0] / rows, field[1] / columns)
    return HeaderInfo((rows, columns), (height, width), (first, first + maximum + 1), pixel_mm)


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Refuses entities, which may multiply ("billion laughs") or name other files."""

    def doctype(self, *_: object) -> None:
        raise ValueError("a DOCTYPE may declare XML entities; remove the declaration")


def _check_target(
    file: h5py.File, key: str, path: Path, n_slices: int, challenge: str
) -> tuple[int, int]:
    """Check the reference images, which the host reads wherever there are some."""
    target = need_dataset(
        file, key, path, f"the reference images of {challenge} data; is --challenge right, and "
        "the volume fully sampled?",
    )  # fmt: skip
    if target.ndim != 3 or len(target) != n_slices:
        raise InputError(
            f"{path}: expected {target.name} of {n_slices} slices (slices, height, width), "
            f"got {target.shape}"
        )
    if target.dtype not in (np.float16, np.float32, np.float64):
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
    maximum = file.attrs.get("max", 1.0)
    number = isinstance(maximum, int | float | np.integer | np.floating)
    if not number or not 0 < maximum < np.inf:
        raise InputError(f"{path}: attribute max: {maximum!r}; expected a number above 0")


def read_slices(
    file: h5py.File, challenge: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Index, k-space and reference (or None) of each slice, the middle slice first."""
    kspace, target = file["kspace"], file.get(TARGET_KEYS[challenge])
    middle = len(kspace) // 2
    for i in chain([middle], range(middle), range(middle + 1, len(kspace))):
        yield i, kspace[i], None if target is None else target[i]


def check_finite(values: np.ndarray, name: str, what: str = "k-space") -> None:
    """Refuse NaN and Inf; `name` is the slice's, `what` that of the values."""
    if not np.isfinite(values).all():
        raise InputError(
            f"{name}: the {what} holds NaN or Inf; reconstruct or convert this volume again, or "
            "remove it from the folder"
        )


def check_one_size(volumes: Sequence[VolumeInfo], batch_size: int, on_kspace: bool = False) -> None:
    """Refuse slices of several sizes in one batch, of k-space or of images."""
    if batch_size == 1:
        return

    def size(volume: VolumeInfo) -> tuple[int, ...]:
        return volume.kspace_shape[1:] if on_kspace else volume.image_size

    first = volumes[0]
    for volume in volumes:
        if size(volume) != size(first):
            what = "k-space" if on_kspace else "images"
            raise InputError(
                f"{volume.path}: {what} of {' x '.join(map(str, size(volume)))}, but {first.path} "
                f"has {' x '.join(map(str, size(first)))}: they cannot share a batch of "
                f"{batch_size}; use --batch_size 1"
            )
