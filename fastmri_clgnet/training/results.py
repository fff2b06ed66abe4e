"""What a run ends with: a table, a picture, its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from fastmri.pl_modules import FastMriDataModule, MriModule
from torch.utils.data import default_collate

from fastmri_clgnet.figures import save_comparison
from fastmri_clgnet.tables import format_table, make_cells

Methods = Mapping[str, tuple[MriModule, FastMriDataModule]]  # by what tables call them
Metrics = Mapping[str, Mapping[str, float]]


def format_metrics(metrics: Metrics) -> str:
    """Lay out "nmse", "psnr" (dB) and "ssim", a line for each method."""
    columns = {"nmse": "NMSE", "psnr": "PSNR (dB)", "ssim": "SSIM"}
    rows = {
        method: {column: float(values[name]) for name, column in columns.items()}
        for method, values in metrics.items()
    }
    return format_table(make_cells(rows))


def reconstruct_middle_slice(module: MriModule, data: FastMriDataModule) -> dict[str, Any]:
    """What `validation_step` gives for the middle slice of the first validation volume."""
    dataset = data.val_dataloader().dataset
    samples = dataset.raw_samples
    first = [i for i, sample in enumerate(samples) if sample.fname == samples[0].fname]
    batch = default_collate([dataset[first[len(first) // 2]]])
    batch = module.transfer_batch_to_device(batch, module.device, 0)
    training = module.training
    with torch.no_grad():
        result: dict[str, Any] = module.eval().validation_step(batch, 0)
    module.train(training)
    return result


def save_validation_picture(path: Path, methods: Methods) -> None:
    """Save the middle slice of the first validation volume, by each module, as .png or .pdf."""
    results = {name: reconstruct_middle_slice(*each) for name, each in methods.items()}
    images = {name: each["output"][0].float().cpu().numpy() for name, each in results.items()}
    first = next(iter(results.values()))
    target = first["target"][0].float().cpu().numpy()
    title = f"{first['fname'][0]}, slice {int(first['slice_num'][0])}"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_comparison(path, images, target, float(first["max_value"][0]), title)
