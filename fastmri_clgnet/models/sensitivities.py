"""Extends fastMRI's variational network to slices without signal, mixed batches and one coil."""

from __future__ import annotations

import torch
from fastmri.models.varnet import NormUnet, SensitivityModel, VarNet
from torch import nn

from fastmri_clgnet.errors import InputError

_NO_SIGNAL = 1e-12  # replaces a deviation of zero; fastMRI's images have 1e-6 to 1e-4


class StableNormUnet(NormUnet):
    """The host's `NormUnet`, but a slice without signal gives almost zeros instead of NaN.

    For every other slice the output equals the host's exactly.
    """

    @classmethod
    def of(cls, host: NormUnet) -> StableNormUnet:
        """Take over the network of the host's: the same weights, under the same names."""
        stable = StableNormUnet(chans=1, num_pools=1)
        stable.unet = host.unet
        return stable

    def norm(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Scale real and imaginary part, each over all coils, to mean 0 and deviation 1."""
        batch, n_channels = x.shape[:2]
        parts = x.reshape(batch, 2, -1)
        mean, std = parts.mean(dim=2), parts.std(dim=2)
        std = std.masked_fill(std == 0, _NO_SIGNAL)
        n_coils = n_channels // 2
        mean = mean.repeat_interleave(n_coils, dim=1)[..., None, None]
        std = std.repeat_interleave(n_coils, dim=1)[..., None, None]
        return (x - mean) / std, mean, std


class ResidualNormUnet(StableNormUnet):
    """x + the U-Net's output in the units of x; the last convolution starts at zero.

    Untrained, it is the identity.

    Args:
        chans: First width of the U-Net.
        num_pools: Poolings of the U-Net.
    """

    def __init__(self, chans: int, num_pools: int) -> None:
        super().__init__(chans, num_pools)
        for parameter in self.unet.up_conv[-1][-1].parameters():
            nn.init.zeros_(parameter)

    def unnorm(self, x: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
        """Scale a correction; the corrected image already has the mean."""
        return x * std

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Correct complex images (batch, coils, height, width, 2)."""
        output: torch.Tensor = x + super().forward(x)
        return output


class Sensitivities(SensitivityModel):
    """The host's `SensitivityModel`, for slices without signal and batches of mixed centres.

    Args:
        chans: First width of its U-Net.
        num_pools: Poolings of its U-Net.
        mask_center: Whether sensitivities are estimated from the centre of k-space only.
        residual: Whether the U-Net corrects the coil images of the centre instead of replacing
            them: an untrained network then gives these images' own sensitivities.
    """

    def __init__(
        self, chans: int, num_pools: int, mask_center: bool = True, residual: bool = False
    ) -> None:
        super().__init__(chans, num_pools, mask_center=mask_center)
        self.norm_unet: NormUnet = (
            ResidualNormUnet(chans, num_pools) if residual else StableNormUnet.of(self.norm_unet)
        )

    @classmethod
    def of(cls, host: SensitivityModel) -> Sensitivities:
        """Take over the network of the host's: the same weights, under the same names."""
        stable = Sensitivities(1, 1, host.mask_center)
        stable.norm_unet = StableNormUnet.of(host.norm_unet)
        return stable

    def get_pad_and_num_low_freqs(
        self, mask: torch.Tensor, num_low_frequencies: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the sampled centre, also where a half of the mask has no gap.

        The host takes one column then, such as of full sampling or partial Fourier.
        """
        if num_low_frequencies:
            pad, number = super().get_pad_and_num_low_freqs(mask, num_low_frequencies)
            return pad, number
        columns = mask[:, 0, 0, :, 0].to(torch.int64)
        width = columns.shape[1]
        left, right = columns[:, : width // 2].flip(1), columns[:, width // 2 :]
        until_gap = torch.minimum(left.cumprod(1).sum(1), right.cumprod(1).sum(1))
        number = (2 * until_gap).clamp(min=1)
        return (width - number + 1) // 2, number

    def forward(
        self,
        masked_kspace: torch.Tensor,
        mask: torch.Tensor,
        num_low_frequencies: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Estimate the maps.

        Args:
            masked_kspace: (batch, coils, height, width, 2), centred.
            mask: (batch, 1, 1, width, 1), bool.
            num_low_frequencies: Columns in the fully sampled centre, one number or (batch,); 0 or
                None finds them in the mask.

        Returns:
            Maps, (batch, coils, height, width, 2), whose squares sum to one over the coils.
        """
        if not isinstance(num_low_frequencies, torch.Tensor):
            maps: torch.Tensor = super().forward(masked_kspace, mask, num_low_frequencies)
            return maps
        numbers = num_low_frequencies.reshape(-1).tolist()
        if len(set(numbers)) == 1:
            maps = super().forward(masked_kspace, mask, numbers[0])
            return maps
        # the host takes one number per batch: mixed accelerations are processed slice by slice
        slices = zip(masked_kspace.split(1), mask.split(1), numbers, strict=True)
        each_slice = [super(Sensitivities, self).forward(*each) for each in slices]
        return torch.cat(each_slice)

    def divide_root_sum_of_squares(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise coil images; where all are zero the maps are equal (in the host, NaN)."""
        nothing = (x == 0).all(dim=-1, keepdim=True).all(dim=1, keepdim=True)
        maps: torch.Tensor = super().divide_root_sum_of_squares(x.masked_fill(nothing, _NO_SIGNAL))
        return maps


class OneCoil(nn.Module):
    """The sensitivities of single-coil data: one coil, 1 + 0i everywhere; nothing is estimated."""

    def forward(
        self,
        masked_kspace: torch.Tensor,
        mask: torch.Tensor,
        num_low_frequencies: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the map, (1, 1, 1, 1, 2), for (batch, 1, height, width, 2).

        Raises:
            InputError: If there are several coils.
        """
        if masked_kspace.ndim != 5 or masked_kspace.shape[1] != 1:
            raise InputError(
                "a network without sensitivity estimation (challenge singlecoil) takes one coil, "
                f"k-space (batch, 1, height, width, 2), got {tuple(masked_kspace.shape)}; for "
                "several coils it has to be made and trained with challenge multicoil "
                "(estimate_sensitivities=True)"
            )
        return masked_kspace.new_tensor([1.0, 0.0]).expand(1, 1, 1, 1, 2)


def stabilise(network: VarNet, challenge: str) -> VarNet:
    """Put these parts into the host's variational network, and keep its weights.

    Args:
        network: The network, changed in place.
        challenge: "singlecoil" has one coil and no sensitivity estimation.

    Returns:
        The network.
    """
    several = challenge == "multicoil"
    network.sens_net = Sensitivities.of(network.sens_net) if several else OneCoil()
    for cascade in network.cascades:
        cascade.model = StableNormUnet.of(cascade.model)
    return network
