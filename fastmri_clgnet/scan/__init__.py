"""From a scanner's file to a picture: read one scan, reconstruct it, show it, write it.

`read_scan` recognises the file (`reading`), `reconstruct_scan` runs trained weights on it
(`reconstruction`), `show` draws the picture (`picture`); `output` writes HDF5, NIfTI and DICOM, and
`command` is the single-file form of `python -m fastmri_clgnet.reconstruct`.
"""

from typing import TYPE_CHECKING

from fastmri_clgnet.lazy import lazy

if TYPE_CHECKING:
    from fastmri_clgnet.scan.example_data import example_slice
    from fastmri_clgnet.scan.picture import show
    from fastmri_clgnet.scan.reading import Reading, read_scan
    from fastmri_clgnet.scan.reconstruction import OutOfDomain, reconstruct_scan, undersample

__all__ = [
    "OutOfDomain",
    "Reading",
    "example_slice",
    "read_scan",
    "reconstruct_scan",
    "show",
    "undersample",
]

__getattr__ = lazy(
    __name__,
    {
        "OutOfDomain": "reconstruction",
        "Reading": "reading",
        "example_slice": "example_data",
        "read_scan": "reading",
        "reconstruct_scan": "reconstruction",
        "show": "picture",
        "undersample": "reconstruction",
    },
)
