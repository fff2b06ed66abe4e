"""The Lightning module that fine-tunes a reconstruction module against an orientation adversary."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from fastmri.losses import SSIMLoss
from fastmri.pl_modules import MriModule
from fastmri.pl_modules.mri_module import DistributedMetricSum
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import nn

from banding.adversary import OrientationAdversary, gradient_penalty, narrow, standardise
from banding.metrics import THRESHOLD, banding_energies, percentile_99, score_of_energies
from banding.orientation import OrientedSample, turn_back
from fastmri_clgnet.models.reconstructor import Reconstructor, takes_kspace
from fastmri_clgnet.pl_modules import Lightning2Mixin
from fastmri_clgnet.pl_modules.registry import as_module
from fastmri_clgnet.training.distributed import gather

L1_WEIGHT = 0.01  # in addition to SSIM, as in the paper


class BandingModule(Lightning2Mixin, MriModule):
    """A reconstruction module and an adversary that guesses how its samples were turned.

    It trains on batches of `OrientedSample`, and validates and tests on those of the reconstruction
    module. The reconstructions of each training batch are turned back to the anatomy's orientation.
    Then

        1. the reconstructor minimises  reconstruction loss + adversary_weight * BCE(guess, label),
           where the label is 0.5, or the wrong orientation;
        2. the adversary minimises      BCE(guess, truth) + penalty_weight * R1,

    where the adversary guesses from magnitude images of mean 0 and standard deviation 1. Neither
    step leaves a gradient in the other network. In the first warmup_epochs only the adversary
    learns, and the reconstructor is unchanged, including running statistics.

    A module's images come from its `validation_step`, which returns output, target and max_value in
    every `MriModule`, so any of them can be fine-tuned.

    Training logs train_loss/reconstruction, train_loss/adversarial, train_loss/adversary,
    train_loss/penalty and adversary_accuracy (the fraction of correct guesses, 0.5 by chance).
    Validation logs banding_score, banding_energy, validation_loss and val_metrics. The first two
    are means over volumes. The energy is E_pe + E_ro relative to the target's: a score near 0 with
    a high energy means bands in both directions, not none. Volumes without a low-signal window are
    left out of both means. The attribute `unmeasured` lists them.

    Example:
        >>> from fastmri_clgnet import load
        >>> module = BandingModule(load("brain-4x"), adversary_weight=0.5)
        >>> module.hparams["warmup_epochs"]  # only the adversary learns
        1

    References:
        Defazio, Murrell, Recht. MRI Banding Removal via Adversarial Training. NeurIPS 2020,
        arXiv:2001.08699.
    """

    def __init__(
        self,
        reconstructor: MriModule | Reconstructor,
        loss: Literal["ssim", "own"] = "ssim",
        lr: float = 1e-4,
        adversary_lr: float = 1e-4,
        adversary_weight: float = 1.0,
        adversary_label: Literal["uncertain", "flipped"] = "uncertain",
        penalty_weight: float = 0.1,
        adam_betas: tuple[float, float] = (0.5, 0.99),
        low_signal_weight: float = 1.0,
        adversary_window: float = 0.0,
        warmup_epochs: int = 1,
        num_adversaries: int = 1,
        adversary_chans: int = 64,
        adversary_in_chans: int = 1,
        lr_step_size: int = 0,
        l1_units: Literal["maximum", "data"] = "maximum",
        num_log_images: int = 16,
    ) -> None:
        """Make the adversary.

        Args:
            reconstructor: What to fine-tune: a Lightning module, or the result of `load`, for which
                the Lightning module is made.
            loss: Reconstruction loss: ssim is 1 - SSIM + 0.01 L1 relative to the volume's maximum,
                own is the reconstruction module's own training loss (then its network runs twice).
            lr: Adam's learning rate for the reconstructor.
            adversary_lr: Adam's learning rate for the adversary.
            adversary_weight: Weight of the adversarial loss of the reconstructor; 0 fine-tunes on
                both orientations without the adversary's influence, for comparison.
            adversary_label: The adversary's answer that the reconstructor aims for: uncertain is
                0.5, flipped is the wrong orientation.
            penalty_weight: Weight of the R1 gradient penalty on the adversary.
            adam_betas: Betas of both networks' Adam; the momentum is below the usual (0.9, 0.999),
                with which the two networks overshoot each other.
            low_signal_weight: Weight in the ssim loss, from 0 to 1, of pixels where the target's
                signal is low in terms of the banding score; others have weight 1. A low weight
                leaves these pixels to the adversary.
            adversary_window: The adversary sees images clipped at this fraction of their 99th
                percentile, such as 0.15; 0 is the whole range, as in the paper.
            warmup_epochs: Number of first epochs in which only the adversary learns.
            num_adversaries: Discriminators in the ensemble; 0 trains on both orientations without
                an adversary and without a warm-up, as in the released pre-training.
            adversary_chans: Width of a discriminator; it doubles after its first pooling.
            adversary_in_chans: Number of channels in which the adversary gets each image. With 3,
                as in the released code, its gradient penalty differs.
            lr_step_size: Both learning rates are divided by 10 after every so many epochs; 0 keeps
                them constant.
            l1_units: Units of the L1 term of the ssim loss: maximum is relative to the volume's
                largest value, data is the units of the data, in which the term almost vanishes for
                images of about 1e-4.
            num_log_images: Number of validation batches whose first image is logged, and of
                volumes whose bands are shown.

        Raises:
            ValueError: If a value is out of its range.
        """
        super().__init__(num_log_images=num_log_images)
        self.save_hyperparameters(ignore=["reconstructor"])
        for name, known in (
            ("loss", ("ssim", "own")),
            ("adversary_label", ("uncertain", "flipped")),
            ("l1_units", ("maximum", "data")),
        ):
            if self.hparams[name] not in known:
                raise ValueError(f"{name}={self.hparams[name]!r}: expected {' or '.join(known)}")
        for name in ("lr", "adversary_lr", "adversary_weight", "penalty_weight", "warmup_epochs",
                     "adversary_window", "num_adversaries", "lr_step_size"):  # fmt: skip
            if self.hparams[name] < 0:
                raise ValueError(f"{name}={self.hparams[name]}: expected 0 or more")
        if not 0 <= low_signal_weight <= 1 or (low_signal_weight < 1 and loss == "own"):
            raise ValueError(
                f"low_signal_weight={low_signal_weight}: expected 0 to 1, and less than 1 only "
                "with loss='ssim'"
            )
        self.automatic_optimization = False
        self.reconstructor = as_module(reconstructor)
        self.reconstructor.partition = None  # bands are measured against references
        self.on_kspace = takes_kspace(reconstructor)
        own_needs_it = getattr(self.reconstructor, "needs_reference", False)
        self.needs_reference = loss == "own" and bool(own_needs_it)
        self.adversary: OrientationAdversary | None = None
        if num_adversaries > 0:
            self.adversary = OrientationAdversary(
                num_adversaries, adversary_chans, adversary_in_chans
            )
        self.ssim_loss = SSIMLoss()
        self.score_sum = DistributedMetricSum()
        self.energy_sum = DistributedMetricSum()
        self.num_volumes = DistributedMetricSum()
        self.unmeasured: list[str] = []  # in the last validation

    def on_fit_start(self) -> None:
        """Redirect the reconstruction module's logging to this module."""
        self.reconstructor.log = self.log

    @property
    def in_warmup(self) -> bool:
        """Whether only the adversary learns in this epoch."""
        return self.adversary is not None and self.current_epoch < self.hparams["warmup_epochs"]

    @property
    def other_masks(self) -> int:
        """Under how many other masks the reconstruction module's own loss needs each slice."""
        own = self.hparams["loss"] == "own"
        return getattr(self.reconstructor, "other_masks", 0) if own else 0

    def training_step(self, batch: OrientedSample, batch_idx: int) -> None:
        """Take one step with each network; in the warm-up only with the adversary."""
        optimizers = self.optimizers()
        for_reconstructor, *others = optimizers if isinstance(optimizers, list) else [optimizers]
        self.reconstructor.train(not self.in_warmup)
        if self.in_warmup:
            with torch.no_grad():
                _, result = self.reconstructor_loss(batch, batch_idx)
        else:
            result = self._step(for_reconstructor, self.reconstructor_loss, batch, batch_idx)
        images = turn_back(result.detach(), batch.rotated)
        for for_adversary in others:
            self._step(for_adversary, self.adversary_loss, images, batch.rotated)

    def on_train_epoch_end(self) -> None:
        """Step the schedulers of the learning rates, if any."""
        super().on_train_epoch_end()
        schedulers = self.lr_schedulers() or []
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()

    def _step(self, optimizer: LightningOptimizer, compute: Any, *inputs: Any) -> torch.Tensor:
        """Compute a loss, with gradients only for one optimizer's parameters, and step."""
        self.toggle_optimizer(optimizer)
        try:
            loss, images = compute(*inputs)
            self.manual_backward(loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        finally:
            self.untoggle_optimizer(optimizer)
        return images

    def reconstructor_loss(
        self, batch: OrientedSample, batch_idx: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the reconstructor's loss, and its images in the orientation of sampling."""
        result = self.reconstructor.validation_step(batch.sample, batch_idx)
        images = result["output"]
        if self.hparams["loss"] == "own":
            loss = self.reconstructor.training_step(batch.sample, batch_idx)
        else:
            loss = self._ssim_and_l1(images, result["target"], result["max_value"])
        self.log("train_loss/reconstruction", loss.detach(), prog_bar=True)
        weight = self.hparams["adversary_weight"]
        if self.adversary is not None and weight > 0 and torch.is_grad_enabled():
            logits = self._guess(turn_back(images, batch.rotated))
            wanted = wanted_guess(batch.rotated, self.hparams["adversary_label"])
            adversarial = F.binary_cross_entropy_with_logits(logits, wanted.expand_as(logits))
            self.log("train_loss/adversarial", adversarial.detach())
            loss = loss + weight * adversarial
        return loss, images

    def adversary_loss(
        self, images: torch.Tensor, rotated: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the adversary's loss with its penalty, and its input images."""
        weight = self.hparams["penalty_weight"]
        assert self.adversary is not None  # otherwise it would have no optimizer
        with torch.autocast(images.device.type, enabled=False):
            images = self._seen(images.detach())
            if weight > 0:
                logits, penalty = gradient_penalty(self.adversary, images)
                self.log("train_loss/penalty", penalty.detach())
            else:
                logits, penalty = self.adversary(images), images.new_zeros(())
        truth = rotated.to(logits.dtype)[:, None].expand_as(logits)
        loss = F.binary_cross_entropy_with_logits(logits, truth)
        accuracy = ((logits > 0) == (truth > 0.5)).float().mean()
        self.log("train_loss/adversary", loss.detach())
        settings = {"on_step": False, "on_epoch": True, "sync_dist": True}
        self.log("adversary_accuracy", accuracy, batch_size=len(images), **settings)
        return loss + weight * penalty, images

    def _guess(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the adversary's logits, in full precision, for images in any units."""
        assert self.adversary is not None
        with torch.autocast(images.device.type, enabled=False):
            return self.adversary(self._seen(images))

    def _seen(self, images: torch.Tensor) -> torch.Tensor:
        """Turn images (batch, height, width) in any units into the adversary's input."""
        seen = standardise(narrow(images.float(), self.hparams["adversary_window"]))
        channels = self.hparams["adversary_in_chans"]
        return seen if channels == 1 else seen[:, None].expand(-1, channels, -1, -1)

    def _ssim_and_l1(
        self, output: torch.Tensor, target: torch.Tensor, max_value: torch.Tensor
    ) -> torch.Tensor:
        """Compute 1 - SSIM + 0.01 L1 of images (batch, height, width); L1 is in `l1_units`."""
        output, target = output.float(), target.float()
        scale = max_value.to(output.dtype).clamp_min(1e-30)[:, None, None]
        output, target = (output / scale)[:, None], (target / scale)[:, None]
        low = target < THRESHOLD * percentile_99(target)
        weight = torch.where(low, self.hparams["low_signal_weight"], 1.0)
        # SSIM's variances are differences of nearly equal numbers
        with torch.autocast(output.device.type, enabled=False):
            ssim = self.ssim_loss(output, target, torch.ones_like(scale[:, 0, 0]), reduced=False)
        margin = self.ssim_loss.win_size // 2  # a window has the weight of its central pixel
        centres = weight[..., margin:-margin, margin:-margin]
        absolute = (output - target).abs()
        if self.hparams["l1_units"] == "data":
            absolute = absolute * scale[:, None]
        return weighted_mean(ssim, centres) + L1_WEIGHT * weighted_mean(absolute, weight)

    def on_validation_epoch_start(self) -> None:
        """Start collecting energies by volume."""
        super().on_validation_epoch_start()
        # by slice: several processes may be given one twice
        self._energies: dict[str, dict[int, torch.Tensor]] = {}

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Run the reconstruction module's step, and measure its bands where the target is low."""
        result: dict[str, Any] = self.reconstructor.validation_step(batch, batch_idx)
        numbers = result["slice_num"].tolist()
        for name, number, output, target in zip(
            result["fname"], numbers, result["output"], result["target"], strict=True
        ):
            both = banding_energies(output, target), banding_energies(target, target)
            energies = torch.stack([each for pair in both for each in pair]).cpu()
            self._energies.setdefault(name, {})[number] = energies
        return result

    def on_validation_epoch_end(self) -> None:
        """Log the banding score and energy with the host's metrics."""
        super().on_validation_epoch_end()
        volumes = {
            name: torch.stack([*slices.values()]).sum(0) for name, slices in self._energies.items()
        }
        measured = {
            name: (score_of_energies(*e[:2]), float(e[:2].sum() / e[2:].sum()))
            for name, e in volumes.items()
            if e[:2].sum() > 0 and e[2:].sum() > 0
        }
        self.unmeasured = sorted(gather([*self._energies.keys() - measured.keys()]))
        count = self.num_volumes(torch.tensor(float(len(measured)), device=self.device))
        totals = {"banding_score": self.score_sum, "banding_energy": self.energy_sum}
        for i, (name, total) in enumerate(totals.items()):
            values = sum(each[i] for each in measured.values())
            summed = total(torch.tensor(float(values), device=self.device))
            self.log(name, summed / count, prog_bar=True)  # NaN if nothing was measured

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Run the reconstruction module's step."""
        return self.reconstructor.test_step(batch, batch_idx)

    def configure_optimizers(
        self,
    ) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
        """Return Adam for each network, the reconstructor's first, and schedulers if rates fall."""
        networks: dict[str, nn.Module] = {"lr": self.reconstructor}
        if self.adversary is not None:
            networks["adversary_lr"] = self.adversary
        betas, epochs = self.hparams["adam_betas"], self.hparams["lr_step_size"]
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(network.parameters(), lr=self.hparams[rate], betas=betas)
            for rate, network in networks.items()
        ]
        if epochs == 0:
            return optimizers, []
        return optimizers, [torch.optim.lr_scheduler.StepLR(each, epochs) for each in optimizers]


def weighted_mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean of values of any shape; 0 if all weights are 0."""
    return (weight * values).sum() / weight.sum().clamp_min(1e-30)


def wanted_guess(rotated: torch.Tensor, label: Literal["uncertain", "flipped"]) -> torch.Tensor:
    """Return the adversary's answer to aim for, (batch, 1) float32; `rotated` is (batch,) bool."""
    truth = rotated.float()[:, None]
    return torch.full_like(truth, 0.5) if label == "uncertain" else 1 - truth
