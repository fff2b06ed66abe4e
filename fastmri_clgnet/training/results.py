"""What a run ends with: metrics of the validation volumes, and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from fastmri.pl_modules import FastMriDataModule
from torch.utils.data import Dataset, default_collate

from fastmri_clgnet.data.fastmri_file import atomic_path
from fastmri_clgnet.figures import save_comparison
from fastmri_clgnet.pl_modules import ImageModule
from fastmri_clgnet.pl_modules.image_module import denormalise

Metrics = Mapping[str, Mapping[str, float]]


def format_table(metrics: Metrics) -> str:
    """Lay out NMSE, PSNR and SSIM.

    Args:
        metrics: Values by method, each with "nmse", "psnr" (in dB) and "ssim".

    Returns:
        A table of one line a method.
    """
    width = max(len(name) for name in metrics)
    lines = [f"{'':{width}}  {'NMSE':>8}  {'PSNR (dB)':>9}  {'SSIM':>7}"]
    lines += [
        f"{name:{width}}  {m['nmse']:8.4f}  {m['psnr']:9.2f}  {m['ssim']:7.4f}"
        for name, m in metrics.items()
    ]
    return "\n".join(lines)


def save_metrics(path: Path, metrics: Metrics) -> None:
    """Write metrics as JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def save_validation_picture(
    path: Path, modules: Mapping[str, ImageModule], data: FastMriDataModule
) -> None:
    """Save the middle slice of the first validation volume, reconstructed by each module.

    Args:
        path: The picture, .png or .pdf.
        modules: By the name to show; on any device.
        data: Gives the validation data set with its masks.
    """
    dataset: Dataset = data.val_dataloader().dataset
    samples = dataset.raw_samples  # type: ignore[attr-defined]
    first = [i for i, sample in enumerate(samples) if sample.fname == samples[0].fname]
    index = first[len(first) // 2]
    batch = default_collate([dataset[index]])
    images = {}
    for name, module in modules.items():
        training = module.training
        with torch.no_grad():
            output = module.eval()(batch.image.to(module.device)).cpu()
        module.train(training)
        images[name] = denormalise(output, batch)[0].numpy().astype(np.float32)
    target = denormalise(batch.target, batch)[0].numpy()
    title = f"{batch.fname[0]}, slice {int(batch.slice_num[0])}"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_comparison(path, images, target, float(batch.max_value[0]), title)
