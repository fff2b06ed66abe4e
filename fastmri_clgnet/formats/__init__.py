"""What files hold: one volume of one scan, and the formats that it is read from or written to.

A `Scan` is what a reader gives: `bart`, `cc359`, `dicom`, `fastmri_reading`, `images`,
`ismrmrd_raw`, `matlab`, `nifti`, `numpy_arrays`, `twix`. `lines` puts the readouts of scanners in
their places, `read_scan` finds the reader by a file's contents, and `fastmri` writes fastMRI's
files. `noise`, `coil_compression` and `single_coil` combine a scan's coils.
"""

from fastmri_clgnet.formats.bart import Bart
from fastmri_clgnet.formats.cc359 import CC359
from fastmri_clgnet.formats.coil_compression import compress_coils
from fastmri_clgnet.formats.dicom import Dicom
from fastmri_clgnet.formats.images import Images
from fastmri_clgnet.formats.ismrmrd_raw import IsmrmrdRaw
from fastmri_clgnet.formats.matlab import Matlab
from fastmri_clgnet.formats.nifti import Nifti
from fastmri_clgnet.formats.noise import prewhiten
from fastmri_clgnet.formats.numpy_arrays import NumPy
from fastmri_clgnet.formats.preparation import Preparation, prepare
from fastmri_clgnet.formats.scan import Reader, Scan
from fastmri_clgnet.formats.twix import Twix

__all__ = [
    "CC359", "Bart", "Dicom", "Images", "IsmrmrdRaw", "Matlab", "Nifti", "NumPy",
    "Preparation", "Reader", "Scan", "Twix", "compress_coils", "prepare", "prewhiten",
]  # fmt: skip
