"""How images are changed in the benchmark of robustness, and what comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.signal import resample
from tqdm import tqdm

from fastmri_clgnet.benchmarks.weights_pictures import ready_networks
from fastmri_clgnet.data.folders import challenge_of, list_files
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.metrics import read_images, volume_metrics
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.formats.simulate import Simulation
from fastmri_clgnet.inference.applying import reconstruct_slices
from fastmri_clgnet.inference.scan import undersample
from fastmri_clgnet.tables import Row, quality

Images = npt.NDArray[np.floating]


def _resampled(images: Images, height: int, width: int) -> Images:
    """Images of that size, by their Fourier series; not negative."""
    return np.asarray(resample(resample(images, height, axis=1), width, axis=2)).clip(min=0)


def resized(images: Images, pixels: int) -> Images:
    """Resample images (slices, height, width) to `pixels` x `pixels`, by their Fourier series."""
    return _resampled(images, pixels, pixels)


def enlarged(images: Images) -> Images:
    """Show the central half of images in both directions, at the same number of pixels."""
    height, width = images.shape[1:]
    top, left = height // 2, width // 2
    large = _resampled(images, 2 * height, 2 * width)
    return large[:, top : top + height, left : left + width]


def transposed(images: Images) -> Images:
    """Exchange rows and columns: the phase encoding is in the other direction."""
    return np.swapaxes(images, 1, 2)


def with_gamma(images: Images, gamma: float) -> Images:
    """Change the contrast: each value relative to the largest one, to the power of gamma."""
    largest = images.max()
    return np.asarray(largest * (images / largest) ** gamma)


class Difference(NamedTuple):
    """One way in which images differ from a folder's.

    Args:
        change: Of magnitude images (slices, height, width); None leaves them as they are.
        simulation: How their k-space is made.
    """

    change: Callable[[Images], Images] | None = None
    simulation: Simulation = Simulation()


DIFFERENCES = {
    "as it is": Difference(),
    **{f"{n} x {n} pixels": Difference(partial(resized, pixels=n)) for n in (180, 320, 512)},
    "enlarged twice": Difference(enlarged),
    "transposed": Difference(transposed),
    **{f"gamma {gamma}": Difference(partial(with_gamma, gamma=gamma)) for gamma in (0.5, 2)},
    **{
        f"noise {part:.0%}": Difference(simulation=Simulation(noise=part))
        for part in (0.03, 0.1)
    },
    **{f"{n} coils": Difference(simulation=Simulation(coils=n)) for n in (4, 8, 16)},
}  # fmt: skip


def robustness_rows(
    data_path: Path, files: Mapping[str, Path], every: int, mask: Mask, device: str
) -> tuple[dict[str, Row], list[str]]:
    """Return a row for each of `DIFFERENCES` and each of the weights, and what cannot be used."""
    key = TARGET_KEYS[challenge_of(data_path)]
    paths = list_files(data_path)
    networks = ready_networks(files)
    found = defaultdict[str, list[dict[str, float]]](list)
    left_out: list[str] = []

    @contextmanager
    def attempt(what: str) -> Iterator[None]:
        try:
            yield
        except InputError as error:  # an unusable volume, or weights of one coil
            left_out.append(f"{what} ({error})")

    with tqdm(total=len(DIFFERENCES) * len(paths), desc="Robustness", unit="volume") as progress:
        for path in paths:
            with attempt(path.name):
                images = read_images(path, key)[::every]
                for name, (change, simulation) in DIFFERENCES.items():
                    with attempt(f"{path.name}, {name}"):
                        changed = images if change is None else change(images)
                        scan = simulation.simulated(path, changed, [0])._replace(name=path.name)
                        sampled = undersample(scan, mask)
                        assert sampled.reference is not None
                        for label, network in networks.items():
                            with attempt(f"{label}, {name}"):
                                image = reconstruct_slices(network, sampled, device, 1, "32-true")
                                values = volume_metrics(sampled.reference, image)[0]
                                found[f"{name}, {label}"].append(quality(values))
                    progress.update()
    rows: dict[str, Row] = {
        name: {column: float(np.mean([one[column] for one in values])) for column in values[0]}
        for name, values in found.items()
    }
    if not rows:
        raise InputError(left_out[0])
    return rows, left_out
