"""From several coils to one: by sensitivity maps, or the emulated single coil of fastMRI."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.fourier import coil_images, kspace_of
from fastmri_clgnet.formats.scan import Scan, expect_scan
from fastmri_clgnet.formats.sigpy_loading import load_sigpy_methods
from fastmri_clgnet.formats.single_coil_method import SingleCoilMethod, default_method

_NEIGHBOURHOOD = 5  # pixels along each axis, of the adaptive combination
_ITERATIONS, _TOLERANCE = 500, 1e-9  # of the emulated coil's fit
_SAID = {
    "espirit": "coil-combined complex image, by ESPIRiT's maps of SigPy",
    "adaptive": "coil-combined complex image, by adaptive combination (Walsh)",
    "emulated": "linear combination of the coils, fitted to their root sum of squares (ESC)",
}


def to_single_coil(scan: Scan, method: SingleCoilMethod | None = None) -> Scan:
    """Make single-coil k-space of a fully sampled scan of several coils.

    Args:
        scan: Fully sampled, of several coils.
        method: espirit (needs SigPy, extra: mri) and adaptive combine the coils' complex images
            by sensitivity maps S of norm 1, sum conj(S_c) x_c, and transform the result: low noise,
            no shading beyond the coils' own. emulated is the single coil of fastMRI's knee data:
            one linear combination sum w_c x_c for the whole volume, whose magnitude fits the root
            sum of squares best in least squares. It keeps noise and phase of a real single coil.
            By default espirit, or adaptive where SigPy is not installed.

    Returns:
        The scan: k-space (slices, rows, columns). The attribute single_coil says how it was made.
        Columns that were not measured stay zero.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> to_single_coil(example_slice(), "emulated").kspace.shape
        (1, 256, 256)

    Raises:
        InputError: If there is one coil only, the scan is undersampled, or the method needs SigPy
            and it is missing.

    References:
        ESPIRiT: Uecker et al., Magnetic Resonance in Medicine 71, 2014. Adaptive: Walsh, Gmitro,
        Marcellin, Magnetic Resonance in Medicine 43, 2000. Emulated: Tygert and Zbontar,
        Simulating single-coil MRI from the responses of multiple coils, arXiv 1811.08026.
    """
    expect_scan(scan)
    if method is None:
        method = default_method()
    if method not in get_args(SingleCoilMethod):
        raise InputError(f"{method}: expected one of {words(get_args(SingleCoilMethod))}")
    if scan.kspace.ndim != 4:
        raise InputError(f"{scan.name}: is single-coil data already; omit it")
    if scan.mask is not None:
        raise InputError(
            f"{scan.name}: is undersampled ({scan.mask.sum()} of {len(scan.mask)} columns); one "
            "coil is made of a fully sampled scan: do it before undersampling"
        )
    if method == "emulated":
        kspace = np.einsum("c,scyx->syx", emulated_weights(scan), scan.kspace)
    else:
        combine = _by_espirit() if method == "espirit" else _adaptive
        kspace = np.stack([kspace_of(combine(one)) for one in scan.kspace])
        kspace[..., ~scan.sampled()] = 0
    said = f"{_SAID[method]}, of {scan.n_coils} coils"
    return scan._replace(
        kspace=kspace.astype(np.complex64),
        noise=None,
        attributes={**scan.attributes, "single_coil": said, "single_coil_method": method},
        notes=(*scan.notes, f"one coil: {said}"),
    )


def emulated_weights(scan: Scan) -> npt.NDArray[np.complex128]:
    """The weights w (coils,) of least sum (|sum_c w_c x_c| - rss)^2, over all slices and pixels.

    Given the phases of the combination, that is linear least squares, and the best phases are those
    of the combination: the two steps in turn never increase the sum. They start with the
    combination of the most energy, and may end in a local minimum.
    """
    pixels = np.concatenate(
        [coil_images(one, scan.recon_size).reshape(scan.n_coils, -1) for one in scan.kspace], axis=1
    )
    target = np.sqrt((np.abs(pixels) ** 2).sum(axis=0))
    gram = pixels.conj() @ pixels.T
    weights: npt.NDArray[np.complex128] = np.linalg.eigh(gram)[1][:, -1]
    inverse = np.linalg.pinv(gram, hermitian=True)
    for _ in range(_ITERATIONS):
        combined = weights @ pixels
        magnitude = np.abs(combined)
        phase = np.divide(combined, magnitude, out=np.ones_like(combined), where=magnitude > 0)
        before, weights = weights, inverse @ (pixels.conj() @ (target * phase))
        if np.linalg.norm(weights - before) <= _TOLERANCE * np.linalg.norm(weights):
            break
    return weights


def _by_espirit() -> Callable[[npt.NDArray[np.complex64]], npt.NDArray[np.complexfloating]]:
    """Give the combination by ESPIRiT's maps, everywhere."""
    methods = load_sigpy_methods()

    def combine(kspace: npt.NDArray[np.complex64]) -> npt.NDArray[np.complexfloating]:
        maps = methods.espirit_maps(kspace, kspace.shape[-1], crop=0)
        combined: npt.NDArray[np.complex128] = (maps.conj() * coil_images(kspace)).sum(axis=0)
        return combined

    return combine


def _adaptive(kspace: npt.NDArray[np.complex64]) -> npt.NDArray[np.complexfloating]:
    """Combine by the first eigenvector of the coils' correlation in a pixel's neighbourhood."""
    images = coil_images(kspace)
    products = images[:, None] * images[None].conj()
    local = uniform_filter(products, size=(1, 1, _NEIGHBOURHOOD, _NEIGHBOURHOOD), mode="wrap")
    maps = np.linalg.eigh(local.transpose(2, 3, 0, 1))[1][..., -1]  # (rows, columns, coils)
    # an eigenvector's phase is arbitrary: that of the strongest coil becomes 0
    strongest = maps[..., np.argmax((np.abs(images) ** 2).sum(axis=(1, 2))), None]
    phase = np.exp(-1j * np.angle(strongest))
    combined: npt.NDArray[np.complex128] = np.einsum("yxc,cyx->yx", (maps * phase).conj(), images)
    return combined
