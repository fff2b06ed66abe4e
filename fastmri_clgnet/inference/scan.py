"""Reconstructing one scan by trained weights, in memory."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.read_scan import Reading, read_scan
from fastmri_clgnet.formats.scan import Scan, expect_scan
from fastmri_clgnet.inference.network import Network
from fastmri_clgnet.inference.regularisation import Regularisation
from fastmri_clgnet.precision import Precision
from fastmri_clgnet.weights import find_weights

# how much the acceleration of a scan may differ from those of the training
_SIMILAR = (0.75, 1.34)
_CONTRASTS = ("FLAIR", "T2", "T1", "PD")  # what is looked for in a sequence's name, in this order


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

    The mask is drawn as for fastMRI's validation files: the scan's name settles it.

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
    drawn, _ = mask.make()((1, columns, 1), seed=tuple(map(ord, scan.name)))
    kept = drawn.numpy().ravel().astype(bool) & scan.sampled()
    return scan._replace(
        kspace=scan.kspace * kept,
        mask=kept,
        acquired=scan.acquired,
        reference=scan.images(),
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
    expect_scan(scan)
    if isinstance(checkpoint, str | Path):
        find_weights(checkpoint)  # what is missing is said before torch is imported
    from fastmri_clgnet.inference.applying import ready_network, reconstruct_slices

    network = ready_network(checkpoint, model, regularisation, scan.challenge)
    remark = out_of_domain(network, scan)
    if remark is not None:
        warnings.warn(remark, OutOfDomain, stacklevel=2)
    return reconstruct_slices(network, scan, device, batch_size, precision, progress)


def out_of_domain(network: Network, scan: Scan) -> str | None:
    """How a scan differs from what weights were trained on, in one line; None if not."""
    trained: Mapping[str, Any] = getattr(network, "trained_on", None) or {}
    differences = []
    challenge = trained.get("challenge", scan.challenge)
    if challenge != scan.challenge:
        differences.append(f"{scan.challenge} data (trained on {challenge})")
    factors = [float(factor) for factor in trained.get("accelerations", ())]
    if factors:
        factor = scan.acceleration()
        low, high = _SIMILAR
        if not low * min(factors) <= factor <= high * max(factors):
            what = (
                "full sampling"
                if scan.mask is None
                else f"acceleration {factor:.2g} in all, with the centre"
            )
            differences.append(f"{what} (trained on {words(f'{one:g}' for one in factors)})")
    contrasts = {_contrast(name) for name in trained.get("acquisitions", ())} - {None}
    contrast = _contrast(scan.acquisition)
    if contrasts and contrast is not None and contrast not in contrasts:
        known = words(sorted(map(str, contrasts)))
        differences.append(f"contrast {contrast} (trained on {known})")
    if trained.get("simulated") and "simulated" not in scan.attributes:
        differences.append("measured k-space (trained on simulated k-space)")
    if not differences:
        return None
    return f"{scan.name}: outside of what the weights were trained on: {'; '.join(differences)}"


def _contrast(name: str) -> str | None:
    """The contrast that a sequence's name says, such as AXT2 or t1_mprage."""
    for contrast in _CONTRASTS:
        if re.search(contrast, name, re.IGNORECASE):
            return contrast
    return None
