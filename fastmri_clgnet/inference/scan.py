"""Reconstructing one scan by trained weights, in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.read_scan import Reading, read_scan
from fastmri_clgnet.formats.scan import Scan, expect_scan
from fastmri_clgnet.inference.domain import out_of_domain
from fastmri_clgnet.inference.network import Network
from fastmri_clgnet.inference.regularisation import Regularisation
from fastmri_clgnet.precision import Precision
from fastmri_clgnet.weights import find_weights


class OutOfDomain(UserWarning):
    """Weights are used on data of another kind than they were trained on.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", OutOfDomain)
        ...     reconstruct_scan(example_slice(), "brain-4x").shape
        (1, 256, 256)
    """


def undersample(scan: Scan, mask: Mask) -> Scan:
    """Undersample a fully sampled scan retrospectively; its images become the reference.

    The mask is drawn as for fastMRI's validation files: the scan's name settles it, whatever its
    ending is.

    Args:
        scan: Fully sampled.
        mask: Which columns are kept.

    Returns:
        The scan with zeros, its mask and its reference.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> from fastmri_clgnet.data import Mask
        >>> scan = undersample(example_slice(), Mask("random", (4,), (0.08,)))
        >>> int(scan.mask.sum())
        59

    Raises:
        InputError: If it is undersampled already, or the mask cannot be drawn.
    """
    expect_scan(scan)
    if scan.mask is not None:
        raise InputError(
            f"{scan.name}: is undersampled already; omit the mask, or give a fully sampled scan"
        )
    columns = scan.kspace.shape[-1]
    mask.check([columns])
    drawn, num_low_frequencies = mask.draw(scan.name, columns)
    kept = drawn & scan.sampled()
    return scan._replace(
        kspace=scan.kspace * kept,
        mask=kept,
        reference=scan.images(),
        num_low_frequencies=num_low_frequencies,
        notes=(*scan.notes, f"undersampled retrospectively ({mask})"),
    )


def reconstruct_scan(
    scan: Scan | Path | str,
    checkpoint: Path | str | Network | None = None,
    *,
    model: str | None = None,
    regularisation: Regularisation = Regularisation(),
    reading: Reading = Reading(),
    device: str = "auto",
    batch_size: int = 1,
    precision: Precision = "32-true",
    progress: Callable[[int], object] | None = None,
) -> npt.NDArray[np.float32]:
    """Reconstruct one scan, as it was measured.

    Nothing is undersampled here; `undersample` does that to a fully sampled scan. Gives the numbers
    of `python -m fastmri_clgnet.reconstruct` on a folder that holds the same volume.

    Args:
        scan: What `read_scan` gave, or the file.
        checkpoint: Name of weights of the package, a checkpoint of train_clgnet, what export made
            of one, what `load` gives, or a Lightning module; these are copied and not changed.
        model: The choice of train_clgnet's --model, for checkpoints that do not say it;
            zero_filled, cs_wavelet and cs_tv need no checkpoint, which is None then.
        regularisation: Of the models cs_wavelet and cs_tv.
        reading: As for `read_scan`, where the scan is a file.
        device: cpu, cuda, cuda:1, ...; auto is a GPU where there is one.
        batch_size: Slices at a time.
        precision: Lightning's names; 16-mixed is for GPUs.
        progress: Is told the number of slices after each batch.

    Returns:
        Images (slices, height, width) float32, in the units of `fastmri.ifft2c`.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> from fastmri_clgnet.data import Mask
        >>> scan = undersample(example_slice(), Mask("random", (4,), (0.08,)))
        >>> import warnings
        >>> warnings.simplefilter("ignore", OutOfDomain)
        >>> reconstruct_scan(scan, "brain-4x").shape
        (1, 256, 256)

    Raises:
        InputError: If scan or checkpoint cannot be used, or do not fit each other.

    Warns:
        OutOfDomain: Once, if the weights were trained on data of another kind.
    """
    if isinstance(scan, str | Path):
        scan = read_scan(scan, reading)
    elif reading != Reading():
        raise InputError(f"scan: has been read already, so that {reading} has no effect; omit it")
    expect_scan(scan)
    if isinstance(checkpoint, str | Path):
        find_weights(checkpoint)  # what is missing is said before torch is imported
    from fastmri_clgnet.inference.applying import ready_network, reconstruct_slices

    network = ready_network(checkpoint, model, regularisation, scan.challenge)
    remark = out_of_domain(network, scan)
    if remark is not None:
        warnings.warn(remark, OutOfDomain, stacklevel=2)
    return reconstruct_slices(network, scan, device, batch_size, precision, progress)
