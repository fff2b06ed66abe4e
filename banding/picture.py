"""Pictures of bands: reconstructions in a narrow window, which shows the background."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from fastmri.pl_modules import FastMriDataModule, MriModule
from matplotlib.figure import Figure
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from banding.banding_module import BandingModule
from banding.metrics import banding_score
from fastmri_clgnet.figures import save_figure
from fastmri_clgnet.training.results import Slice, middle_slice

WINDOW_TOP = 0.15  # white, as a fraction of the target's 99th percentile


def bands_figure(shown: Slice) -> Figure:
    """Draw a slice's images and target in a narrow window, and the last image minus the first.

    In the difference, grey is 0, and black and white are the window's width below and above it.
    """
    images = {**shown.images, "target": shown.target}
    white = WINDOW_TOP * float(np.quantile(shown.target, 0.99)) or 1.0
    (first, one), *_, (last, other) = shown.images.items()
    figure = Figure(figsize=(3.4 * (len(images) + 1), 4.2), layout="constrained", dpi=130)
    axes = figure.subplots(1, len(images) + 1, squeeze=False)[0]
    target = torch.from_numpy(shown.target)
    for axis, (name, image) in zip(axes, images.items(), strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=white)
        axis.set_title(name)
        axis.set_xlabel(f"banding score {banding_score(torch.from_numpy(image), target):.2f}")
    axes[-1].imshow(other - one, cmap="gray", vmin=-white, vmax=white)
    axes[-1].set_title(f"{last} - {first}")
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    title = f"{shown.title}; grey scale from 0 to {WINDOW_TOP:.0%} of the brightest"
    figure.suptitle(title, fontsize="medium", parse_math=False)
    return figure


def save_bands(path: Path, modules: Mapping[str, MriModule], data: FastMriDataModule) -> None:
    """Save each module's middle slice of the first validation volume, in a narrow window."""
    methods = {name: (module, data) for name, module in modules.items()}
    save_figure(path, bands_figure(middle_slice(methods)))


class ShowBands(Callback):
    """Shows validation volumes in a narrow window after each validation that follows the warm-up.

    It shows the middle slice of each volume: before, now, target, and the difference. The pictures
    go to TensorBoard and to folder/VOLUME_epochNNN.png.
    """

    def __init__(
        self, folder: Path, before: MriModule, samples: FastMriDataModule, n_volumes: int
    ) -> None:
        self.folder = folder
        self.before = before
        self.samples = samples
        self.n_volumes = n_volumes
        self._slices: list[Slice] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reconstruct the slices with the weights before."""
        if not trainer.is_global_zero or self._slices or self.n_volumes == 0:
            return
        files = {sample.fname for sample in self.samples.val_dataloader().dataset.raw_samples}
        methods = {"before": (self.before.to(pl_module.device), self.samples)}
        for volume in range(min(self.n_volumes, len(files))):
            self._slices.append(middle_slice(methods, volume))
        self.before.cpu()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show them beside the current reconstructions."""
        if not isinstance(pl_module, BandingModule):
            return
        if trainer.sanity_checking or pl_module.in_warmup:
            return
        epoch = trainer.current_epoch + 1
        methods = {f"epoch {epoch}": (pl_module.reconstructor, self.samples)}
        for volume, before in enumerate(self._slices):
            now = middle_slice(methods, volume)
            figure = bands_figure(before._replace(images={**before.images, **now.images}))
            name = Path(before.title.partition(",")[0]).stem
            save_figure(self.folder / f"{name}_epoch{epoch:03}.png", figure)
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_figure(f"bands/{name}", figure, trainer.global_step)
