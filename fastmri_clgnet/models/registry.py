"""The models that commands know by name, each as it is applied to samples, in plain torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fastmri
import torch
from fastmri.data.transforms import VarNetSample
from fastmri.models import Unet, VarNet

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.models.classical import CLASSICAL, ClassicalReconstructor
from fastmri_clgnet.models.clgnet import CLGNet
from fastmri_clgnet.models.clgnet_dc import CLGNetDC
from fastmri_clgnet.models.clgvarnet import CLGVarNet
from fastmri_clgnet.models.comparison import COMPARISON_METHODS, KspaceNetwork, Reconstruction
from fastmri_clgnet.models.fourier import replace_measured
from fastmri_clgnet.models.reconstructor import (
    ImageReconstructor,
    KspaceReconstructor,
    Reconstructor,
    apply_to_images,
    taken,
    zero_filled_image,
    zero_filled_scale,
)
from fastmri_clgnet.models.sensitivities import stabilise
from fastmri_clgnet.models.variants import make_variant
from fastmri_clgnet.tables import ZERO_FILLED


class CLGNetReconstructor(ImageReconstructor):
    """CLGNet, or one of its variants, as `clgnet`."""

    model_name = "clgnet"
    constructor = CLGNet
    more_arguments = frozenset({"variant"})

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Make the network; see `Reconstructor`."""
        network = CLGNet(**taken(CLGNet, arguments))
        self.clgnet = make_variant(arguments.get("variant", "clgnet"), network)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruct normalised magnitude images; see `apply_to_images`."""
        return apply_to_images(self.clgnet, image)


class UnetReconstructor(ImageReconstructor):
    """fastMRI's U-Net as `unet`."""

    model_name = "unet"
    constructor = Unet
    more_arguments = frozenset({"residual"})
    residual = False  # whether the input is added to the output

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Make the network; see `Reconstructor`."""
        self.unet = Unet(**{"in_chans": 1, "out_chans": 1, **taken(Unet, arguments)})
        self.residual = arguments.get("residual", False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruct normalised magnitude images; see `apply_to_images`."""
        output = apply_to_images(self.unet, image)
        return image + output if self.residual else output


class ZeroFilling(KspaceReconstructor):
    """Zero-filling: the inverse FFT of the masked k-space. It has no parameters.

    It takes k-space since the host's images for networks are clipped, at 6 standard deviations.
    """

    model_name = ZERO_FILLED

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Make nothing."""

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Give the image; see `zero_filled_image`."""
        return zero_filled_image(masked_kspace)

    def wanted_size(self, sample: VarNetSample) -> tuple[int, int]:
        """The target's size where there is one, as for networks on images."""
        if sample.target.ndim < 2 or 0 in sample.target.shape:
            return super().wanted_size(sample)
        return sample.target.shape[-2], sample.target.shape[-1]


class CLGNetDCReconstructor(KspaceReconstructor):
    """CLGNet with one hard data consistency as `network`."""

    model_name = "clgnet_dc"
    constructor = CLGNetDC

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Make the network; see `Reconstructor`."""
        self.network = CLGNetDC(**taken(CLGNetDC, arguments))

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Reconstruct; see `CLGNetDC`."""
        output: torch.Tensor = self.network(masked_kspace, mask)
        return output


