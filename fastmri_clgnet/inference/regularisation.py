"""What the classical methods take beside the data; without torch, for commands that start fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Regularisation:
    """The settings of the models cs_wavelet and cs_tv.

    Args:
        lamda: Weight of the regularisation, relative to the largest value of the zero-filled image;
            by default 0.001 (one coil) and 0.0006 (several) of cs_wavelet, 0.005 and 0.002 of
            cs_tv.
        iterations: Iterations of the solver; by default 100.

    Example:
        >>> from fastmri_clgnet import Mask, example_slice, reconstruct_scan, undersample
        >>> scan = undersample(example_slice(), Mask())
        >>> fast = Regularisation(iterations=5)
        >>> reconstruct_scan(scan, model="cs_wavelet", regularisation=fast).shape
        (1, 256, 256)
    """

    lamda: float | None = None
    iterations: int | None = None
