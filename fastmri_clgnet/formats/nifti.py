"""NIfTI volumes of magnitude images: their k-space is simulated, and said to be."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from fastmri_clgnet.errors import InputError, need_package, words
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.formats.simulate import MIN_SIZE, Simulation

# axes of (right, anterior, superior) that are slices, rows and columns
_PLANES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
_THICK = 1.5  # times larger voxels along another axis: these are the slices


@dataclass(frozen=True, kw_only=True)
class Nifti(Simulation):
    """NIfTI volumes of magnitude images, with simulated phase and noise.

    Args:
        plane: Plane of the slices, by the file's orientation.

    Example:
        >>> import nibabel
        >>> volume = np.random.default_rng(0).random((48, 64, 3), np.float32)
        >>> nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), "head.nii.gz")
        >>> Nifti(plane="axial").read(Path("head.nii.gz"), seed=(0,)).kspace.shape
        (3, 64, 48)
    """

    plane: Literal["axial", "coronal", "sagittal"] = "axial"
    name: ClassVar[str] = "nifti"
    suffixes: ClassVar[tuple[str, ...]] = (".nii", ".nii.gz", ".hdr")  # .hdr beside .img

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read a volume, shown as radiologists do, and simulate its k-space; see `Reader`."""
        nibabel = need_package("nibabel", "nifti", "NIfTI files need")
        try:
            _check_gzip(path)
            image = nibabel.as_closest_canonical(nibabel.load(path))
            values = np.asanyarray(image.dataobj)
        except Exception as error:  # a damaged header makes nibabel raise errors of many kinds
            reason = words(str(error).split())
            raise InputError(f"{path}: not a NIfTI file that can be read ({reason})") from error
        if values.ndim == 4 and values.shape[3] == 1:
            values = values[..., 0]
        numbers = np.issubdtype(values.dtype, np.number) and not np.iscomplexobj(values)
        if values.ndim != 3 or 0 in values.shape or not numbers:
            raise InputError(
                f"{path}: expected one volume of magnitude images, got {values.shape} "
                f"{values.dtype}"
            )
        axes = _PLANES[self.plane]
        unit = getattr(image.header, "get_xyzt_units", lambda: ("mm",))()[0]  # Analyze's says none
        mm = {"micron": 1e-3, "meter": 1e3}.get(unit, 1.0)
        zooms = [mm * float(zoom) for zoom in image.header.get_zooms()[:3]]
        slices = values.transpose(axes)[:, ::-1, ::-1]
        height, width = slices.shape[1:]
        if min(height, width) < MIN_SIZE:
            for name, (_, *sides) in _PLANES.items():
                if all(values.shape[axis] >= MIN_SIZE for axis in sides):
                    raise InputError(
                        f"{path}: {self.plane} images of {height} x {width} pixels; expected "
                        f"{MIN_SIZE} x {MIN_SIZE} or more: give plane {name}"
                    )
        thickness = {name: zooms[axis] for name, (axis, *_) in _PLANES.items()}
        plane, largest = max(thickness.items(), key=lambda item: item[1])
        notes = []
        if largest > _THICK * thickness[self.plane] > 0:
            notes = [f"slices of {largest:.3g} mm lie in plane {plane}: give plane {plane}"]
        return self.simulated(path, slices, seed, (zooms[axes[1]], zooms[axes[2]]), notes=notes)


def _check_gzip(path: Path) -> None:
    """Read a compressed file to its end, where its checksum is; nibabel stops before."""
    with path.open("rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            return
    with gzip.open(path) as file:
        while file.read(2**20):
            pass
