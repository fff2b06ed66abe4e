"""The picture of one slice: zero-filled, reconstructed, and the reference if there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.figures import comparison, images_row, save_figure
from fastmri_clgnet.formats.fourier import reference_image
from fastmri_clgnet.formats.scan import Scan, expect_scan
from fastmri_clgnet.slice_quality import squares


def show(
    image: npt.NDArray[np.floating] | Tensor,
    scan: Scan,
    path: Path | str | None = None,
    *,
    slice: int | None = None,
    label: str = "reconstruction",
) -> Figure:
    """Draw one slice: zero-filled beside the reconstruction, on the grey scale of the former.

    Of a fully sampled scan the first one is its image.

    A scan with a reference (see `undersample`) is shown with it, with maps of the absolute error on
    one scale, and with PSNR and SSIM of the slice. Rows are the readout, as in the k-space.

    Args:
        image: Of `reconstruct_scan`, (slices, height, width); an array or a tensor.
        scan: The scan that it was made of.
        path: File to write, .png, .pdf or .svg; None writes nothing.
        slice: Which slice, from 0; None is the middle one.
        label: What to call the reconstruction.

    Returns:
        The figure, which notebooks show.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> scan = example_slice()
        >>> figure = show(scan.images(), scan, "brain.png", label="the same")

    Raises:
        InputError: If image and scan do not fit, or the file cannot be written.
    """
    expect_scan(scan)
    n_slices, array = len(scan.kspace), np.asarray(image)
    if array.shape != (n_slices, *scan.recon_size):
        raise InputError(
            f"expected images (slices, height, width) of {(n_slices, *scan.recon_size)} as of "
            f"{scan.name}, got {array.shape}"
        )
    index = n_slices // 2 if slice is None else slice
    if not 0 <= index < n_slices:
        raise InputError(f"slice {index}: {scan.name} has slices 0 to {n_slices - 1}")
    shown = array[index].astype(np.float32, copy=False)
    measured = "fully sampled" if scan.sampled().all() else "zero-filled"
    images = {measured: reference_image(scan.kspace[index], scan.recon_size), label: shown}
    title = f"{scan.name}, slice {index + 1} of {n_slices}"
    height, width = scan.pixel_mm or (1.0, 1.0)
    aspect = height / width
    if scan.reference is None:
        figure = images_row(images, title, aspect)
    else:
        target = scan.reference[index]
        maximum = float(squares(scan.reference, array)[0].max())
        figure = comparison(images, target, maximum, title, aspect=aspect)
    if path is not None:
        save_figure(Path(path), figure)
    return figure
