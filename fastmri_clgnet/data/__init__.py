"""Data: the demo data set, fastMRI's file format, and checks of it."""

from fastmri_clgnet.data.data_module import CheckedDataModule, CheckedTransform, collate_one_size
from fastmri_clgnet.data.demo import make_demo_dataset
from fastmri_clgnet.data.fastmri_file import write_fastmri_file
from fastmri_clgnet.data.file_checks import check_split
from fastmri_clgnet.data.volume_batches import VolumeBatches

__all__ = [
    "CheckedDataModule",
    "CheckedTransform",
    "VolumeBatches",
    "check_split",
    "collate_one_size",
    "make_demo_dataset",
    "write_fastmri_file",
]
