"""What is called of SigPy (extra: mri): ESPIRiT's maps, and classical reconstructions of a slice.

The step sizes are given, not estimated by SigPy: its estimate starts from NumPy's global random
numbers, so that results would not be reproducible. They follow from norms that are known: a
masked orthonormal FFT of an image times maps of norm at most 1 has norm at most 1, and a circular
gradient along two axes norm at most sqrt(8).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError

try:
    from sigpy.mri.app import EspiritCalib, L1WaveletRecon, TotalVariationRecon
except ImportError as error:
    raise InputError(
        f"this needs SigPy ({error}): pip install 'fastmri_clgnet[mri]', or pip install sigpy"
    ) from error

CALIBRATION, KERNEL = 24, 6  # samples along each axis, SigPy's own defaults
_POWER_ITERATIONS = 30
_TAU, _SIGMA = 3.0, 1 / 27  # of the primal-dual method: with the squared norm their product is 1


def espirit_maps(
    kspace: npt.NDArray[np.complex64], num_low_frequencies: int, crop: float
) -> npt.NDArray[np.complex64]:
    """Coil sensitivities of a slice by ESPIRiT, one set.

    Args:
        kspace: (coils, rows, columns), centred.
        num_low_frequencies: Columns in the fully sampled centre.
        crop: Where the eigenvalue is at most this, the maps are 0; 0 keeps all.

    Returns:
        (coils, rows, columns), of norm 1 over the coils (or 0), the first coil's phase 0.
    """
    width = min(CALIBRATION, num_low_frequencies, *kspace.shape[1:])
    if width < 2:
        raise InputError(
            f"{num_low_frequencies} central columns of k-space are sampled; coil sensitivities "
            "need 2 or more: give the mask a larger center_fraction"
        )
    with np.errstate(invalid="ignore", divide="ignore"):  # a phase of no signal
        maps = EspiritCalib(
            kspace,
            calib_width=width,
            kernel_width=min(KERNEL, (width + 1) // 2),
            crop=crop,
            max_iter=_POWER_ITERATIONS,
            show_pbar=False,
        ).run()
    return np.nan_to_num(maps, copy=False)


def wavelet_reconstruction(
    kspace: npt.NDArray[np.complex64],
    sens_maps: npt.NDArray[np.complex64],
    mask: npt.NDArray[np.float32],
    lamda: float,
    iterations: int,
) -> npt.NDArray[np.complex64]:
    """The image x of least 1/2 ||mask F S x - kspace||^2 + lamda ||W x||_1, W of Daubechies-4.

    Args:
        kspace: (coils, rows, columns), zero where nothing was measured.
        sens_maps: S, the same shape.
        mask: (rows, columns), 0 or 1.
        lamda: In the units of the image.
        iterations: Of FISTA, which starts at 0.

    Returns:
        The image (rows, columns).
    """
    image: npt.NDArray[np.complex64] = L1WaveletRecon(
        kspace, sens_maps, lamda, weights=mask, alpha=1, max_iter=iterations, show_pbar=False
    ).run()
    return image


def variation_reconstruction(
    kspace: npt.NDArray[np.complex64],
    sens_maps: npt.NDArray[np.complex64],
    mask: npt.NDArray[np.float32],
    lamda: float,
    iterations: int,
) -> npt.NDArray[np.complex64]:
    """The image x of least 1/2 ||mask F S x - kspace||^2 + lamda ||grad x||_1, along both axes.

    Arguments as of `wavelet_reconstruction`; the iterations are of the primal-dual method of
    Chambolle and Pock.
    """
    image: npt.NDArray[np.complex64] = TotalVariationRecon(
        kspace,
        sens_maps,
        lamda,
        weights=mask,
        tau=_TAU,
        sigma=_SIGMA,
        max_iter=iterations,
        show_pbar=False,
    ).run()
    return image
