"""What is done with a scan's coils before anything else, in one order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.coil_compression import compress_coils
from fastmri_clgnet.formats.noise import prewhiten
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.formats.single_coil_method import SingleCoilMethod


@dataclass(frozen=True)
class Preparation:
    """What is done with the coils of raw data, in this order; by default nothing.

    Args:
        prewhiten: Make the coils' noise independent and of equal variance, by the scan's own noise
            readouts. k-space is then in units of the noise's standard deviation.
        compress_coils: Number of virtual coils to keep, those of the most energy.
        to: singlecoil makes one coil of several, of a fully sampled scan.
        coil_combination: How that one coil is made: espirit (needs SigPy, extra: mri),
            adaptive, or emulated (the single coil of fastMRI's knee data). Default: espirit, or
            adaptive where SigPy is not installed; the attribute single_coil says which.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> steps = Preparation(compress_coils=3, to="singlecoil", coil_combination="adaptive")
        >>> prepare(example_slice(), steps).kspace.shape
        (1, 256, 256)
    """

    prewhiten: bool = False
    compress_coils: int | None = None
    to: Literal["singlecoil"] | None = None
    coil_combination: SingleCoilMethod | None = None

    def __post_init__(self) -> None:
        """Refuse what would have no effect."""
        if self.coil_combination is not None and self.to is None:
            raise InputError(
                f"coil_combination {self.coil_combination}: is for to singlecoil; omit it"
            )


def prepare(scan: Scan, preparation: Preparation) -> Scan:
    """Prewhiten a scan, compress its coils and make one of them, as far as it is asked for.

    Args:
        scan: What `read_scan` gave, not undersampled retrospectively.
        preparation: Which of the steps.

    Returns:
        The scan; `notes` says what was done.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> prepare(example_slice(), Preparation(compress_coils=2)).kspace.shape
        (1, 2, 256, 256)

    Raises:
        InputError: If the scan does not allow it; see `prewhiten`, `compress_coils` and
            `to_single_coil`.
    """
    if preparation.prewhiten:
        scan = prewhiten(scan)
    if preparation.compress_coils is not None:
        scan = compress_coils(scan, preparation.compress_coils)
    if preparation.to is not None:
        from fastmri_clgnet.formats.single_coil import to_single_coil  # which needs torch

        scan = to_single_coil(scan, preparation.coil_combination)
    return scan
