"""Writing HDF5 files in fastMRI's format: the one place that does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError

TARGET_KEYS = {"singlecoil": "reconstruction_esc", "multicoil": "reconstruction_rss"}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` on success, remove it on failure.

    Args:
        path: Where the finished file is to stand; its folder exists.

    Yields:
        The temporary path to write to, hidden and named after this process.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def ismrmrd_header(encoded: tuple[int, int], recon: tuple[int, int]) -> bytes:
    """The ISMRMRD header that fastMRI reads, for two-dimensional Cartesian sampling.

    Args:
        encoded: Rows (readout) and columns (phase encodings) of the k-space.
        recon: Rows and columns of the reconstructed image.

    Returns:
        The XML text, UTF-8.
    """

    def space(size: tuple[int, int]) -> ismrmrd.xsd.encodingSpaceType:
        return ismrmrd.xsd.encodingSpaceType(
            matrixSize=ismrmrd.xsd.matrixSizeType(x=size[0], y=size[1], z=1),
            fieldOfView_mm=ismrmrd.xsd.fieldOfViewMm(x=float(size[0]), y=float(size[1]), z=1.0),
        )

    encoding = ismrmrd.xsd.encodingType(
        encodedSpace=space(encoded),
        reconSpace=space(recon),
        encodingLimits=ismrmrd.xsd.encodingLimitsType(
            kspace_encoding_step_1=ismrmrd.xsd.limitType(
                minimum=0, maximum=encoded[1] - 1, center=encoded[1] // 2
            )
        ),
        trajectory=ismrmrd.xsd.trajectoryType("cartesian"),
    )
    conditions = ismrmrd.xsd.experimentalConditionsType(H1resonanceFrequency_Hz=0)
    header = ismrmrd.xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])
    text: str = header.toXML("utf-8")
    return text.encode()


def write_fastmri_file(
    path: Path | str,
    kspace: npt.NDArray[np.complex64],
    target: npt.NDArray[np.float32] | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    *,
    recon_size: tuple[int, int] | None = None,
    acquisition: str = "unknown",
    patient_id: str | None = None,
    attributes: dict[str, str | int | float] | None = None,
) -> None:
    """Write one volume as fastMRI's `SliceDataset` reads it; whole or not at all.

    Args:
        path: The HDF5 file; an existing one is replaced.
        kspace: Centred k-space, (slices, rows, columns) for single-coil or (slices, coils, rows,
            columns) for multicoil data, complex64; rows are the readout.
        target: Reference image, (slices, height, width) float32, in the units of the image that
            `fastmri.ifft2c` makes of the k-space. None for a test volume.
        mask: Sampled columns, (columns,) bool, of a test volume whose k-space is masked.
        recon_size: Height and width of the image; by default the target's, or the k-space's.
        acquisition: Name of the sequence, such as "AXT2".
        patient_id: Name of the patient; by default the file's stem.
        attributes: More HDF5 attributes.

    Raises:
        InputError: If the arrays do not fit together, are not finite, or do not read back.
    """
    path = Path(path)
    if kspace.ndim not in (3, 4) or kspace.dtype != np.complex64 or 0 in kspace.shape:
        raise InputError(
            f"{path}: expected k-space (slices, [coils,] rows, columns) complex64, got "
            f"{kspace.shape} {kspace.dtype}"
        )
    if not np.isfinite(kspace).all():
        raise InputError(f"{path}: k-space holds NaN or Inf")
    challenge = "singlecoil" if kspace.ndim == 3 else "multicoil"
    if target is not None and (
        target.ndim != 3
        or len(target) != len(kspace)
        or target.shape[-2] > kspace.shape[-2]
        or target.shape[-1] > kspace.shape[-1]
        or not np.isfinite(target).all()
    ):
        raise InputError(
            f"{path}: expected a finite target (slices, height, width) within k-space "
            f"{kspace.shape}, got {target.shape}"
        )
    if mask is not None and mask.shape != kspace.shape[-1:]:
        raise InputError(
            f"{path}: expected a mask of {kspace.shape[-1:]} columns, got {mask.shape}"
        )
    if recon_size is None:
        recon_size = (kspace if target is None else target).shape[-2:]

    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w") as file:
            file["ismrmrd_header"] = ismrmrd_header(kspace.shape[-2:], recon_size)
            file["kspace"] = kspace
            file.attrs["acquisition"] = acquisition
            file.attrs["patient_id"] = path.stem if patient_id is None else patient_id
            if target is not None:
                file[TARGET_KEYS[challenge]] = target.astype(np.float32)
                file.attrs["max"] = float(target.max())
                file.attrs["norm"] = float(np.linalg.norm(target))
            if mask is not None:
                file["mask"] = mask
            file.attrs.update(attributes or {})
        with h5py.File(temporary, "r") as file:
            if not np.array_equal(file["kspace"][()], kspace):
                raise InputError(f"{path}: the k-space does not read back as written")
