"""ISMRMRD raw files: two-dimensional Cartesian acquisitions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastmri_clgnet.formats.scan import Scan


@dataclass(frozen=True)
class IsmrmrdRaw:
    """ISMRMRD raw files, two-dimensional Cartesian.

    Args:
        dataset: Group of the HDF5 file; by default that of the last measurement.
        contrast: Which contrast to take, where there are several.
        phase: Which phase to take, where there are several.
        repetition: Which repetition to take, where there are several.
        set: Which set to take, where there are several.

    Example:
        >>> import ismrmrd
        >>> import numpy as np
        >>> from fastmri_clgnet.formats.header import ismrmrd_header
        >>> with ismrmrd.Dataset("scan.mrd") as file:
        ...     file.write_xml_header(ismrmrd_header((64, 48), (32, 48)))
        ...     for column in range(48):
        ...         readout = ismrmrd.Acquisition.from_array(np.ones((4, 64), np.complex64))
        ...         readout.center_sample, readout.idx.kspace_encode_step_1 = 32, column
        ...         file.append_acquisition(readout)
        >>> IsmrmrdRaw().read(Path("scan.mrd"), seed=(0,)).kspace.shape
        (1, 4, 64, 48)
    """

    dataset: str | None = None
    contrast: int | None = None
    phase: int | None = None
    repetition: int | None = None
    set: int | None = None
    name: ClassVar[str] = "ismrmrd"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".mrd", ".ismrmrd")

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read a volume, every readout to its slice and column, averaged; see `Reader`."""
        with warnings.catch_warnings():  # of which ismrmrd shows all from its import on
            from fastmri_clgnet.formats.ismrmrd_acquisitions import read_acquisitions

        counters = {
            name: getattr(self, name) for name in ("contrast", "phase", "repetition", "set")
        }
        return read_acquisitions(path, self.dataset, counters)
