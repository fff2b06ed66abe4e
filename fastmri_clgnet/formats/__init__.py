"""What files hold: one volume of one scan, and the formats that it is read from or written to.

One file for each reader (`cc359`, `numpy_arrays`, `bart`, `ismrmrd_raw`, `twix`, `nifti`), which
reads one volume; `lines` puts the readouts of scanners in their places; `read_scan` recognises a
file by its contents.
"""

from fastmri_clgnet.formats.bart import Bart
from fastmri_clgnet.formats.cc359 import CC359
from fastmri_clgnet.formats.ismrmrd_raw import IsmrmrdRaw
from fastmri_clgnet.formats.nifti import Nifti
from fastmri_clgnet.formats.numpy_arrays import NumPy
from fastmri_clgnet.formats.scan import Reader, Volume
from fastmri_clgnet.formats.twix import Twix

__all__ = ["CC359", "Bart", "IsmrmrdRaw", "Nifti", "NumPy", "Reader", "Twix", "Volume"]
