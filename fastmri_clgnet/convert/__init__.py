"""Other data into fastMRI's format: `convert` and the readers of the formats.

One file for each reader (`cc359`, `numpy_arrays`, `bart`, `ismrmrd_raw`, `twix`, `nifti`), which
reads one volume; `lines` puts the readouts of scanners in their places. What happens to that volume
is the same for all: `splitting`, `writing`, `run`.
"""

from fastmri_clgnet.convert.bart import Bart
from fastmri_clgnet.convert.cc359 import CC359
from fastmri_clgnet.convert.ismrmrd_raw import IsmrmrdRaw
from fastmri_clgnet.convert.nifti import Nifti
from fastmri_clgnet.convert.numpy_arrays import NumPy
from fastmri_clgnet.convert.run import Conversion, convert
from fastmri_clgnet.convert.twix import Twix
from fastmri_clgnet.convert.volume import Reader, Volume

__all__ = [
    "CC359",
    "Bart",
    "Conversion",
    "IsmrmrdRaw",
    "Nifti",
    "NumPy",
    "Reader",
    "Twix",
    "Volume",
    "convert",
]
