"""What a reader reads: one volume in fastMRI's convention; and what its zeros say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import n_central_columns


def acceleration(sampled: npt.NDArray[np.bool_]) -> float:
    """How many columns there are in the measured range for each that was measured, (columns,)."""
    columns = np.flatnonzero(sampled)
    return float((columns[-1] - columns[0] + 1) / len(columns))


class Scan(NamedTuple):
    """One volume of one scan: its k-space, and what is known of it.

    Args:
        kspace: (slices, [coils,] rows, columns) complex64, centred and orthonormal.
        recon_size: Height and width of the image, within rows and columns.
        mask: Sampled columns, (columns,) bool, if it was acquired undersampled; else None.
        acquisition: Name of the sequence, where the file says it.
        pixel_mm: Height and width of a pixel in millimetres, where the file says it.
        attributes: What else to write beside it, such as what was simulated.
        acquired: First column that was measured, and one past the last. None if only the zeros of
            the k-space say it; see `acquired_columns`.
        affine: (4, 4) float64, from row, column and slice of the image to millimetres to the right,
            anterior and superior of the patient; None where the file does not say it.
        notes: What is worth knowing of how the file was read, one sentence each.
        name: The file's name, which settles masks that are drawn for it.
        kind: What the file is, such as "Siemens TWIX".
        reference: Images (slices, height, width) float32 of the k-space before it was undersampled
            retrospectively; None where it was not.
        noise: Noise readouts (coils, samples) complex64, scaled to the noise in one sample of the
            image's readouts; None where the file holds none. `prewhiten` takes it.
        num_low_frequencies: Columns of the fully sampled centre, where a mask was drawn with so
            many; 0 finds them in the mask, as for measured data.

    Example:
        >>> scan = Scan(np.ones((2, 4, 64, 48), np.complex64), recon_size=(32, 48))
        >>> scan.challenge, scan.images().shape
        ('multicoil', (2, 32, 48))
    """

    kspace: npt.NDArray[np.complex64]
    recon_size: tuple[int, int]
    mask: npt.NDArray[np.bool_] | None = None
    acquisition: str = "unknown"
    pixel_mm: tuple[float, float] | None = None
    attributes: dict[str, str | int | float] = {}  # noqa: RUF012
    acquired: tuple[int, int] | None = None
    affine: npt.NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    name: str = "volume"
    kind: str = "k-space"
    reference: npt.NDArray[np.float32] | None = None
    noise: npt.NDArray[np.complex64] | None = None
    num_low_frequencies: int = 0

    @property
    def n_coils(self) -> int:
        """Number of coils; 1 of single-coil data."""
        return self.kspace.shape[1] if self.kspace.ndim == 4 else 1

    @property
    def challenge(self) -> Literal["singlecoil", "multicoil"]:
        """What fastMRI calls such data."""
        return "multicoil" if self.kspace.ndim == 4 else "singlecoil"

    def sampled(self) -> npt.NDArray[np.bool_]:
        """Which columns were measured, (columns,) bool."""
        first, end = self.acquired or acquired_columns(self.kspace)
        columns = np.arange(self.kspace.shape[-1])
        inside = (first <= columns) & (columns < end)
        return inside if self.mask is None else inside & self.mask

    def images(self) -> npt.NDArray[np.float32]:
        """The root sum of squares of the inverse FFT, (slices, height, width)."""
        from fastmri_clgnet.formats.fourier import reference_image  # which needs torch

        return np.stack([reference_image(one, self.recon_size) for one in self.kspace])

    def acceleration(self) -> float:
        """How many columns there are in the measured range for each that was measured."""
        return acceleration(self.sampled())

    def __str__(self) -> str:
        rows, columns = self.kspace.shape[-2:]
        slices, coils = len(self.kspace), self.n_coils
        pixel = ", pixel size unknown"
        if self.pixel_mm is not None:
            pixel = " of {:.3g} x {:.3g} mm".format(*self.pixel_mm)
        parts = [
            f"{slices} slice{'s' * (slices != 1)}",
            f"{coils} coil{'s' * (coils != 1)}",
            f"k-space {rows} x {columns}",
            "image {} x {}{}".format(*self.recon_size, pixel),
        ]
        sampled = self.sampled()
        measured = f"{sampled.sum()} of {columns} lines"
        net = f"net acceleration {columns / sampled.sum():.2g}"
        if self.mask is None:
            parts.append(f"fully sampled{'' if sampled.all() else f' ({measured}, {net})'}")
        else:
            central = n_central_columns(sampled)
            step = regular_step(np.flatnonzero(sampled))
            every = "" if step is None else f", every {step} lines"
            parts += [
                f"{measured} measured ({net}{every})",
                f"{central} calibration line{'s' * (central != 1)}",
            ]
        return f"{self.name} ({self.kind}, {self.acquisition}): {', '.join(parts)}"


def expect_scan(scan: object) -> None:
    """Raise an error where a scan is expected and something else is given."""
    if not isinstance(scan, Scan):
        raise InputError(
            f"scan: expected what read_scan or example_slice gives, got {type(scan).__name__}"
        )


class Reader(Protocol):
    """Reads the files of a format.

    The readers here are frozen dataclasses. `convert` takes any other object of this kind. The
    fields of a dataclass are recorded, so that a conversion is continued with the same ones. A
    reader whose volumes are several files has a method `volumes(paths)`, too, which gives the files
    of each volume by a path that names it; `read` then takes the files of one.

    Example:
        >>> class TextReader:
        ...     suffixes = (".txt",)
        ...     def read(self, path, seed):
        ...         kspace = np.loadtxt(path, complex)
        ...         return Scan(kspace[None].astype(np.complex64), kspace.shape)
        >>> np.savetxt("a.txt", np.ones((64, 48), complex))
        >>> TextReader().read(Path("a.txt"), seed=(0,)).kspace.shape
        (1, 64, 48)
    """

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of the format's files, lower case."""

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read the volume of a file.

        Args:
            path: The file.
            seed: Of `numpy.random.default_rng`, where something is drawn: the conversion's seed,
                then the bytes of the volume's name.

        Returns:
            The volume, single-coil or multicoil.

        Raises:
            InputError: If the file cannot be used. The others are converted nevertheless.
        """


def regular_step(places: npt.NDArray[np.integer]) -> int | None:
    """The step of regular undersampling, beside calibration lines; None if there is none."""
    gaps = np.diff(places)
    steps, counts = np.unique(gaps[gaps > 1], return_counts=True)
    # on both sides of the calibration lines may be a smaller one
    regular = len(steps) > 0 and counts[-1] >= max(counts.sum() - 2, counts.sum() / 2)
    return int(steps[-1]) if regular else None


def acquired_columns(kspace: npt.NDArray[np.complex64]) -> tuple[int, int]:
    """The first column with a signal, and one past the last; all if the middle has none."""
    filled = np.flatnonzero(_filled_columns(kspace).any(axis=0))
    first, end = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
    columns = kspace.shape[-1]
    return (first, end) if first <= columns // 2 < end else (0, columns)


def sampled_columns(path: Path, kspace: npt.NDArray[np.complex64]) -> npt.NDArray[np.bool_] | None:
    """The mask (columns,) of k-space that was acquired undersampled; None if it was not."""
    by_slice = _filled_columns(kspace)
    filled = np.asarray(by_slice.any(axis=0))
    first, end = acquired_columns(kspace)
    with_signal = by_slice[by_slice.any(axis=1), first:end]
    if (with_signal != filled[first:end]).any():
        raise InputError(
            f"{path}: the slices have samples in different columns; fastMRI's files have one mask "
            "per volume: store slices with the same columns as a file of their own, or convert the "
            "fully sampled volumes"
        )
    return None if filled[first:end].all() else filled


def _filled_columns(kspace: npt.NDArray[np.complex64]) -> npt.NDArray[np.bool_]:
    """The columns of each slice with a value other than zero, (slices, columns) bool."""
    filled = np.zeros((len(kspace), kspace.shape[-1]), bool)
    for i, one in enumerate(kspace):  # by slice, to hold no mask of the whole volume
        filled[i] = (one != 0).reshape(-1, filled.shape[1]).any(axis=0)
    return filled
