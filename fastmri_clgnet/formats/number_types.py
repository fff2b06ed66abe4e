"""Number types of arrays in files, as NumPy and MATLAB write them, and as the host computes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# what HDF5 files call the two fields of a complex number
_REAL, _IMAGINARY = {"r", "re", "real"}, {"i", "im", "imag", "imaginary"}


def _parts(kind: np.dtype) -> tuple[str, str] | None:
    """The fields of real and imaginary part, if a type has just these."""
    names = {name.lower(): name for name in kind.names or ()}
    real, imaginary = sorted(_REAL & set(names)), sorted(_IMAGINARY & set(names))
    if not (len(names) == 2 and real and imaginary):
        return None
    parts = names[real[0]], names[imaginary[0]]
    return parts if all(is_real(kind[name]) for name in parts) else None


def is_complex(kind: np.dtype) -> bool:
    """Whether a type is complex, also as a compound of two fields (r and i, real and imag)."""
    return kind.kind == "c" or _parts(kind) is not None


def is_real(kind: np.dtype) -> bool:
    """Whether a type is of real numbers, floating point or integer."""
    return kind.kind in "fiu"


def as_complex64(values: npt.NDArray) -> npt.NDArray[np.complex64]:
    """Complex numbers of any type, in single precision; what is too large becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if (parts := _parts(values.dtype)) is None:
            return values.astype(np.complex64, copy=False)
        result = np.empty(values.shape, np.complex64)
        result.real, result.imag = (values[name] for name in parts)
        return result


def as_float32(values: npt.NDArray) -> npt.NDArray[np.float32]:
    """Real numbers of any type, in single precision; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)
