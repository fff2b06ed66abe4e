"""The Lightning modules of CLGNet with data consistency: unrolled, and once at the end."""

from __future__ import annotations

from typing import Literal

from fastmri_clgnet.data.ssdu import Partition
from fastmri_clgnet.models.configuration import CASCADE, PAPER
from fastmri_clgnet.models.registry import CLGNetDCReconstructor, CLGVarNetReconstructor
from fastmri_clgnet.models.spectral_unit import Spectrum
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule
from fastmri_clgnet.pl_modules.optimizer import AdamWithStepDecay
from fastmri_clgnet.pl_modules.variational_module import Loss, VariationalModule, partition_of


class CLGVarNetModule(VariationalModule, CLGVarNetReconstructor, AdamWithStepDecay):
    """`CLGVarNet` with the loss and the optimizer of fastMRI's `VarNetModule`: 1 - SSIM, Adam.

    It is not a subclass of `VarNetModule`, since that constructor makes another network.

    Example:
        >>> module = CLGVarNetModule(num_cascades=2, chans=8, lr=1e-3)
        >>> module.hparams["lr"]
        0.001
    """

    model_name = "clgvarnet"

    def __init__(
        self,
        num_cascades: int = 8,
        chans: int = CASCADE.chans,
        num_groups: int = CASCADE.num_groups,
        num_blocks: int = CASCADE.num_blocks,
        wavelet: str = CASCADE.wavelet,
        spectrum: Spectrum = CASCADE.spectrum,
        share_weights: bool = False,
        hard_dc: bool = False,
        checkpoint_activations: bool = False,
        challenge: Literal["singlecoil", "multicoil"] = "multicoil",
        sens_chans: int = 8,
        sens_pools: int = 4,
        sens_residual: bool = True,
        loss: Loss = "ssim",
        ssdu_ratio: float = Partition.ratio,
        ssdu_masks: int = Partition.masks,
        lr: float = 3e-4,
        lr_step_size: int | None = 40,
        lr_gamma: float = 0.1,
        weight_decay: float = 0.0,
        num_log_images: int = 16,
    ) -> None:
        """Make the network.

        Args:
            num_cascades: Number of cascades, 1 or more.
            chans: Width of both branches of each cascade's CLGNet.
            num_groups: Residual groups in each branch.
            num_blocks: Residual blocks in each group.
            wavelet: PyWavelets name of the wavelet branch's transform, orthogonal or biorthogonal.
            spectrum: What follows the convolution in the spectrum: norm_relu (instance
                normalisation, ReLU), relu, or linear (nothing: exactly eq. 7 of the paper).
            share_weights: Whether all cascades share their weights.
            hard_dc: Whether the measured samples replace the estimate's at the end.
            checkpoint_activations: Whether to compute each cascade again in the backward pass
                instead of keeping its activations: less memory, more time, the same gradients.
            challenge: singlecoil has one coil and no sensitivity estimation.
            sens_chans: First width of the sensitivity model's U-Net (multicoil).
            sens_pools: Poolings of the sensitivity model's U-Net (multicoil).
            sens_residual: Whether the sensitivity model corrects the coil images of the centre of
                k-space; if false, it replaces them, as in fastMRI (multicoil).
            loss: ssim: 1 - SSIM of the image, fastMRI's. ssdu: self-supervised, without references:
                a part of the measured columns is held out and predicted from the others.
            ssdu_ratio: Part of the measured columns that is held out.
            ssdu_masks: Splits of each slice in a step, each at the cost of a step.
            lr: Adam's learning rate.
            lr_step_size: Epochs between multiplications of the learning rate by lr_gamma; null
                keeps it constant.
            lr_gamma: Factor of the learning rate's decay.
            weight_decay: Adam's weight decay.
            num_log_images: Number of validation batches whose first image is logged.
        """
        arguments = dict(locals())
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters()
        self.partition = partition_of(loss, ssdu_ratio, ssdu_masks)
        self.make_network(arguments)


class CLGNetDCModule(KspaceModule, CLGNetDCReconstructor, AdamWithStepDecay):
    """`CLGNetDC` with CLGNet's optimizer, trained with the mean absolute error only.

    Example:
        >>> import torch
        >>> module = CLGNetDCModule(chans=8, lr=1e-3)
        >>> mask = torch.ones(1, 1, 1, 48, 1)
        >>> module(torch.randn(1, 4, 64, 48, 2), mask).shape
        torch.Size([1, 64, 48])
    """

    model_name = "clgnet_dc"

    def __init__(
        self,
        chans: int = PAPER.chans,
        num_groups: int = PAPER.num_groups,
        num_blocks: int = PAPER.num_blocks,
        wavelet: str = PAPER.wavelet,
        spectrum: Spectrum = PAPER.spectrum,
        residual: bool = PAPER.residual,
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
                normalisation, ReLU), relu, or linear (nothing: exactly eq. 7 of the paper).
            residual: Whether CLGNet's input is added to its output.
            lr: Adam's learning rate.
            lr_step_size: Epochs between multiplications of the learning rate by lr_gamma; null
                keeps it constant.
            lr_gamma: Factor of the learning rate's decay.
            weight_decay: Adam's weight decay.
            num_log_images: Number of validation batches whose first image is logged.
        """
        arguments = dict(locals())
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters()
        self.make_network(arguments)
