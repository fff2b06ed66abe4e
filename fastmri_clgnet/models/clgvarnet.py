"""CLGNet as the regulariser of fastMRI's end-to-end variational network."""

from __future__ import annotations

import torch
from fastmri.models.varnet import VarNetBlock
from torch import nn
from torch.utils.checkpoint import checkpoint

from fastmri_clgnet.models.clgnet import CLGNet
from fastmri_clgnet.models.configuration import CASCADE
from fastmri_clgnet.models.fourier import replace_measured, to_image
from fastmri_clgnet.models.sensitivities import OneCoil, Sensitivities, StableNormUnet
from fastmri_clgnet.models.spectral_unit import Spectrum


class NormCLGNet(StableNormUnet):
    """CLGNet on complex images: a drop-in for `fastmri.models.varnet.NormUnet`.

    Input and output are (batch, coils, height, width, 2). Real and imaginary part become the
    channels of a `CLGNet`. Before it each is normalised by its mean and standard deviation over the
    slice, and scaled back after it, by the host's own code. Height and width can be any from 16,
    without padding.

    Args:
        chans: Width of both branches of CLGNet.
        num_groups: Residual groups in each branch.
        num_blocks: Residual blocks in each group.
        in_chans: Channels of the input, 2 for each coil.
        out_chans: Channels of the output, 2 for each coil.
        wavelet: PyWavelets name.
        spectrum: What follows the convolution in the spectrum; see `SpatialFourierLayer`.
        correction: Whether the output is a correction that `VarNetBlock` subtracts, not an image:
            the mean is not added back, and the last convolution starts at zero, so that an
            untrained network changes nothing. If false, it behaves as `NormUnet`.

    Example:
        >>> cascade = VarNetBlock(NormCLGNet(chans=8, correction=True))
        >>> correction = cascade.model(torch.randn(1, 1, 64, 48, 2))
        >>> correction.shape, bool(correction.any())  # untrained, it changes nothing
        (torch.Size([1, 1, 64, 48, 2]), False)
    """

    def __init__(
        self,
        chans: int = CASCADE.chans,
        num_groups: int = CASCADE.num_groups,
        num_blocks: int = CASCADE.num_blocks,
        in_chans: int = 2,
        out_chans: int = 2,
        wavelet: str = CASCADE.wavelet,
        spectrum: Spectrum = CASCADE.spectrum,
        correction: bool = False,
    ) -> None:
        super().__init__(chans=1, num_pools=1)
        self.unet = CLGNet(
            in_chans, out_chans, chans, num_groups, num_blocks, wavelet, spectrum, residual=False
        )
        self.correction = correction
        if correction:
            for parameter in self.unet.out[-1].parameters():
                nn.init.zeros_(parameter)

    def unnorm(self, x: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
        """Undo `norm`; only scale a correction."""
        output: torch.Tensor = x * std if self.correction else super().unnorm(x, mean, std)
        return output

    def pad(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[list[int], list[int], int, int]]:
        """Return the image unchanged; the host pads to multiples of 16."""
        return x, ([0, 0], [0, 0], x.shape[-2], x.shape[-1])


class CLGVarNet(nn.Module):
    """fastMRI's end-to-end variational network with CLGNet as its regulariser.

        k_0     = y
        k_(t+1) = k_t - eta_t M (k_t - y) - F S R_t(S^H F^-1 k_t)        the host's `VarNetBlock`
        output  = root sum of squares of F^-1 k_T

    y is the measured k-space, M the mask, S the sensitivity maps that the host's `SensitivityModel`
    estimates from the centre of k-space, eta_t a learned weight, R_t a `NormCLGNet`. Single-coil
    data has one coil with S = 1, and no sensitivity is estimated. The sensitivity model's U-Net
    corrects the centre's coil images, while the host's replaces them. So an untrained one gives
    their own sensitivities instead of random maps.

    Consistency with the measurement: R_t starts at zero, so an untrained network, like one without
    cascades, gives the zero-filled image and keeps every measured sample exactly. After training
    the measured samples are kept softly, with the weights eta_t, as in the host's network. With
    hard_dc they replace the estimate's samples at the end, and so are always kept exactly.

    Args:
        num_cascades: Number of cascades T; 0 gives the zero-filled image.
        chans: Width of both branches of each CLGNet.
        num_groups: Residual groups in each branch.
        num_blocks: Residual blocks in each group.
        wavelet: PyWavelets name.
        spectrum: What follows the convolution in the spectrum; see `SpatialFourierLayer`.
        share_weights: Whether all cascades share one R and eta.
        hard_dc: Whether to end with hard data consistency.
        checkpoint_activations: Whether to compute each cascade again in the backward pass instead
            of keeping its activations: memory for time, the same gradients.
        estimate_sensitivities: Whether the data has several coils.
        sens_chans: First width of the sensitivity model's U-Net.
        sens_pools: Poolings of the sensitivity model's U-Net.
        mask_center: Whether sensitivities are estimated from the centre of k-space only.
        sens_residual: Whether the sensitivity model corrects the coil images; if false, it is the
            host's model.

    Example:
        >>> model = CLGVarNet(num_cascades=2, chans=8, sens_chans=2)
        >>> mask = torch.ones(1, 1, 1, 64, 1, dtype=torch.bool)
        >>> model(torch.randn(1, 4, 64, 64, 2), mask).shape
        torch.Size([1, 64, 64])

    Raises:
        ValueError: If a count is negative, or a count of CLGNet is not positive.

    References:
        Sriram et al. End-to-End Variational Networks for Accelerated MRI Reconstruction. MICCAI
        2020, arXiv:2004.06688, eq. 10. The regulariser and the residual are not theirs.
    """

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
        estimate_sensitivities: bool = True,
        sens_chans: int = 8,
        sens_pools: int = 4,
        mask_center: bool = True,
        sens_residual: bool = True,
    ) -> None:
        super().__init__()
        if num_cascades < 0:
            raise ValueError(f"num_cascades={num_cascades}: expected 0 or more")
        self.num_cascades = num_cascades
        self.hard_dc = hard_dc
        self.checkpoint_activations = checkpoint_activations
        self.sens_net: nn.Module = (
            Sensitivities(sens_chans, sens_pools, mask_center, sens_residual)
            if estimate_sensitivities
            else OneCoil()
        )
        self.cascades = nn.ModuleList(
            VarNetBlock(
                NormCLGNet(
                    chans,
                    num_groups,
                    num_blocks,
                    wavelet=wavelet,
                    spectrum=spectrum,
                    correction=True,
                )
            )
            for _ in range(min(num_cascades, 1) if share_weights else num_cascades)
        )

    def forward(
        self,
        masked_kspace: torch.Tensor,
        mask: torch.Tensor,
        num_low_frequencies: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Reconstruct.

        Args:
            masked_kspace: y, (batch, coils, height, width, 2), centred, zero where nothing was
                measured; height and width at least 16.
            mask: M, (batch, 1, 1, width, 1), bool or 0 and 1.
            num_low_frequencies: Columns in the fully sampled centre, one number or (batch,); 0 or
                None finds them in the mask.

        Returns:
            Root-sum-of-squares image, (batch, height, width), in the data's units.

        Raises:
            ValueError: If there are several coils and sensitivities are not estimated.
        """
        kspace = self.predict_kspace(masked_kspace, mask, num_low_frequencies)
        # the host's rss of complex_abs, but the gradient at 0 is 0, not NaN
        return torch.linalg.vector_norm(to_image(kspace), dim=(1, -1))

    def predict_kspace(
        self,
        masked_kspace: torch.Tensor,
        mask: torch.Tensor,
        num_low_frequencies: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Estimate the whole k-space k_T, of masked_kspace's shape; arguments as for `forward`."""
        mask = mask.bool()
        sens_maps = self.sens_net(masked_kspace, mask, num_low_frequencies)
        kspace = masked_kspace
        for index in range(self.num_cascades):
            cascade = self.cascades[index % len(self.cascades)]
            arguments = (kspace, masked_kspace, mask, sens_maps)
            if self.checkpoint_activations and torch.is_grad_enabled():
                kspace = checkpoint(cascade, *arguments, use_reentrant=False)
            else:
                kspace = cascade(*arguments)
        return replace_measured(kspace, masked_kspace, mask) if self.hard_dc else kspace
