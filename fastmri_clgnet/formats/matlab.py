"""MATLAB's .mat files: arrays of k-space or images, of any version of the format.

Versions up to 7 are read by SciPy. Version 7.3 is HDF5, whose axes are in the reverse order of
MATLAB's, and whose complex numbers are pairs of fields.

References:
    https://www.mathworks.com/help/matlab/import_export/mat-file-versions.html
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.hdf5 import get_dataset, open_hdf5, plain
from fastmri_clgnet.formats.number_types import as_complex64, is_complex, is_real
from fastmri_clgnet.formats.numpy_arrays import Arrays, Axis, has_frames
from fastmri_clgnet.formats.scan import Scan

_NUMBERS = (
    "double",
    "single",
    "logical",
    *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)),
)
_AXES: dict[int, tuple[Axis, ...]] = {2: ("row", "column"), 3: ("row", "column", "slice")}


@dataclass(frozen=True, kw_only=True)
class Matlab(Arrays):
    """Arrays of MATLAB's .mat files, up to version 7 or of version 7.3.

    Args:
        axes: The array's axes in MATLAB's order, as size(x) gives them: slice, coil, row (readout),
            column (phase encoding), complex (two, real and imaginary part). By default row column
            slice of images, or row column.
        kind: Magnitude images get a simulated phase and noise, complex images are transformed as
            they are. By default real arrays are images; of complex ones it must be said.
        key: Name of the array, such as x or, in a struct, s.x; by default the only one.

    Example:
        >>> from scipy.io import savemat
        >>> savemat("head.mat", {"head": np.random.default_rng(0).random((64, 48, 3))})
        >>> Matlab().read(Path("head.mat"), seed=(0,)).kspace.shape
        (3, 64, 48)
    """

    axes: tuple[Axis, ...] | None = None
    kind: Literal["kspace", "image"] | None = None
    key: str | None = None
    name: ClassVar[str] = "matlab"
    suffixes: ClassVar[tuple[str, ...]] = (".mat",)

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read a volume; see `Reader`."""
        name, array = load_matlab(path, self.key)
        refuse_frames(path, name, array)
        is_complex = np.iscomplexobj(array) or "complex" in (self.axes or ())
        if self.kind is None and is_complex:
            raise InputError(
                f"{path}: {name} is complex: give kind kspace or kind image, and its axes, such as "
                "row column coil slice"
            )
        axes = self.axes or (None if is_complex and array.ndim > 2 else _AXES.get(array.ndim))
        if axes is None:
            raise InputError(
                f"{path}: {name} {_size(array)} has {array.ndim} axes; name them as axes, such as "
                "row column coil slice"
            )
        if self.axes is None and array.ndim == 3 and 2 * array.shape[0] < min(array.shape[1:]):
            raise InputError(
                f"{path}: {name} {_size(array)} may have its slices first; name its axes, such as "
                "slice row column or row column slice"
            )
        return self.scan(path, array, axes, self.kind or "image", seed)


def load_matlab(path: Path, key: str | None = None) -> tuple[str, npt.NDArray]:
    """Read the array of a name, with axes in MATLAB's order; by default the only one."""
    if h5py.is_hdf5(path):
        with open_hdf5(path) as file:
            stored = dict(_in_groups(file, path))
            name = _chosen(path, {each: item.shape[::-1] for each, item in stored.items()}, key)
            values = stored[name][()].T
            return name, as_complex64(values) if is_complex(values.dtype) else values
    from scipy.io import loadmat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is not an array
            arrays = dict(_in_structs(loadmat(path)))
    except Exception as error:  # a damaged file makes SciPy raise errors of many kinds
        reason = words(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not a MATLAB file that can be read ({reason})") from error
    name = _chosen(path, {each: array.shape for each, array in arrays.items()}, key)
    return name, arrays[name]


def refuse_frames(path: Path, name: str, array: npt.NDArray) -> None:
    """Raise where an array has more axes than a volume."""
    if has_frames(array):
        raise InputError(
            f"{path}: {name} {_size(array)} has {array.ndim} axes; expected at most row column "
            "coil slice: save one frame, such as x(:,:,:,:,1), as an array of its own"
        )


def _chosen(path: Path, sizes: Mapping[str, tuple[int, ...]], key: str | None) -> str:
    """The name that is asked for, or that of the only array with several rows and columns."""
    found = [name for name, size in sizes.items() if sum(n > 1 for n in size) > 1 and 0 not in size]
    if key is None and len(found) == 1:
        return found[0]
    if key is not None and key in sizes:
        if 0 in sizes[key]:
            raise InputError(f"{path}: {key} is empty")
        return key
    held = ", ".join(f"{name} {'x'.join(map(str, sizes[name]))}" for name in found or sizes)
    if not found:
        raise InputError(
            f"{path}: expected an array of images or k-space, got {held or 'no array'}"
        )
    asked = "" if key is None else f"no array {key!r}, but "
    raise InputError(f"{path}: holds {asked}{held}; give one of them as key")


def _in_structs(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, npt.NDArray]]:
    """Arrays of numbers by name, those in structs as struct.field."""
    for name, value in values.items():
        if not isinstance(value, np.ndarray):
            continue
        if value.dtype.names and value.size == 1:
            fields = {field: value[field].item() for field in value.dtype.names}
            yield from _in_structs(fields, f"{prefix}{name}.")
        elif value.dtype.kind in "biufc":
            yield prefix + name, value


def _in_groups(
    group: h5py.Group, path: Path, prefix: str = ""
) -> Iterator[tuple[str, h5py.Dataset]]:
    """Arrays of numbers by name, those in structs as struct.field; cells are left out."""
    for name in group:
        if name.startswith("#"):
            continue
        item = get_dataset(group, name, path)
        if item is None:
            if group.get(name, getclass=True) is h5py.Group:
                yield from _in_groups(group[name], path, f"{prefix}{name}.")
        elif item.attrs.get("MATLAB_empty") or item.shape is None:
            continue
        elif plain(item.attrs.get("MATLAB_class", "double")) in _NUMBERS and (
            item.dtype.kind == "b" or is_real(item.dtype) or is_complex(item.dtype)
        ):
            yield prefix + name, item


def _size(array: npt.NDArray) -> str:
    return "x".join(map(str, array.shape))
