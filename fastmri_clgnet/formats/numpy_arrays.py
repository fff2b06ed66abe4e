"""NumPy arrays, `.npy` and `.npz`: k-space or images, their axes named by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.conventions import Convention, PlainKspace, to_fastmri
from fastmri_clgnet.formats.fastmri import image_size
from fastmri_clgnet.formats.number_types import as_complex64, is_complex
from fastmri_clgnet.formats.orientation import refuse_wrong_axes, rolled_by_half
from fastmri_clgnet.formats.scan import Scan, sampled_columns
from fastmri_clgnet.formats.simulate import Simulation, transformed

Axis = Literal["slice", "coil", "row", "column", "complex"]  # in fastMRI's order
_MAGIC = (b"\x93NUMPY", b"PK")  # of .npy, and of archives such as .npz
_ROLLED = (
    "the image lies at the edges of the field of view, rolled by half: if it was made by "
    "fftshift(fft2(image)), give convention shifted"
)


@dataclass(frozen=True, kw_only=True)
class Arrays(PlainKspace, Simulation):
    """Files of one array: k-space, or complex or magnitude images.

    Args:
        convention: Of k-space, in NumPy's words. centred: fftshift(fft2(ifftshift(image))), as
            fastMRI, and the default; plain: fft2(image), not centred; shifted:
            fftshift(fft2(image)).
    """

    convention: Convention | None = None

    def scan(
        self,
        path: Path,
        array: npt.NDArray,
        axes: Sequence[Axis],
        kind: Literal["kspace", "image"],
        seed: Sequence[int],
    ) -> Scan:
        """The volume of an array with such axes; refuses what has no effect on it."""
        array = _in_order(path, array, axes)
        size = image_size(path, array, self.recon_size)
        if kind == "kspace":
            if not np.iscomplexobj(array):
                raise InputError(
                    f"{path}: k-space of type {array.dtype}; expected complex numbers, or an axis "
                    "'complex' of real and imaginary parts (kind image for images)"
                )
            self._refuse(path, "k-space, to which nothing is simulated", "noise", "coils")
            kspace = to_fastmri(array, self.convention or "centred", self.norm)
            refuse_wrong_axes(path, kspace)
            notes = (_ROLLED,) if rolled_by_half(kspace[len(kspace) // 2]) else ()
            return Scan(kspace, size, sampled_columns(path, kspace), notes=notes)
        self._refuse(path, "images, not k-space", "convention", "norm")
        if np.iscomplexobj(array):
            self._refuse(path, "complex images, transformed as they are", "noise", "coils")
            kspace = transformed(array, array.shape)
            return Scan(kspace, size, attributes={"source": "k-space of complex images"})
        if "coil" in axes:
            raise InputError(f"{path}: coil images without phase; expected complex ones")
        return self.simulated(path, array, seed)._replace(recon_size=size)

    def _refuse(self, path: Path, what: str, *names: str) -> None:
        if given := [name for name in names if getattr(self, name) is not None]:
            raise InputError(f"{path}: {what}; omit {' and '.join(given)}")


@dataclass(frozen=True)
class NumPy(Arrays):
    """NumPy arrays of k-space or images.

    Args:
        axes: The array's axes in their order; rows are the readout, columns the phase encodings,
            complex is an axis of two, real and imaginary part. Without 'slice' a file is one slice,
            without 'coil' the data is single-coil.
        kind: Complex images are transformed as they are; magnitude images get a simulated phase and
            noise.
        key: Array of an .npz file; by default the only one, or 'kspace'.

    Example:
        >>> np.save("a.npy", np.fft.fft2(np.random.default_rng(0).random((4, 2, 64, 48))))
        >>> reader = NumPy(("coil", "slice", "row", "column"), convention="plain")
        >>> reader.read(Path("a.npy"), seed=(0,)).kspace.shape
        (2, 4, 64, 48)
    """

    axes: tuple[Axis, ...]
    kind: Literal["kspace", "image"] = "kspace"
    key: str | None = None
    name: ClassVar[str] = "numpy"
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".npz")

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read a volume; see `Reader`."""
        return self.scan(path, load_array(path, self.key), self.axes, self.kind, seed)


def _in_order(path: Path, array: npt.NDArray, names: Sequence[Axis]) -> npt.NDArray:
    """(slices, [coils,] rows, columns), complex if there is an axis 'complex'."""
    axes = list(names)
    known = get_args(Axis)
    if len(set(axes)) < len(axes) or not {"row", "column"} <= set(axes) <= set(known):
        raise InputError(
            f"axes {words(axes)}: expected row and column, and each name once, of {words(known)}"
        )
    if array.ndim != len(axes):
        raise InputError(
            f"{path}: an array of shape {array.shape} has {array.ndim} axes, but axes "
            f"{words(axes)} names {len(axes)}"
        )
    array = array.transpose([axes.index(axis) for axis in known if axis in axes])
    if "complex" in axes:
        if array.shape[-1] != 2 or np.iscomplexobj(array):
            raise InputError(
                f"{path}: expected real numbers and an axis 'complex' of 2, got "
                f"{array.shape[-1]} and {array.dtype}"
            )
        array = array[..., 0] + 1j * array[..., 1]
    return array if "slice" in axes else array[None]


def has_frames(array: npt.NDArray) -> bool:
    """Whether an array has more axes than a volume, such as the frames of a film."""
    return array.ndim > (4 if np.iscomplexobj(array) else 5)  # one of real and imaginary part


def load_array(path: Path, key: str | None = None) -> npt.NDArray:
    """Read an array of numbers that is not empty, never a pickle; `key` as in `NumPy`."""
    try:
        with path.open("rb") as file:  # which numpy leaves open where an archive is damaged
            if not file.read(6).startswith(_MAGIC):
                raise InputError(f"{path}: not a NumPy array that can be read: no .npy or .npz")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if key is not None and isinstance(loaded, np.ndarray):
                raise InputError(f"{path}: one array, which has no name; omit key")
            array = loaded if isinstance(loaded, np.ndarray) else _member(path, loaded, key)
    except InputError:
        raise
    except Exception as error:  # damaged files make numpy raise errors of many kinds
        if "Object arrays" in str(error):
            raise InputError(
                f"{path}: not a NumPy array that can be read: it holds Python objects; expected "
                "numbers: save the array alone"
            ) from error
        raise InputError(f"{path}: not a NumPy array that can be read ({error})") from error
    if 0 in array.shape:
        raise InputError(f"{path}: an empty array, of shape {array.shape}")
    if array.dtype.names and is_complex(array.dtype):
        return as_complex64(array)
    if array.dtype.kind not in "biufc":
        raise InputError(f"{path}: an array of {array.dtype}; expected numbers")
    return array


def _member(path: Path, archive: np.lib.npyio.NpzFile, key: str | None) -> npt.NDArray:
    with archive:
        keys = list(archive)
        if not keys:
            raise InputError(f"{path}: an empty archive; expected an array")
        default = keys[0] if len(keys) == 1 else "kspace"
        if (key or default) not in keys:
            raise InputError(
                f"{path}: holds the arrays {words(keys)}; choose one: convert --key NAME, or "
                "read_scan(path, reader=NumPy(axes, key=NAME)) in Python"
            )
        return archive[key or default]
