"""Which slices a report shows, and what it shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from fastmri import evaluate

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.metrics import VolumeMetrics, read_pair


class Choice(NamedTuple):
    """A slice to show.

    Args:
        reason: Why: "worst", "median", "best", or "as asked".
        file: The volume's file name.
        slice_index: The slice, counted from 0.
    """

    reason: str
    file: str
    slice_index: int


class Volume(NamedTuple):
    """A volume's images, all in the data's units, and the scales that show them.

    Args:
        target: The reference, (slices, width, width).
        reconstructions: Of the same shape, by method.
        white: The grey scale's upper end: the reference's 99.5th percentile.
        error_scale: The error maps' upper end: the largest 99.5th percentile of an error.
    """

    target: npt.NDArray[np.float32]
    reconstructions: dict[str, npt.NDArray[np.float32]]
    white: float
    error_scale: float

    def caption(self, method: str, index: int) -> str:
        """PSNR and SSIM of a slice, relative to the volume's largest value."""
        target, image = self.target[index], self.reconstructions[method][index]
        maximum = float(self.target.max())
        with np.errstate(divide="ignore"):  # a perfect image has infinite PSNR
            psnr = float(evaluate.psnr(target, image, maxval=maximum))
        ssim = float(evaluate.ssim(target[None], image[None], maxval=maximum)[0])
        return f"{psnr:.2f} dB, SSIM {ssim:.3f}"


def choose_slices(
    volumes: Sequence[VolumeMetrics], method: str, asked: Sequence[str]
) -> list[Choice]:
    """Choose what is asked for, and the worst, median and best slice by SSIM.

    Args:
        volumes: Metrics of all methods.
        method: Whose SSIM decides.
        asked: FILE:INDEX, as "file1000.h5:17".

    Returns:
        What is asked for first, then worst, median, best.

    Raises:
        InputError: If there is no such slice.
    """
    lengths = {volume.file: len(volume.slice_ssim) for volume in volumes}
    choices = []
    for text in asked:
        file, _, index = text.rpartition(":")
        if file not in lengths or not index.isdigit() or int(index) >= lengths[file]:
            raise InputError(
                f"--slices {text}: expected FILE:INDEX, with a file that was evaluated and its "
                f"slice counted from 0, such as {volumes[0].file}:0"
            )
        choices.append(Choice("as asked", file, int(index)))
    ranked = sorted(
        (ssim, volume.file, index)
        for volume in volumes
        if volume.method == method
        for index, ssim in enumerate(volume.slice_ssim)
    )
    for reason, position in (("worst", 0), ("median", len(ranked) // 2), ("best", -1)):
        _, file, slice_index = ranked[position]
        choices.append(Choice(reason, file, slice_index))
    return choices


def read_volume(
    target_path: Path, predictions: Mapping[str, Path], file: str, challenge: str
) -> Volume:
    """Read a volume of every method that has it.

    Args:
        target_path: Folder of the references.
        predictions: Folders of submission files by method.
        file: The file's name.
        challenge: "singlecoil" or "multicoil".

    Returns:
        Its images.
    """
    reconstructions = {}
    for method, folder in predictions.items():
        try:
            target, reconstructions[method] = read_pair(
                target_path / file, folder / file, challenge
            )
        except InputError:  # the evaluation has named it
            continue
    errors = [np.abs(image - target) for image in reconstructions.values()]
    scale = max(float(np.percentile(error, 99.5)) for error in errors)
    return Volume(target, reconstructions, float(np.percentile(target, 99.5)) or 1.0, scale or 1.0)
