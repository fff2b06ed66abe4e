"""The slices of a report and their images: as many from the chosen volumes as fit."""

from __future__ import annotations

import base64
import functools
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.metrics import read_pair
from fastmri_clgnet.evaluation.results import VolumeMetrics
from fastmri_clgnet.slice_quality import slice_quality

ERROR_COLOURS = "inferno"
# from best to smallest: WebP's quality, and slices per volume on the slider
_ATTEMPTS = [
    *((85, n) for n in (200, 60, 30, 16, 8)),
    *((60, n) for n in (16, 8, 4, 1)),
    (30, 1),
]

Frame = list[dict[str, str]]  # name, caption, image and error map of each method, and the target
Frames = dict[str, dict[int, Frame]]  # by file and slice


class Choice(NamedTuple):
    """A slice to show."""

    reason: str  # "worst", "median", "best" or "as asked"
    file: str
    slice_index: int  # counted from 0


class ShownVolume(NamedTuple):
    """A volume's images, (slices, width, width) in the data's units, and upper limits of scales."""

    target: npt.NDArray[np.float32]
    reconstructions: dict[str, npt.NDArray[np.float32]]  # by method
    slice_ssim: dict[str, list[float]]  # by method
    white: float  # the reference's 99.5th percentile
    error_scale: float  # the largest 99.5th percentile of an error

    def caption(self, method: str, index: int) -> str:
        """Format PSNR and SSIM of a slice, relative to the volume's largest value."""
        image, maximum = self.reconstructions[method][index], float(self.target.max())
        psnr, ssim = slice_quality(self.target[index], image, maximum)
        return f"{psnr:.2f} dB, SSIM {ssim:.3f}"

    def frame(self, index: int, quality: int) -> Frame:
        """Return all images of one slice: every method's with its error map, and the target."""
        target = self.target[index]
        frame = [
            {
                "name": method,
                "caption": self.caption(method, index),
                "image": encode(images[index], self.white, quality),
                "error": encode(
                    np.abs(images[index] - target), self.error_scale, quality, colours=True
                ),
            }
            for method, images in self.reconstructions.items()
        ]
        shown = encode(target, self.white, quality)
        return [*frame, {"name": "target", "caption": "", "image": shown}]


def choose_slices(
    volumes: Sequence[VolumeMetrics], method: str, asked: Sequence[str]
) -> list[Choice]:
    """Return the requested slices, FILE:INDEX, then worst, median and best by a method's SSIM."""
    lengths = {volume.file: len(volume.slice_ssim) for volume in volumes}
    choices = []
    for text in asked:
        file, _, index = text.rpartition(":")
        if file not in lengths or not index.isdigit() or int(index) >= lengths[file]:
            raise InputError(
                f"slices {text}: expected FILE:INDEX, an evaluated file and its slice "
                f"counted from 0, such as {volumes[0].file}:0"
            )
        choices.append(Choice("as asked", file, int(index)))
    ranked = sorted(
        (ssim, volume.file, index)
        for volume in volumes
        if volume.method == method
        for index, ssim in enumerate(volume.slice_ssim)
    )
    for reason, position in (("worst", 0), ("median", len(ranked) // 2), ("best", -1)):
        choices.append(Choice(reason, *ranked[position][1:]))
    return choices


def read_volume(
    target_path: Path,
    predictions: Mapping[str, Path],
    file: str,
    challenge: str,
    volumes: Sequence[VolumeMetrics],
) -> ShownVolume:
    """Read a volume of every method for which it was evaluated."""
    slice_ssim = {volume.method: volume.slice_ssim for volume in volumes if volume.file == file}
    reconstructions = {}
    for method in slice_ssim:
        paths = (target_path / file, predictions[method] / file)
        target, reconstructions[method] = read_pair(*paths, challenge)
    errors = [np.abs(image - target) for image in reconstructions.values()]
    scale = max(float(np.percentile(error, 99.5)) for error in errors)
    white = float(np.percentile(target, 99.5))
    return ShownVolume(target, reconstructions, slice_ssim, white or 1.0, scale or 1.0)


def make_frames(
    choices: Sequence[Choice], volumes: Mapping[str, ShownVolume], limit: int
) -> Frames:
    """Encode the chosen slices, and as many others of high quality as fit into `limit` bytes."""
    shown = Counter((choice.file, choice.slice_index) for choice in choices)
    for quality, n_slices in _ATTEMPTS:
        frames: Frames = {}
        size = 0
        for file, volume in volumes.items():
            n_all = len(volume.target)
            even = np.linspace(0, n_all - 1, min(n_slices, n_all)).round().astype(int).tolist()
            chosen = {index for name, index in shown if name == file}
            places = sorted({*(even if n_slices > 1 else []), *chosen})
            frames[file] = {index: volume.frame(index, quality) for index in places}
            for index, frame in frames[file].items():
                length = sum(len(text) for part in frame for text in part.values())
                size += length * (1 + shown[file, index])
        if size <= limit:
            break
    return frames


@functools.cache
def colour_table() -> npt.NDArray[np.uint8]:
    """Return the 256 colours of the error maps, (256, 3)."""
    return mpl.colormaps[ERROR_COLOURS](np.arange(256), bytes=True)[:, :3]


def colour_bar() -> str:
    """Return the colours of the error maps as a CSS gradient."""
    stops = ", ".join("#{:02x}{:02x}{:02x}".format(*colour_table()[i]) for i in range(0, 256, 15))
    return f"linear-gradient(to right, {stops})"


def data_address(values: bytes, kind: str) -> str:
    """Return a file's contents as a data URL; `kind` is its type, such as "image/webp"."""
    return f"data:{kind};base64,{base64.b64encode(values).decode('ascii')}"


def encode(
    image: npt.NDArray[np.float32], upper: float, quality: int, colours: bool = False
) -> str:
    """Encode an image (height, width) from 0 to `upper`, in grey or `colours`, as WebP data URL."""
    levels = np.clip(np.rint(image * (255 / upper)), 0, 255).astype(np.uint8)
    picture = Image.fromarray(colour_table()[levels] if colours else levels)
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=quality)
    return data_address(stream.getvalue(), "image/webp")
