"""A real raw slice that comes with the package."""

from __future__ import annotations

from importlib.resources import as_file, files

from fastmri_clgnet.formats.numpy_arrays import load_array
from fastmri_clgnet.formats.scan import Scan

ATTRIBUTION = "AGILE test data, IMT, TU Graz, Zenodo record 800525, CC BY 4.0"


def example_slice() -> Scan:
    """One slice of real, fully sampled raw k-space: T2 TSE of a brain, 4 coils.

    From AGILE's test data (Huber et al., Graz University of Technology; Zenodo record 800525),
    under CC BY 4.0: keep this attribution with any copy. The readout oversampling was removed. The
    size of a pixel is not known.

    Example:
        >>> example_slice().kspace.shape
        (1, 4, 256, 256)

    Returns:
        The scan; k-space (1, 4, 256, 256) complex64.
    """
    with as_file(files("fastmri_clgnet.formats") / "example_slice" / "t2_tse_brain.npz") as path:
        kspace = load_array(path)
    return Scan(
        kspace,
        (256, 256),
        acquisition="AXT2",
        attributes={"source": ATTRIBUTION},
        acquired=(0, 256),
        name="t2_tse_brain",
        kind="example",
    )
