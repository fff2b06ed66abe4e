"""Data: masks, data sets in fastMRI's format, and checks of them."""

from fastmri_clgnet.data.check import Findings, check
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.data.demo import make_demo_dataset
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.formats.fastmri import write_fastmri_file

__all__ = [
    "Data",
    "Findings",
    "Mask",
    "check",
    "make_demo_dataset",
    "write_fastmri_file",
]
