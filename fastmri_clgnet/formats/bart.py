"""BART's files: `.cfl` beside `.hdr`.

The header is text: a line '# Dimensions', then the sizes of up to 16 dimensions; the data is
complex64, the first dimension running fastest. BART's k-space is centred. Dimensions here: 0
readout, 1 and 2 phase encodings, 3 coils, 13 slices.

References:
    https://mrirecon.github.io/bart/ (Uecker et al., Berkeley Advanced Reconstruction Toolbox)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.conventions import PlainKspace, to_fastmri
from fastmri_clgnet.formats.fastmri import image_size
from fastmri_clgnet.formats.orientation import refuse_wrong_axes
from fastmri_clgnet.formats.scan import Scan, sampled_columns

COILS, SLICES = 3, 13  # dimensions
N_DIMENSIONS = 16


@dataclass(frozen=True, kw_only=True)
class Bart(PlainKspace):
    r"""BART's .cfl and .hdr files of k-space.

    Example:
        >>> kspace = np.ones((64, 48, 1, 4), np.complex64)  # readout, phase encodings, coils
        >>> kspace.ravel(order="F").tofile("scan.cfl")
        >>> _ = Path("scan.hdr").write_text("# Dimensions\n64 48 1 4\n")
        >>> Bart().read(Path("scan.cfl"), seed=(0,)).kspace.shape
        (1, 4, 64, 48)
    """

    name: ClassVar[str] = "bart"
    suffixes: ClassVar[tuple[str, ...]] = (".cfl",)

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read a volume of two-dimensional k-space, given by either file; see `Reader`."""
        path = path.with_suffix(".cfl")
        array = _read_cfl(path)
        plane = [axis for axis in range(3) if array.shape[axis] > 1]
        if len(plane) != 2:
            raise InputError(
                f"{path}: dimensions {array.shape[:3]} of readout and phase encodings; expected "
                "two larger than 1 (of three-dimensional k-space, transform the readout first: "
                "bart fft -u -i 1)"
            )
        for axis in range(3, N_DIMENSIONS):
            if axis not in (COILS, SLICES) and array.shape[axis] > 1:
                raise InputError(
                    f"{path}: dimension {axis} has {array.shape[axis]} entries; expected only "
                    f"coils ({COILS}) and slices ({SLICES}): choose one with bart slice {axis} "
                    "INDEX"
                )
        order = [SLICES, COILS, *plane]
        rest = [axis for axis in range(N_DIMENSIONS) if axis not in order]
        array = array.transpose(*order, *rest).reshape([array.shape[axis] for axis in order])
        kspace = to_fastmri(np.ascontiguousarray(array), "centred", self.norm)
        if kspace.shape[1] == 1:
            kspace = kspace[:, 0]
        size = image_size(path, kspace, self.recon_size)
        refuse_wrong_axes(path, kspace)
        return Scan(kspace, size, sampled_columns(path, kspace))


def _read_cfl(path: Path) -> npt.NDArray[np.complex64]:
    """Read a `.cfl` file as the `.hdr` file beside it says, into 16 dimensions."""
    header = path.with_suffix(".hdr")
    try:
        lines = header.read_text(encoding="utf-8", errors="replace").splitlines()
        place = [line.strip() for line in lines].index("# Dimensions")
        sizes = [int(word) for word in lines[place + 1].split()]
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            f"{header}: expected the header of {path.name}, with a line '# Dimensions' and the "
            f"sizes after it ({error})"
        ) from error
    n_bytes = 8 * math.prod(sizes)
    if not sizes or min(sizes) < 0 or len(sizes) > N_DIMENSIONS or n_bytes != path.stat().st_size:
        raise InputError(
            f"{path}: {path.stat().st_size} bytes, but dimensions {sizes} of complex64 are "
            f"{n_bytes}; is it complete?"
        )
    if n_bytes == 0:
        raise InputError(f"{path}: an empty array, of dimensions {sizes}")
    sizes += [1] * (N_DIMENSIONS - len(sizes))
    return np.fromfile(path, "<c8").reshape(sizes, order="F")
