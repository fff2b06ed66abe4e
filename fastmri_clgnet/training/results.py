"""What a run ends with: metrics, submission files, a table and a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from fastmri.data.transforms import center_crop
from fastmri.pl_modules import FastMriDataModule, MriModule
from torch.utils.data import default_collate

from fastmri_clgnet.data.data_module import CheckedDataModule
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.figures import images_row, save_comparison, save_figure
from fastmri_clgnet.inference.submission import data_digest, describe
from fastmri_clgnet.pl_modules.kspace_module import ZeroFilledModule
from fastmri_clgnet.pl_modules.registry import MODELS, ZERO_FILLED, name_of, takes_kspace
from fastmri_clgnet.tables import format_table, make_cells, quality
from fastmri_clgnet.training.samples import make_samples, partition_of

_LOGGED = ("val_metrics/nmse", "val_metrics/psnr", "val_metrics/ssim")  # by fastMRI
_LOSS = "validation_loss"
Methods = Mapping[str, tuple[MriModule, FastMriDataModule]]  # by what tables call them
Metrics = dict[str, dict[str, float]]


def validate(
    trainer: pl.Trainer,
    module: MriModule,
    samples: FastMriDataModule,
    names: Iterable[str],
    checkpoint: Path | None = None,
) -> dict[str, float]:
    """Validate a module, without images; gives those of the named values that it logs."""
    before, module.num_log_images = module.num_log_images, 0
    (logged,) = trainer.validate(module, samples, ckpt_path=checkpoint, verbose=False)
    module.num_log_images = before
    return {name: float(logged[name]) for name in names if name in logged}


def beside_zero_filling(
    module: MriModule, samples: CheckedDataModule, data: Data, seed: int, trainer: pl.Trainer
) -> Methods:
    """A trained module behind the baseline, each with its samples, by what tables call them."""
    choice = MODELS.get(name_of(module) or "")
    trained = {type(module).__name__ if choice is None else choice.label: (module, samples)}
    if isinstance(module, ZeroFilledModule):
        return trained
    baseline = ZeroFilledModule(0)
    same = takes_kspace(module)
    own = samples if same else make_samples(baseline, data, seed, trainer)
    return {MODELS[ZERO_FILLED].label: (baseline, own), **trained}


def compare(
    trainer: pl.Trainer, methods: Methods, trained: MriModule, checkpoint: Path | None
) -> Metrics:
    """Validate modules by fastMRI's metrics, the trained one with its checkpoint.

    Without references there is only the trained module's loss.
    """
    metrics = {}
    for label, (module, samples) in methods.items():
        weights = checkpoint if module is trained else None
        values = validate(trainer, module, samples, (*_LOGGED, _LOSS), weights)
        loss = values.pop(_LOSS)
        metrics[label] = {name.partition("/")[2]: value for name, value in values.items()}
        if not values:
            metrics[label] = {_LOSS: loss}
    return {label: each for label, each in metrics.items() if not math.isnan(each.get(_LOSS, 0.0))}


def write_submissions(
    trainer: pl.Trainer,
    module: MriModule,
    samples: FastMriDataModule,
    data: Data,
    checkpoint: Path | None,
    verbose: bool = True,
) -> None:
    """Test a module: write submission files that say how they were made, as `reconstruct`'s."""
    mask = data.split_mask("test", partition_of(module) is not None)
    settings = describe(module, checkpoint, data.challenge, mask, str(trainer.precision))
    module.submission = partial(_of_volume, settings, data.folder("test"))
    module.submission_folder = data.submission_folder
    trainer.test(module, samples, verbose=verbose)


def _of_volume(settings: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """How the reconstruction of a volume is made."""
    return {**settings, "data": data_digest(folder / name)}


def summarise(metrics: Metrics, mask: Mask | None, places: Mapping[str, Path | str]) -> str:
    """Lay out metrics, a line for each method, and where everything is."""
    table = format_table(
        make_cells(
            {
                label: {"loss (no references)": each[_LOSS]} if _LOSS in each else quality(each)
                for label, each in metrics.items()
            }
        )
    )
    how = "undersampled already" if mask is None else mask
    lines = [f"{name + ':':18}{place}" for name, place in places.items()]
    return "\n".join(["", f"Validation volumes, {how}:\n\n{table}\n", *lines])


class Slice(NamedTuple):
    """A validation slice: reconstructions by method and target (height, width), and a title.

    Without a reference the target has no axes.
    """

    images: dict[str, np.ndarray]
    target: np.ndarray
    max_value: float
    title: str


def middle_slice(methods: Methods, volume: int = 0) -> Slice:
    """Reconstruct the middle slice of a validation volume, by default the first, by each module."""
    images: dict[str, np.ndarray] = {}
    for name, (module, data) in methods.items():
        dataset = data.val_dataloader().dataset
        samples = dataset.raw_samples
        file = list(dict.fromkeys(sample.fname for sample in samples))[volume]
        own = [i for i, sample in enumerate(samples) if sample.fname == file]
        batch = default_collate([dataset[own[len(own) // 2]]])
        batch = module.transfer_batch_to_device(batch, module.device, 0)
        training = module.training
        with torch.no_grad():
            result = module.eval().validation_step(batch, 0)
        module.train(training)
        images[name] = result["output"][0].float().cpu().numpy()
        if len(images) == 1:
            target = result["target"][0].float().cpu().numpy()
            max_value = float(result["max_value"][0])
            title = f"{result['fname'][0]}, slice {int(result['slice_num'][0])}"
    # of narrow volumes networks on images and on k-space give different heights, as the host's do
    height, width = np.min([image.shape for image in images.values()], axis=0)
    images = {name: center_crop(image, (height, width)) for name, image in images.items()}
    target = center_crop(target, (height, width)) if target.ndim else target
    return Slice(images, target, max_value, title)


def save_validation_picture(path: Path, methods: Methods) -> None:
    """Save the middle slice of the first validation volume, reconstructed by each module."""
    shown = middle_slice(methods)
    if shown.target.ndim:
        save_comparison(path, *shown)
    else:
        save_figure(path, images_row(shown.images, shown.title))
