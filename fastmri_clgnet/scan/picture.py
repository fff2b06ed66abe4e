"""The picture of one slice: zero-filled, reconstructed, and the reference if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.convert.volume import Volume
from fastmri_clgnet.data.fastmri_file import reference_image
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.figures import comparison, images_row, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(
    image: npt.NDArray[np.floating],
    scan: Volume,
    path: Path | str | None = None,
    *,
    slice: int | None = None,
    label: str = "reconstruction",
) -> Figure:
    """Draw one slice: zero-filled beside the reconstruction.

    A scan with a reference (see `undersample`) is shown with it, with maps of the absolute error on
    one scale, and with PSNR and SSIM of the slice. Rows are the readout, as in the k-space.

    Args:
        image: Of `reconstruct_scan`, (slices, height, width).
        scan: The scan that it was made of.
        path: File to write, .png, .pdf or .svg; None writes nothing.
        slice: Which slice, from 0; None is the middle one.
        label: What to call the reconstruction.

    Returns:
        The figure, which notebooks show.

    Raises:
        InputError: If image and scan do not fit, or the file cannot be written.
    """
    n_slices = len(scan.kspace)
    if image.ndim != 3 or len(image) != n_slices:
        raise InputError(
            f"expected images (slices, height, width) of the scan's {n_slices} slices, got "
            f"{image.shape}"
        )
    index = n_slices // 2 if slice is None else slice
    if not 0 <= index < n_slices:
        raise InputError(f"slice {index}: {scan.name} has slices 0 to {n_slices - 1}")
    shown = image[index].astype(np.float32, copy=False)
    size = (shown.shape[0], shown.shape[1])
    images = {"zero-filled": reference_image(scan.kspace[index], size), label: shown}
    title = f"{scan.name}, slice {index + 1} of {n_slices}"
    aspect = scan.pixel_mm[0] / scan.pixel_mm[1]
    if scan.reference is None:
        figure = images_row(images, title, aspect)
    else:
        target = scan.reference[index]
        maximum = float(scan.reference.max())
        figure = comparison(images, target, maximum, title, aspect=aspect)
    if path is not None:
        save_figure(Path(path), figure)
    return figure
