"""The Lightning module that trains CLGNet on fastMRI's data."""

from __future__ import annotations

import inspect
from argparse import ArgumentParser
from typing import Any, Literal, get_args, get_origin, get_type_hints

import docstring_parser
import torch
from fastmri.data.transforms import UnetSample

from fastmri_clgnet.losses import CLGNetLoss, ReconstructionLoss
from fastmri_clgnet.models import Spectrum, Variant
from fastmri_clgnet.models.configuration import PAPER
from fastmri_clgnet.models.registry import CLGNetReconstructor
from fastmri_clgnet.pl_modules.image_module import ImageModule
from fastmri_clgnet.pl_modules.optimizer import AdamWithStepDecay


class CLGNetModule(ImageModule, CLGNetReconstructor, AdamWithStepDecay):
    """CLGNet with the paper's optimizer: Adam, learning rate 1e-4.

    `CLGNetModule()` trains with the mean absolute error, which needs no weights of VGG19. The paper
    and `python -m fastmri_clgnet.train_clgnet` train with L1 and the contrastive loss:
    `CLGNetModule(loss=paper_objective())`, from `fastmri_clgnet.training`.

    It takes batches of `fastmri.data.transforms.UnetDataTransform` samples, of either challenge. It
    logs train_loss (and the loss's parts as `train_loss/*`), validation_loss (mean absolute error
    of the normalised images) and fastMRI's val_metrics/nmse, psnr and ssim.

    Example:
        >>> module = CLGNetModule(chans=8, lr=1e-3)
        >>> module(torch.zeros(2, 64, 64)).shape
        torch.Size([2, 64, 64])

    References:
        Yi, Liu, Hu, Fang, Zhang. Contrastive Learning for Local and Global Learning MRI
        Reconstruction. arXiv:2111.15200.
    """

    model_name = "clgnet"

    def __init__(
        self,
        in_chans: int = 1,
        out_chans: int = 1,
        chans: int = PAPER.chans,
        num_groups: int = PAPER.num_groups,
        num_blocks: int = PAPER.num_blocks,
        wavelet: str = PAPER.wavelet,
        spectrum: Spectrum = PAPER.spectrum,
        residual: bool = PAPER.residual,
        variant: Variant = "clgnet",
        lr: float = 1e-4,
        lr_step_size: int | None = None,
        lr_gamma: float = 0.1,
        weight_decay: float = 0.0,
        num_log_images: int = 16,
        loss: ReconstructionLoss | None = None,
    ) -> None:
        """Make the network.

        Args:
            in_chans: Channels of the input image.
            out_chans: Channels of the output image.
            chans: Width of both branches of CLGNet.
            num_groups: Residual groups in each branch.
            num_blocks: Residual blocks in each group.
            wavelet: PyWavelets name of the wavelet branch's transform, orthogonal or biorthogonal.
            spectrum: What follows the convolution in the spectrum: norm_relu (instance
                normalisation, ReLU), relu, or linear (nothing: exactly eq. 7 of the paper).
            residual: Whether the input is added to the output; not in the paper.
            variant: clgnet, or one of the paper's ablations: wo_wavelet, wo_sfl (CLGNet_non), wo_cl
                and wo_negative (only the loss differs), sa (CLGNet_SA), tran (CLGNet_Tran).
            lr: Adam's learning rate.
            lr_step_size: Epochs between multiplications of the learning rate by lr_gamma; null
                keeps it constant, as in the paper.
            lr_gamma: Factor of the learning rate's decay.
            weight_decay: Adam's weight decay.
            num_log_images: Number of validation batches whose first image is logged.
            loss: The training loss; by default the mean absolute error, while the command uses
                `paper_objective()`.
        """
        arguments = dict(locals())
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters(ignore=["loss"])
        self.loss: ReconstructionLoss = CLGNetLoss(alpha=0) if loss is None else loss
        self.make_network(arguments)

    @property
    def other_masks(self) -> int:
        """Under how many other masks the loss needs each training slice."""
        return getattr(self.loss, "other_masks", 0)

    def training_step(self, batch: UnetSample, batch_idx: int) -> torch.Tensor:
        """Compute and log the loss of one batch."""
        images = (self(batch.image), batch.target, batch.image)
        others = getattr(batch, "others", None)  # where the loss asks for them
        more = {} if others is None else {"others": others}
        parts = self.loss(*(image.unsqueeze(1) for image in images), **more)
        self.log("train_loss", parts["loss"].detach(), prog_bar=True)
        for name in parts.keys() - {"loss"}:
            self.log(f"train_loss/{name}", parts[name].detach())
        return parts["loss"]

    @staticmethod
    def add_model_specific_args(parent_parser: ArgumentParser) -> ArgumentParser:
        """Add the constructor's arguments to an argparse parser, as fastMRI's modules do.

        Args:
            parent_parser: A parser with add_help=False or its own conflict handling.

        Returns:
            A new parser with its arguments and this module's.
        """
        parser = ArgumentParser(parents=[parent_parser], add_help=False)
        help_texts = {
            parameter.arg_name: parameter.description
            for parameter in docstring_parser.parse(CLGNetModule.__init__.__doc__ or "").params
        }
        hints = get_type_hints(CLGNetModule.__init__)
        for name, parameter in inspect.signature(CLGNetModule).parameters.items():
            if name != "loss":
                default = parameter.default
                kind: Any = {type(None): int, bool: true_or_false}.get(type(default), type(default))
                choices = get_args(hints[name]) if get_origin(hints[name]) is Literal else None
                parser.add_argument(
                    f"--{name}", type=kind, default=default, choices=choices, help=help_texts[name]
                )
        return parser


def true_or_false(word: str) -> bool:
    """Read a word that argparse refuses by this function's name, where it is another one."""
    if word.lower() not in ("true", "false"):
        raise ValueError(word)
    return word.lower() == "true"
