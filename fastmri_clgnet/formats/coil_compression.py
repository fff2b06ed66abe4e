"""Coil compression: fewer virtual coils that hold most of the signal."""

from __future__ import annotations

import numpy as np

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.noise import combine_coils
from fastmri_clgnet.formats.scan import Scan, expect_scan


def compress_coils(scan: Scan, n: int, num_low_frequencies: int | None = None) -> Scan:
    """Replace the coils by the n orthonormal combinations of them that hold the most energy.

    They are the first n left singular vectors of the matrix of all samples, (coils, samples), of
    the whole volume. With n the number of coils, that is a unitary transform, and the root sum of
    squares stays what it is.

    Args:
        scan: Of several coils; prewhitened before, or noisy coils count as signal.
        n: Number of virtual coils, the strongest first. One coil is single-coil data.
        num_low_frequencies: Columns around the centre of k-space that the vectors are computed of;
            None is all.

    Returns:
        The scan. `notes` says which share of the energy is kept.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> scan = compress_coils(example_slice(), 2)
        >>> scan.kspace.shape, scan.notes[-1]
        ((1, 2, 256, 256), 'compressed from 4 to 2 coils, which keep 90.91 % of the energy')

    Raises:
        InputError: If there are not as many coils, or columns.

    References:
        Huang, Vijayakumar, Li, Hertel, Duensing: A software channel compression technique for
        faster reconstruction with many channels, Magnetic Resonance Imaging 26(1), 2008.
    """
    expect_scan(scan)
    if scan.kspace.ndim != 4 or not 1 <= n <= scan.n_coils:
        raise InputError(
            f"{scan.name}: compress_coils {n}, expected 1 to the number of its coils, which is "
            f"{scan.n_coils}"
        )
    columns = scan.kspace.shape[-1]
    width = columns if num_low_frequencies is None else num_low_frequencies
    if not 1 <= width <= columns:
        raise InputError(
            f"{scan.name}: num_low_frequencies {num_low_frequencies}, expected 1 to {columns}"
        )
    first = columns // 2 - width // 2
    gram = np.zeros((scan.n_coils, scan.n_coils), np.complex128)
    for one in scan.kspace[..., first : first + width]:
        samples = one.reshape(scan.n_coils, -1).astype(np.complex128)
        gram += samples @ samples.conj().T
    # its eigenvectors are the left singular vectors of the samples, its eigenvalues their energy
    energy, vectors = np.linalg.eigh(gram)
    kept = 100 * energy[-n:].sum() / energy.sum()
    made = combine_coils(scan, vectors[:, ::-1][:, :n].conj().T)
    note = f"compressed from {scan.n_coils} to {n} coils, which keep {kept:.2f} % of the energy"
    return made._replace(
        notes=(*scan.notes, note),
        attributes={**scan.attributes, "compressed_coils": f"{n} of {scan.n_coils}"},
    )
