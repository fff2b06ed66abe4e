"""The Lightning module of the classical reconstructions, which are tested without training."""

from __future__ import annotations

from typing import Literal

from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.models.classical import ClassicalReconstructor
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule


class ClassicalModule(KspaceModule, ClassicalReconstructor):
    """Compressed sensing by SigPy; see `ClassicalReconstructor`. It has no parameters.

    Example:
        >>> module = ClassicalModule("cs_wavelet", iterations=2)
        >>> module.lamda, module.iterations
        (0.0006, 2)
    """

    model_name = "classical"

    def __init__(
        self,
        method: Literal["cs_wavelet", "cs_tv"],
        challenge: Challenge = "multicoil",
        lamda: float | None = None,
        iterations: int | None = None,
        num_log_images: int = 16,
    ) -> None:
        """Take the settings.

        Args:
            method: cs_wavelet or cs_tv.
            challenge: Kind of data, which settles the default of lamda.
            lamda: Weight of the regularisation, relative to the largest value of the zero-filled
                image; null uses the method's own, see `CLASSICAL`.
            iterations: Iterations of the solver; null uses the method's own.
            num_log_images: Number of validation batches whose first image is logged.
        """
        arguments = dict(locals())
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters()
        self.make_network(arguments)
