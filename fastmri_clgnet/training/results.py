"""What a run ends with: a table, a picture, its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from fastmri.pl_modules import FastMriDataModule, MriModule
from torch.utils.data import default_collate

from fastmri_clgnet.figures import save_comparison
from fastmri_clgnet.tables import format_table, make_cells, quality

Methods = Mapping[str, tuple[MriModule, FastMriDataModule]]  # by what tables call them
Metrics = Mapping[str, Mapping[str, float]]


def format_metrics(metrics: Metrics) -> str:
    """Lay out NMSE, PSNR and SSIM, a line for each method, from "nmse", "psnr" (dB) and "ssim"."""
    return format_table(make_cells({method: quality(each) for method, each in metrics.items()}))


class Slice(NamedTuple):
    """A validation slice: reconstructions by method and target (height, width), and a title."""

    images: dict[str, np.ndarray]
    target: np.ndarray
    max_value: float
    title: str


def middle_slice(methods: Methods) -> Slice:
    """Reconstruct the middle slice of the first validation volume by each module."""
    images: dict[str, np.ndarray] = {}
    for name, (module, data) in methods.items():
        dataset = data.val_dataloader().dataset
        samples = dataset.raw_samples
        first = [i for i, sample in enumerate(samples) if sample.fname == samples[0].fname]
        batch = default_collate([dataset[first[len(first) // 2]]])
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
    return Slice(images, target, max_value, title)


def save_validation_picture(path: Path, methods: Methods) -> None:
    """Save the middle slice of the first validation volume, reconstructed by each module."""
    save_comparison(path, *middle_slice(methods))
