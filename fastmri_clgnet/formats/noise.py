"""Prewhitening: coils with equal and independent noise, by the scan's own noise readouts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.scan import Scan, expect_scan

ENOUGH = 2  # samples of noise for each coil, or the covariance may be singular


def prewhiten(scan: Scan) -> Scan:
    """Combine the coils linearly so that their noise is independent, with variance 1 in each.

    With the covariance C = L L^H of the noise between coils, every sample s of all coils becomes
    L^-1 s. C is the noise readouts', scaled to the dwell time of the image's readouts. A line that
    is the mean of n measurements has variance 1 / n. The receiver's bandwidth is taken for flat.

    Args:
        scan: With noise readouts: of ISMRMRD (ACQ_IS_NOISE_MEASUREMENT) or TWIX (NOISEADJSCAN).

    Returns:
        The scan, in units of the noise's standard deviation; its noise is white, too.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noise = (rng.normal(size=(2, 999)) + 1j * rng.normal(size=(2, 999))).astype("c8")
        >>> scan = Scan(np.ones((1, 2, 64, 48), np.complex64), (64, 48), noise=noise)
        >>> np.cov(prewhiten(scan).noise).round(3).real.tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Raises:
        InputError: If there is no noise, or too little of it to whiten with.

    References:
        Pruessmann et al., Advances in sensitivity encoding with arbitrary k-space trajectories,
        Magnetic Resonance in Medicine 46(4), 2001, appendix A (noise decorrelation).
    """
    expect_scan(scan)
    if scan.noise is None:
        raise InputError(
            f"{scan.name}: holds no noise readouts of its {scan.n_coils} coils, which prewhitening "
            "needs; omit it"
        )
    n_coils, n_samples = scan.noise.shape
    if n_samples < ENOUGH * n_coils:
        raise InputError(
            f"{scan.name}: {n_samples} samples of noise for {n_coils} coils; prewhitening needs "
            f"{ENOUGH * n_coils} or more; omit it"
        )
    try:
        root = np.linalg.cholesky(np.atleast_2d(np.cov(scan.noise.astype(np.complex128))))
    except np.linalg.LinAlgError as error:
        raise InputError(
            f"{scan.name}: the noise readouts of its {n_coils} coils depend on each other (is one "
            "of them without a signal?); omit prewhitening"
        ) from error
    whitening = np.linalg.inv(root).astype(np.complex128)
    note = f"prewhitened by {n_samples} samples of noise: in units of its standard deviation"
    return combine_coils(scan, whitening)._replace(notes=(*scan.notes, note))


def combine_coils(scan: Scan, weights: npt.NDArray[np.complex128]) -> Scan:
    """Replace coils by linear combinations of them, in k-space and noise.

    Args:
        scan: Of any number of coils.
        weights: (combinations, coils), complex.

    Returns:
        The scan; one combination is single-coil data.

    Raises:
        InputError: If its reference is of the coils as they were.
    """
    if scan.reference is not None:
        raise InputError(
            f"{scan.name}: was undersampled retrospectively; combine its coils before that"
        )
    coils = scan.kspace if scan.kspace.ndim == 4 else scan.kspace[:, None]
    shape = (len(coils), len(weights), *coils.shape[-2:])
    kspace = np.empty(shape, np.complex64)
    for made, one in zip(kspace, coils, strict=True):  # by slice, to hold no second volume
        made[:] = np.tensordot(weights, one, axes=1)
    noise = None if scan.noise is None else (weights @ scan.noise).astype(np.complex64)
    return scan._replace(kspace=kspace[:, 0] if len(weights) == 1 else kspace, noise=noise)


def gather_noise(
    readouts: Iterable[tuple[npt.NDArray[np.complex64], float]], dwell: float, n_coils: int
) -> tuple[npt.NDArray[np.complex64] | None, list[str]]:
    """The noise of one sample of the image's readouts, (coils, samples), and what to say of it.

    Args:
        readouts: Noise (coils, samples), and its dwell time.
        dwell: Dwell time of the image's readouts, in the same unit.
        n_coils: Of the image; noise of another number of coils is left out.
    """
    usable = [(samples, its) for samples, its in readouts if len(samples) == n_coils]
    if not usable:
        return None, []
    known = dwell > 0 and all(its > 0 for _, its in usable)
    # a shorter dwell time is a larger bandwidth, which lets more noise in
    factors = [np.sqrt(its / dwell) if known else 1.0 for _, its in usable]
    parts = [samples * factor for (samples, _), factor in zip(usable, factors, strict=True)]
    noise = np.concatenate(parts, axis=1).astype(np.complex64)
    unknown = "the dwell times of noise and image are unknown, and taken for equal"
    return (noise if np.isfinite(noise).all() else None), [] if known else [unknown]
