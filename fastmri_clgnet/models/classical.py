"""Classical reconstructions by SigPy: compressed sensing of each slice; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from fastmri_clgnet.formats.fastmri import central_columns
from fastmri_clgnet.formats.sigpy_loading import load_sigpy_methods
from fastmri_clgnet.models.reconstructor import KspaceReconstructor, zero_filled_scale
from fastmri_clgnet.tables import CS_TV, CS_WAVELET


class Defaults(NamedTuple):
    """What a method takes by default; chosen on training patients, see the page of results."""

    lamda: Mapping[str, float]  # by challenge
    iterations: int


CLASSICAL = {
    CS_WAVELET: Defaults({"singlecoil": 1e-3, "multicoil": 6e-4}, 100),
    CS_TV: Defaults({"singlecoil": 5e-3, "multicoil": 2e-3}, 100),
}
_CROP = 0.8  # of ESPIRiT's eigenvalues, as of BART: SigPy's 0.95 cuts into the head


class ClassicalReconstructor(KspaceReconstructor):
    """l1-wavelet (cs_wavelet) or total variation (cs_tv) regularised reconstruction.

    The image x of least 1/2 ||M F S x - y||^2 + lamda ||R x||_1, with the mask M, the orthonormal
    FFT F, coil sensitivities S, k-space y of each slice divided by the largest value of its
    zero-filled image, and R the Daubechies-4 wavelet transform or the differences along both axes.
    S is ESPIRiT's of the fully sampled centre, and 1 for one coil. SigPy computes it on the CPU.

    References:
        Lustig, Donoho, Pauly: Sparse MRI, Magnetic Resonance in Medicine 58(6), 2007. Block,
        Uecker, Frahm: Undersampled radial MRI with multiple coils, ibid. 57(6), 2007. Uecker et
        al.: ESPIRiT, ibid. 71(3), 2014.
    """

    model_name = "classical"
    more_arguments = frozenset({"method", "lamda", "iterations", "challenge"})

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Take method, lamda and iterations; None is the method's default for the challenge."""
        method = arguments["method"]
        if method not in CLASSICAL:
            raise ValueError(f"method={method!r}: expected one of {', '.join(CLASSICAL)}")
        own = CLASSICAL[method]
        lamda, iterations = arguments.get("lamda"), arguments.get("iterations")
        self.method = method
        challenge = arguments.get("challenge", "multicoil")
        self.lamda = own.lamda[challenge] if lamda is None else float(lamda)
        self.iterations = own.iterations if iterations is None else int(iterations)
        if not 0 <= self.lamda < np.inf:
            raise ValueError(f"lamda={self.lamda}: expected 0 or more")
        if self.iterations < 1:
            raise ValueError(f"iterations={self.iterations}: expected 1 or more")
        self.settings = {"lamda": self.lamda, "iterations": self.iterations}
        self.arguments = {"method": method, "challenge": challenge, **self.settings}
        if self.model_name is not None:  # a subclass is another model
            self.model_name = method

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Reconstruct.

        Args:
            masked_kspace: (batch, [coils,] height, width, 2), centred, zero where nothing was
                measured.
            mask: (batch, [1,] 1, width, 1), bool or 0 and 1.

        Returns:
            Magnitude image of the whole field of view, (batch, height, width), in the data's units.

        Raises:
            InputError: If SigPy is missing, or too few central columns are sampled.
        """
        methods = load_sigpy_methods()
        solve = {
            CS_WAVELET: methods.wavelet_reconstruction,
            CS_TV: methods.variation_reconstruction,
        }[self.method]
        scale = zero_filled_scale(masked_kspace)
        scaled = masked_kspace / scale.reshape(-1, *[1] * (masked_kspace.ndim - 1))
        kspace = torch.view_as_complex(scaled.float().contiguous()).cpu().numpy()
        coils = kspace.reshape(len(kspace), -1, *kspace.shape[-2:])
        sampled = mask.reshape(len(mask), -1).expand(len(kspace), -1).bool().cpu().numpy()
        images = np.zeros((len(coils), *coils.shape[2:]), np.complex64)
        for image, one, columns in zip(images, coils, sampled, strict=True):
            if not one.any():
                continue
            maps = np.ones_like(one)
            if len(one) > 1:
                maps = methods.espirit_maps(one, calibration_width(columns), _CROP)
            grid = np.broadcast_to(columns.astype(np.float32), image.shape)
            image[:] = solve(one, maps, grid, self.lamda, self.iterations)
        return torch.from_numpy(np.abs(images)).to(scale) * scale


def calibration_width(sampled: npt.NDArray[np.bool_]) -> int:
    """How many columns around the centre are sampled, (columns,) bool, as SigPy takes them.

    Of an even number there is one more before the centre than behind it.
    """
    center, central = len(sampled) // 2, central_columns(sampled)
    return min(2 * (center - central.start) + 1, 2 * (central.stop - center))
