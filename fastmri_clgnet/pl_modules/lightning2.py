"""The bridge that lets fastMRI's Lightning modules run under Lightning 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from fastmri.pl_modules import MriModule
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DistributedSampler
from torchvision.utils import save_image

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path, plain_name
from fastmri_clgnet.inference.loading import expect_same_arguments
from fastmri_clgnet.inference.submission import save_reconstruction

if TYPE_CHECKING:  # the base class that the mixin needs
    from fastmri.pl_modules import MriModule as _Host
else:
    _Host = object

HIDDEN_HOOKS = ("validation_step_end", "validation_epoch_end", "test_epoch_end")


class Lightning2Mixin(_Host):
    """Makes any `fastmri.pl_modules.MriModule` train, validate and test under Lightning 2.

    Put it before the module in the bases; nothing else is needed:

        class UnetModule(Lightning2Mixin, fastmri.pl_modules.UnetModule): ...

    fastMRI 0.3.0 was written for Lightning 1: Lightning 2 refuses its `validation_epoch_end` and
    `test_epoch_end` and never calls its `validation_step_end`. The mixin hides the three from
    Lightning, keeps what the steps return and calls the host's own methods at the end of the epoch.
    So fastMRI's functions compute the metrics and write the submission files. validation_loss is
    the mean over slices, each counted once, so it depends neither on batching nor on the number of
    processes (see `VolumeBatches`).

    Images of `num_log_images` evenly spread validation batches go to every TensorBoard logger, or,
    without one, to PNG files under `default_root_dir`/images. Reconstructions are written under a
    temporary name first, so that an interrupted test never leaves a half-written submission file.

    Example:
        >>> import fastmri.pl_modules
        >>> class OwnModule(Lightning2Mixin, fastmri.pl_modules.UnetModule):
        ...     pass
        >>> OwnModule(chans=4).num_log_images
        16

    Raises:
        TypeError: If a subclass has hooks that Lightning 2 refuses: the mixin does not come before
            its `MriModule`, or the subclass defines one of the hidden hooks itself.
    """

    # returns the settings to store in the submission file, for a file's name
    submission: Callable[[str], Mapping[str, Any]] | None = None
    submission_folder = "reconstructions"  # under default_root_dir
    # Lightning 2 checks whether the class has these at all
    validation_step_end = None
    validation_epoch_end = None
    test_epoch_end = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check that the hooks are hidden in the subclass."""
        super().__init_subclass__(**kwargs)
        for hook in HIDDEN_HOOKS:
            if issubclass(cls, MriModule) and getattr(cls, hook) is not None:
                raise TypeError(
                    f"{cls.__name__}.{hook} would be refused by Lightning 2: put Lightning2Mixin "
                    "before the fastMRI module in the list of bases, and do not define "
                    f"{hook} in a class derived from it"
                )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that fit, but were made with arguments that give other images."""
        super().on_load_checkpoint(checkpoint)
        expect_same_arguments(checkpoint.get("hyper_parameters") or {}, self)

    def on_validation_epoch_start(self) -> None:
        """Start collecting; choose evenly spread batches whose images are logged."""
        super().on_validation_epoch_start()
        self._expect_whole_volumes(self.trainer.val_dataloaders)
        self._validation_outputs: list[dict[str, Any]] = []
        self._validated: set[tuple[str, int]] = set()
        # the host would use trainer.val_dataloaders[0], which Lightning 2 does not have
        n_batches, n_images = self.trainer.num_val_batches[0], self.num_log_images
        self.val_log_indices = []
        if not self.trainer.sanity_checking and n_images > 0:
            n_batches = n_batches if np.isfinite(n_batches) else n_images
            chosen = np.linspace(0, n_batches - 1, min(n_images, int(n_batches)))
            self.val_log_indices = sorted({round(index) for index in chosen})

    def on_validation_batch_end(
        self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Let the host log images and compute the batch's metrics."""
        super().on_validation_batch_end(outputs, batch, batch_idx, dataloader_idx)
        metrics = self._metrics(outputs)
        slices = set(zip(outputs["fname"], outputs["slice_num"].tolist(), strict=True))
        # the host averages the losses over its inputs: pass a batch once for each slice
        self._validation_outputs += [metrics] * len(slices - self._validated)
        self._validated |= slices

    def _metrics(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """What the host aggregates of a batch: of one without references, the loss only."""
        if outputs["target"].ndim > 1:
            metrics: dict[str, Any] = super().validation_step_end(outputs)
            return metrics
        if outputs["batch_idx"] in self.val_log_indices:
            image = outputs["output"][:1]
            self.log_image(
                f"val_images_idx_{outputs['batch_idx']}/reconstruction", image / image.max()
            )
        nothing: dict[str, Any] = {"mse_vals": {}, "target_norms": {}, "ssim_vals": {}}
        return {"val_loss": outputs["val_loss"], "max_vals": {}, **nothing}

    def on_validation_epoch_end(self) -> None:
        """Let the host aggregate over volumes and log validation_loss and `val_metrics/*`.

        Where no process has a reference, there is validation_loss only.
        """
        super().on_validation_epoch_end()
        outputs, self._validation_outputs = self._validation_outputs, []
        has_reference = any(output["max_vals"] for output in outputs)
        if self.trainer.strategy.reduce_boolean_decision(has_reference, all=False):
            super().validation_epoch_end(outputs)
            return
        losses = torch.cat([output["val_loss"].view(-1) for output in outputs])
        total = self.ValLoss(losses.sum())
        n_slices = self.TotSliceExamples(torch.tensor(float(len(losses))))
        self.log("validation_loss", total / n_slices, prog_bar=True)

    def on_test_epoch_start(self) -> None:
        """Start collecting."""
        super().on_test_epoch_start()
        self._expect_whole_volumes(self.trainer.test_dataloaders)
        self._test_outputs: list[dict[str, Any]] = []

    def on_test_batch_end(
        self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep what the step returned."""
        super().on_test_batch_end(outputs, batch, batch_idx, dataloader_idx)
        self._test_outputs.append(outputs)

    def on_test_epoch_end(self) -> None:
        """Stack the slices; fastMRI writes `default_root_dir/submission_folder/*.h5`."""
        super().on_test_epoch_end()
        outputs, self._test_outputs = self._test_outputs, []
        folder = Path(self.trainer.default_root_dir) / self.submission_folder
        volumes: dict[str, dict[int, np.ndarray]] = {}
        for output in outputs:
            # several processes may have the same slice
            for name, number, image in zip(
                output["fname"], output["slice"], output["output"], strict=True
            ):
                volumes.setdefault(plain_name(name), {})[int(number)] = image
        for name, slices in sorted(volumes.items()):
            stacked = np.stack([slices[number] for number in sorted(slices)])
            settings = None if self.submission is None else self.submission(name)
            save_reconstruction(folder / name, stacked, settings)
        self.print(f"Saved reconstructions to {folder}")

    def _expect_whole_volumes(self, loaders: Any) -> None:
        """Raise an `InputError` if Lightning spreads a volume's slices over several processes."""
        for loader in loaders if isinstance(loaders, list) else [loaders]:
            sampler = getattr(loader, "sampler", None)
            if self.trainer.world_size > 1 and isinstance(sampler, DistributedSampler):
                raise InputError(
                    "slices of one volume would go to several processes: metrics and submission "
                    "files would be of parts of volumes. Give pl.Trainer use_distributed_sampler="
                    "False, and fastMRI's data module distributed_sampler=True; or devices=1"
                )

    def log_image(self, name: str, image: torch.Tensor) -> None:
        """Log one image, (1, height, width), from 0 to 1.

        NaN, which the host computes for images without signal, is shown as 0.
        """
        image = torch.nan_to_num(image)
        loggers = [logger for logger in self.loggers if isinstance(logger, TensorBoardLogger)]
        for logger in loggers:
            logger.experiment.add_image(name, image, global_step=self.global_step)
        if not loggers and self.trainer.is_global_zero:
            path = Path(self.trainer.default_root_dir) / "images" / f"{name}.png"
            with atomic_path(path) as temporary:
                save_image(image, temporary, format="png")
