"""The Lightning modules of CLGNet with data consistency: unrolled, and once at the end."""

from __future__ import annotations

from typing import Any, Literal

import fastmri
import torch

from fastmri_clgnet.models.clgnet_dc import CLGNetDC
from fastmri_clgnet.models.clgvarnet import CLGVarNet
from fastmri_clgnet.models.spectral_unit import Spectrum
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule
from fastmri_clgnet.pl_modules.optimizer import adam_with_step_decay
from fastmri_clgnet.pl_modules.variational_module import VariationalModule


class CLGVarNetModule(VariationalModule):
    """`CLGVarNet` with the loss and the optimizer of fastMRI's `VarNetModule`: 1 - SSIM, Adam.

    It is no subclass of `VarNetModule`, whose constructor makes a network of its own.

    Example:
        >>> module = CLGVarNetModule(num_cascades=2, chans=8, lr=1e-3)
        >>> module.hparams["lr"]
        0.001
    """

    def __init__(
        self,
        num_cascades: int = 8,
        chans: int = 16,
        num_groups: int = 2,
        num_blocks: int = 2,
        wavelet: str = "haar",
        spectrum: Spectrum = "norm_relu",
        share_weights: bool = False,
        hard_dc: bool = False,
        checkpoint_activations: bool = False,
        challenge: Literal["singlecoil", "multicoil"] = "multicoil",
        sens_chans: int = 8,
        sens_pools: int = 4,
        sens_residual: bool = True,
        lr: float = 3e-4,
        lr_step_size: int | None = 40,
        lr_gamma: float = 0.1,
        weight_decay: float = 0.0,
        num_log_images: int = 16,
    ) -> None:
        """Make the network.

        Args:
            num_cascades: Number of cascades; 0 gives the zero-filled image.
            chans: Width of both branches of each cascade's CLGNet.
            num_groups: Residual groups in each branch.
            num_blocks: Residual blocks in each group.
            wavelet: PyWavelets name of the wavelet branch's transform, orthogonal or biorthogonal.
            spectrum: What follows the convolution in the spectrum: norm_relu (instance
                normalisation, ReLU), relu, or linear (nothing: eq. 7 of the paper to the letter).
            share_weights: Whether all cascades share their weights.
            hard_dc: Whether the measured samples replace the estimate's at the end.
            checkpoint_activations: Whether to compute each cascade again in the backward pass
                instead of keeping its activations: less memory, more time, the same gradients.
            challenge: singlecoil has one coil and no sensitivity estimation.
            sens_chans: First width of the sensitivity model's U-Net (multicoil).
            sens_pools: Poolings of the sensitivity model's U-Net (multicoil).
            sens_residual: Whether the sensitivity model corrects the coil images of the centre of
                k-space; without it, it replaces them, as fastMRI's (multicoil).
            lr: Adam's learning rate.
            lr_step_size: Epochs after which the learning rate is multiplied by lr_gamma, again and
                again; null keeps it constant.
            lr_gamma: Factor of the learning rate's decay.
            weight_decay: Adam's weight decay.
            num_log_images: Validation batches whose first image is logged.
        """
        if num_cascades < 1:
            raise ValueError(
                f"num_cascades={num_cascades}: expected 1 or more; zero-filling is not trained"
            )
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters()
        self.varnet = CLGVarNet(
            num_cascades=num_cascades,
            chans=chans,
            num_groups=num_groups,
            num_blocks=num_blocks,
            wavelet=wavelet,
            spectrum=spectrum,
            share_weights=share_weights,
            hard_dc=hard_dc,
            checkpoint_activations=checkpoint_activations,
            estimate_sensitivities=challenge == "multicoil",
            sens_chans=sens_chans,
            sens_pools=sens_pools,
            sens_residual=sens_residual,
        )
        self.loss = fastmri.SSIMLoss()

    def forward(
        self,
        masked_kspace: torch.Tensor,
        mask: torch.Tensor,
        num_low_frequencies: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Reconstruct; see `CLGVarNet`."""
        output: torch.Tensor = self.varnet(masked_kspace, mask, num_low_frequencies)
        return output

    def configure_optimizers(self) -> Any:
        """Adam with a step decay, as fastMRI's `VarNetModule`."""
        return adam_with_step_decay(self)


class CLGNetDCModule(KspaceModule):
    """`CLGNetDC` with CLGNet's optimizer, trained by the mean absolute error alone.

    Example:
        >>> module = CLGNetDCModule(chans=8, lr=1e-3)
        >>> mask = torch.ones(1, 1, 1, 48, 1)
        >>> module(torch.randn(1, 4, 64, 48, 2), mask).shape
        torch.Size([1, 64, 48])
    """

    def __init__(
        self,
        chans: int = 32,
        num_groups: int = 4,
        num_blocks: int = 3,
        wavelet: str = "haar",
        spectrum: Spectrum = "norm_relu",
        lr: float = 1e-4,
        lr_step_size: int | None = None,
        lr_gamma: float = 0.1,
        weight_decay: float = 0.0,
        num_log_images: int = 16,
    ) -> None:
        """Make the network.

        Args:
            chans: Width of both branches of CLGNet.
            num_groups: Residual groups in each branch.
            num_blocks: Residual blocks in each group.
            wavelet: PyWavelets name of the wavelet branch's transform, orthogonal or biorthogonal.
            spectrum: What follows the convolution in the spectrum: norm_relu (instance
                normalisation, ReLU), relu, or linear (nothing: eq. 7 of the paper to the letter).
            lr: Adam's learning rate.
            lr_step_size: Epochs after which the learning rate is multiplied by lr_gamma, again and
                again; null keeps it constant.
            lr_gamma: Factor of the learning rate's decay.
            weight_decay: Adam's weight decay.
            num_log_images: Validation batches whose first image is logged.
        """
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters()
        self.network = CLGNetDC(chans, num_groups, num_blocks, wavelet, spectrum)

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Reconstruct; see `CLGNetDC`."""
        output: torch.Tensor = self.network(masked_kspace, mask)
        return output

    def configure_optimizers(self) -> Any:
        """Adam, with a step decay where lr_step_size is given."""
        return adam_with_step_decay(self)
