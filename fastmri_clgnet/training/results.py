"""What a run ends with: a table, a picture, its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from fastmri.pl_modules import FastMriDataModule, MriModule
from torch.utils.data import default_collate

from fastmri_clgnet.figures import save_comparison

Methods = Mapping[str, tuple[MriModule, FastMriDataModule]]  # by what tables call them
Metrics = Mapping[str, Mapping[str, float]]


def format_table(metrics: Metrics) -> str:
    """Lay out NMSE, PSNR and SSIM.

    Args:
        metrics: Values by method, each with "nmse", "psnr" (in dB) and "ssim".

    Returns:
        A table of one line for each method.
    """
    width = max(len(name) for name in metrics)
    lines = [f"{'':{width}}  {'NMSE':>8}  {'PSNR (dB)':>9}  {'SSIM':>7}"]
    lines += [
        f"{name:{width}}  {m['nmse']:8.4f}  {m['psnr']:9.2f}  {m['ssim']:7.4f}"
        for name, m in metrics.items()
    ]
    return "\n".join(lines)


def save_validation_picture(path: Path, methods: Methods) -> None:
    """Save the middle slice of the first validation volume, reconstructed by each module.

    Args:
        path: The picture, .png or .pdf.
        methods: Modules by the name to show, each with the data module that gives it validation
            samples; the first one's target is shown.
    """
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
    path.parent.mkdir(parents=True, exist_ok=True)
    save_comparison(path, images, target, max_value, title)