class VariationalReconstructor(KspaceReconstructor):
    """A variational network as `varnet`, and its training loss, whose window checkpoints hold.

    Trained with the loss ssdu, the measured samples replace the network's at the end. That loss
    compares the held-out columns only, so that it does not say what the last cascade's regulariser
    does to the given ones. The paper's network ends with data consistency, too.
    """

    more_arguments = frozenset({"challenge", "loss"})
    loss: fastmri.SSIMLoss
    keeps_measured = False

    def forward(
        self,
        masked_kspace: torch.Tensor,
        mask: torch.Tensor,
        num_low_frequencies: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Reconstruct.

        Args:
            masked_kspace: (batch, coils, height, width, 2), centred, zero where nothing was
                measured.
            mask: (batch, 1, 1, width, 1), bool or 0 and 1.
            num_low_frequencies: Columns in the fully sampled centre, one number or (batch,); 0 or
                None finds them in the mask.

        Returns:
            Root-sum-of-squares image, (batch, height, width), in the data's units.
        """
        if self.keeps_measured:
            kspace = self.predict_kspace(masked_kspace, mask, num_low_frequencies)
            return zero_filled_image(replace_measured(kspace, masked_kspace, mask))
        output: torch.Tensor = self.varnet(masked_kspace, mask.bool(), num_low_frequencies)
        return output

    def predict_kspace(
        self,
        masked_kspace: torch.Tensor,
        mask: torch.Tensor,
        num_low_frequencies: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Estimate the whole k-space, as the last cascade gives it.

        Arguments as for `forward`; of masked_kspace's shape.
        """
        mask = mask.bool()
        sens_maps = self.varnet.sens_net(masked_kspace, mask, num_low_frequencies)
        kspace = masked_kspace
        for cascade in self.varnet.cascades:
            kspace = cascade(kspace, masked_kspace, mask, sens_maps)
        return kspace

    def whole_image(self, sample: VarNetSample) -> torch.Tensor:
        """Reconstruct a batch without cropping it."""
        output: torch.Tensor = self(sample.masked_kspace, sample.mask, sample.num_low_frequencies)
        return output


class CLGVarNetReconstructor(VariationalReconstructor):
    """fastMRI's variational network with CLGNet inside."""

    model_name = "clgvarnet"
    constructor = CLGVarNet

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Make the network; see `Reconstructor`."""
        several = arguments.get("challenge", "multicoil") == "multicoil"
        options = {**taken(CLGVarNet, arguments), "estimate_sensitivities": several}
        expect_positive(options, "num_cascades")  # zero-filling is not trained
        self.varnet = CLGVarNet(**options)
        self.loss = fastmri.SSIMLoss()
        self.keeps_measured = arguments.get("loss") == "ssdu"

    def predict_kspace(
        self,
        masked_kspace: torch.Tensor,
        mask: torch.Tensor,
        num_low_frequencies: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Estimate the whole k-space, as the network itself does."""
        kspace: torch.Tensor = self.varnet.predict_kspace(masked_kspace, mask, num_low_frequencies)
        return kspace


class VarNetReconstructor(VariationalReconstructor):
    """fastMRI's E2E-VarNet, for slices without signal and for one coil, too."""

    model_name = "varnet"
    constructor = VarNet

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Make the network; see `Reconstructor`."""
        expect_positive(arguments, "num_cascades", "pools", "chans")
        network = VarNet(**taken(VarNet, arguments))
        self.varnet = stabilise(network, arguments.get("challenge", "multicoil"))
        self.loss = fastmri.SSIMLoss()
        self.keeps_measured = arguments.get("loss") == "ssdu"


class ComparisonReconstructor(KspaceReconstructor):
    """One of the comparison methods, on single-coil k-space, as `network`.

    k-space is divided per slice by the largest magnitude of the zero-filled image, and the output
    is multiplied by it again.
    """

    model_name = "comparison"
    more_arguments = frozenset({"method"})
    network: KspaceNetwork

    def make_network(self, arguments: Mapping[str, Any]) -> None:
        """Make the network; see `Reconstructor`."""
        method = arguments["method"]
        if method not in COMPARISON_METHODS:
            raise ValueError(f"method={method!r}: expected one of {', '.join(COMPARISON_METHODS)}")
        self.network = COMPARISON_METHODS[method]()
        if self.model_name is not None:  # a subclass is another model
            self.model_name = method

    def apply_network(
        self, masked_kspace: torch.Tensor, mask: torch.Tensor
    ) -> tuple[Reconstruction, torch.Tensor]:
        """Give what the network makes of the normalised k-space, and the scale, (batch, 1, 1)."""
        kspace, mask = single_coil(masked_kspace), single_coil(mask)
        scale = zero_filled_scale(kspace)
        return self.network(kspace / scale[..., None], mask), scale

    def forward(self, masked_kspace: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Reconstruct.

        Args:
            masked_kspace: (batch, [1,] height, width, 2), centred, zero where nothing was measured.
            mask: (batch, [1,] 1, width, 1).

        Returns:
            Magnitude image of the whole field of view, (batch, height, width), in the data's units.

        Raises:
            InputError: If there are several coils.
        """
        output, scale = self.apply_network(masked_kspace, mask)
        # its gradient at 0 is 0, where that of the host's complex_abs is NaN
        image = output.image.to(scale.dtype)  # under autocast bfloat16, which no complex type has
        return torch.view_as_complex(image.contiguous()).abs() * scale


def expect_positive(arguments: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError where one of the named counts is below 1."""
    for name in names:
        if arguments.get(name, 1) < 1:
            raise ValueError(f"{name}={arguments[name]}: expected 1 or more")


def single_coil(values: torch.Tensor) -> torch.Tensor:
    """Drop a coil axis of one coil.

    Raises:
        InputError: If there are several.
    """
    if values.ndim == 5 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim != 4:
        raise InputError(
            f"the comparison methods take single-coil k-space (batch, height, width, 2), got "
            f"{tuple(values.shape)}; for multicoil data use the model clgnet or unet, which take "
            "the root sum of squares"
        )
    return values


@dataclass(frozen=True)
class Model:
    """A choice of --model; all take single-coil data."""

    reconstructor: type[Reconstructor]
    fixed: Mapping[str, str] = field(default_factory=dict)  # arguments that the choice settles
    multicoil: bool = True


MODELS: dict[str, Model] = {
    "clgnet": Model(CLGNetReconstructor),
    "clgnet_dc": Model(CLGNetDCReconstructor),
    "clgvarnet": Model(CLGVarNetReconstructor),
    "unet": Model(UnetReconstructor),
    "varnet": Model(VarNetReconstructor),
    **{
        method: Model(ComparisonReconstructor, {"method": method}, multicoil=False)
        for method in COMPARISON_METHODS
    },
    **{method: Model(ClassicalReconstructor, {"method": method}) for method in CLASSICAL},
    ZERO_FILLED: Model(ZeroFilling),
}
