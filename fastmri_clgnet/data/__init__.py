"""Data: masks, data sets, fastMRI's file format, and checks of it."""

from typing import TYPE_CHECKING

from fastmri_clgnet.lazy import lazy

if TYPE_CHECKING:
    from fastmri_clgnet.data.demo import make_demo_dataset
    from fastmri_clgnet.data.fastmri_file import write_fastmri_file
    from fastmri_clgnet.data.mask import Mask
    from fastmri_clgnet.data.mri_data import Data

__all__ = ["Data", "Mask", "make_demo_dataset", "write_fastmri_file"]

__getattr__ = lazy(
    __name__,
    {
        "Data": "mri_data",
        "Mask": "mask",
        "make_demo_dataset": "demo",
        "write_fastmri_file": "fastmri_file",
    },
)
