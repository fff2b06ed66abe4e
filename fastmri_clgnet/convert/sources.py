"""The sources that the command can read."""

from __future__ import annotations

from fastmri_clgnet.convert import bart, cc359, ismrmrd_raw, nifti, numpy_arrays
from fastmri_clgnet.convert.volume import Source

SOURCES: dict[str, Source] = {
    "cc359": cc359.SOURCE,
    "numpy": numpy_arrays.SOURCE,
    "bart": bart.SOURCE,
    "ismrmrd": ismrmrd_raw.SOURCE,
    "nifti": nifti.SOURCE,
}
