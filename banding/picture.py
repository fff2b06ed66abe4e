"""A picture of bands: reconstructions in a narrow window, which shows the background."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from fastmri.pl_modules import FastMriDataModule, MriModule
from matplotlib.figure import Figure

from banding.metrics import banding_score
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.training.results import middle_slice

WINDOW_TOP = 0.15  # white, as a fraction of the target's 99th percentile


def save_bands(path: Path, modules: Mapping[str, MriModule], data: FastMriDataModule) -> None:
    """Save each module's middle slice of the first validation volume, in a narrow window."""
    shown = middle_slice({name: (module, data) for name, module in modules.items()})
    images = {**shown.images, "target": shown.target}
    white = WINDOW_TOP * float(np.quantile(shown.target, 0.99))
    figure = Figure(figsize=(3.4 * len(images), 3.9), layout="constrained", dpi=130)
    axes = figure.subplots(1, len(images), squeeze=False)[0]
    target = torch.from_numpy(shown.target)
    for axis, (name, image) in zip(axes, images.items(), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=white)
        axis.set(title=name, xticks=[], yticks=[])
        axis.set_xlabel(f"banding score {banding_score(torch.from_numpy(image), target):.2f}")
    figure.suptitle(f"Grey scale from 0 to {WINDOW_TOP:.0%} of the brightest", fontsize="medium")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip("."))
