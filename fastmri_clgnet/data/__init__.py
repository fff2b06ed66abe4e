"""Data: masks, data sets, fastMRI's file format, and checks of it."""

from typing import TYPE_CHECKING

from fastmri_clgnet.lazy import lazy

if TYPE_CHECKING:
    from fastmri_clgnet.data.data_module import (
        CheckedDataModule,
        CheckedTransform,
        collate_one_size,
    )
    from fastmri_clgnet.data.demo import make_demo_dataset
    from fastmri_clgnet.data.fastmri_file import write_fastmri_file
    from fastmri_clgnet.data.mask import Mask
    from fastmri_clgnet.data.mri_data import Data
    from fastmri_clgnet.data.volume_batches import VolumeBatches
    from fastmri_clgnet.data.volumes import check_split

__all__ = [
    "CheckedDataModule",
    "CheckedTransform",
    "Data",
    "Mask",
    "VolumeBatches",
    "check_split",
    "collate_one_size",
    "make_demo_dataset",
    "write_fastmri_file",
]

__getattr__ = lazy(
    __name__,
    {
        "CheckedDataModule": "data_module",
        "CheckedTransform": "data_module",
        "Data": "mri_data",
        "Mask": "mask",
        "VolumeBatches": "volume_batches",
        "check_split": "volumes",
        "collate_one_size": "data_module",
        "make_demo_dataset": "demo",
        "write_fastmri_file": "fastmri_file",
    },
)
