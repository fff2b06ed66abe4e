"""A picture of bands: reconstructions in a narrow window, where the background can be seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from fastmri.pl_modules import FastMriDataModule, MriModule
from matplotlib.figure import Figure
from torch.utils.data import default_collate

from banding.metrics import banding_score
from fastmri_clgnet.files import atomic_path

WINDOW_TOP = 0.15  # white, as a part of the target's 99th percentile


def save_bands(path: Path, modules: Mapping[str, MriModule], data: FastMriDataModule) -> None:
    """Save the middle slice of the first validation volume by each module, in a narrow window.

    Args:
        path: The picture, .png or .pdf.
        modules: Reconstruction modules by the name to show.
        data: What gives them validation samples.
    """
    dataset = data.val_dataloader().dataset
    samples = dataset.raw_samples
    first = [i for i, sample in enumerate(samples) if sample.fname == samples[0].fname]
    batch = default_collate([dataset[first[len(first) // 2]]])
    images: dict[str, torch.Tensor] = {}
    for name, module in modules.items():
        with torch.no_grad():
            result = module.cpu().eval().validation_step(batch, 0)
        images[name] = result["output"][0].float()
    target = images["target"] = result["target"][0].float()
    white = WINDOW_TOP * float(torch.quantile(target, 0.99))
    figure = Figure(figsize=(3.4 * len(images), 3.9), layout="constrained", dpi=130)
    axes = figure.subplots(1, len(images), squeeze=False)[0]
    for axis, (name, image) in zip(axes, images.items(), strict=True):
        axis.imshow(image.numpy(), cmap="gray", vmin=0, vmax=white)
        axis.set(title=name, xticks=[], yticks=[])
        axis.set_xlabel(f"banding score {banding_score(image, target):.2f}")
    figure.suptitle(f"Grey scale from 0 to {WINDOW_TOP:.0%} of the brightest", fontsize="medium")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip("."))
