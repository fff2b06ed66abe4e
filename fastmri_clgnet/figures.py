"""Pictures of reconstructions beside their reference, with error maps on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fastmri import evaluate
from matplotlib.figure import Figure

from fastmri_clgnet.data.fastmri_file import atomic_path


def save_comparison(
    path: Path,
    reconstructions: Mapping[str, npt.NDArray[np.float32]],
    target: npt.NDArray[np.float32],
    max_value: float,
    title: str = "",
) -> None:
    """Save one slice: every reconstruction and the target above, absolute errors below.

    All images share one grey scale, from 0 to the target's 99.5th percentile, and all error maps
    one colour scale, from 0 to the largest 99.5th percentile of an error. PSNR and SSIM of the
    slice stand under each image.

    Args:
        path: The file, .png or .pdf.
        reconstructions: Images (height, width) by method, in the target's units.
        target: The reference, (height, width).
        max_value: Largest value of the volume, which PSNR and SSIM are relative to.
        title: A line above.
    """
    errors = {name: np.abs(target - image) for name, image in reconstructions.items()}
    white = float(np.percentile(target, 99.5))
    scale = max(float(np.percentile(error, 99.5)) for error in errors.values()) or 1.0
    n_columns = len(reconstructions) + 1
    figure = Figure(figsize=(2.7 * n_columns + 0.7, 6.0), layout="constrained", dpi=130)
    axes = figure.subplots(2, n_columns, squeeze=False)
    for column, (name, image) in enumerate([*reconstructions.items(), ("target", target)]):
        above, below = axes[:, column]
        above.imshow(image, cmap="gray", vmin=0, vmax=white)
        above.set_title(name)
        if name in errors:
            psnr = float(evaluate.psnr(target, image, maxval=max_value))
            ssim = float(evaluate.ssim(target[None], image[None], maxval=max_value)[0])
            above.set_xlabel(f"{psnr:.2f} dB, SSIM {ssim:.3f}")
            shown = below.imshow(errors[name], cmap="inferno", vmin=0, vmax=scale)
            below.set_xlabel(f"error of {name}")
        else:
            below.set_visible(False)
        for axis in (above, below):
            axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes[1, :-1], location="right", shrink=0.8, label="absolute error")
    figure.suptitle(title, fontsize="medium")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip("."))
