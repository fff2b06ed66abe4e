"""From trained weights to images; `load` and `show` are in `loading` and `picture`.

What stands here can be imported without torch, so that commands answer quickly; what computes is
imported when it is called. Nothing here imports Lightning.
"""

from fastmri_clgnet.inference.export import export
from fastmri_clgnet.inference.folder import Reconstructed, reconstruct
from fastmri_clgnet.inference.scan import OutOfDomain, reconstruct_scan, undersample
from fastmri_clgnet.inference.scan_file import ScanWritten, reconstruct_file

__all__ = [
    "OutOfDomain",
    "Reconstructed",
    "ScanWritten",
    "export",
    "reconstruct",
    "reconstruct_file",
    "reconstruct_scan",
    "undersample",
]
