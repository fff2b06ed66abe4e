"""The command `python -m banding.blur`: blurs reconstructions to the same energy, to compare."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import brentq
from tqdm import tqdm

from banding.metrics import WINDOW, banding_energies
from banding.score import images_of
from fastmri_clgnet import cli
from fastmri_clgnet.errors import InputError, failure
from fastmri_clgnet.inference.submission import read_settings, save_reconstruction

Images = npt.NDArray[np.float32]
_NARROWEST = 1e-3  # pixels: changes nothing


@dataclass(frozen=True)
class Blurred:
    """The result of `blur`; `str()` gives the width of each volume's Gaussian.

    Example:
        >>> print(Blurred(Path("BLURRED"), {"a.h5": 0.8}, []))
        Written to BLURRED; standard deviation of the Gaussian in pixels:
        a.h5  0.80
    """

    output: Path
    sigma: dict[str, float]  # by file, in pixels
    failures: list[str]  # one message for each file that could not be blurred

    def __str__(self) -> str:
        if not self.sigma:
            return "No volume could be blurred."
        lines = [f"{name}  {sigma:.2f}" for name, sigma in self.sigma.items()]
        title = f"Written to {self.output}; standard deviation of the Gaussian in pixels:"
        return "\n".join([title, *lines])


def blur_to(images: Images, energy: float, reference: Images) -> tuple[Images, float]:
    """Blur images across the bands until their energy falls to a value.

    Args:
        images: (slices, height, width).
        energy: The requested E_pe + E_ro of `banding_energies`.
        reference: Images of the same shape that define where the signal is low.

    Returns:
        The images, convolved along the width with a Gaussian, and its standard deviation in pixels.
        This is 0 if the energy is low enough already, and that of least energy if none is enough.
    """
    where = torch.from_numpy(reference)

    def blurred(sigma: float) -> Images:
        result: Images = gaussian_filter1d(images, sigma, axis=-1)
        return result

    def excess(sigma: float) -> float:
        found = sum(banding_energies(torch.from_numpy(blurred(sigma)), where))
        return float(found) - energy

    if excess(_NARROWEST) <= 0:
        return images, 0.0
    # wide Gaussians add energy again: bright structures spread into regions of low signal
    tried = {_NARROWEST: math.inf}
    for sigma in np.geomspace(0.25, WINDOW, 12).tolist():
        tried[sigma] = excess(sigma)
        if tried[sigma] <= 0:
            narrower = list(tried)[-2]
            found = float(brentq(excess, narrower, sigma, xtol=1e-3))
            return blurred(found), found
    best = min(tried, key=lambda sigma: tried[sigma])
    return blurred(best), best


def blur(
    before: Path | str,
    after: Path | str,
    output: Path | str,
    *,
    target_path: Path | str | None = None,
) -> Blurred:
    """Blur reconstructions until their energy is that after a fine-tuning, for comparison.

    A Gaussian along the phase encoding also removes bands, with all detail in that direction, and a
    fine-tuning should do better. Compare all three folders by banding.score and report. Files that
    cannot be used are named, and the others are blurred.

    Args:
        before: Folder of reconstructions before the fine-tuning.
        after: Folder of reconstructions of the same volumes after it; each volume is blurred to
            their energy E_pe + E_ro.
        output: Folder for the blurred volumes of before.
        target_path: Folder of the fully sampled volumes of the same names, which define where the
            signal is low. By default those of before do.

    Returns:
        The width of each volume's Gaussian, and what is wrong with the other files.

    Raises:
        InputError: If there are no files, or output is one of the other folders, or holds
            reconstructions that were made otherwise.
    """
    before, after, output = Path(before), Path(after), Path(output)
    reference = before if target_path is None else Path(target_path)
    names = sorted(path.name for path in before.glob("*.h5"))
    if not names:
        raise InputError(f"{before}: no *.h5 files; expected a folder of reconstructions")
    if output.resolve() in (before.resolve(), after.resolve(), reference.resolve()):
        raise InputError(f"{output}: would be overwritten; give another folder")
    for path in (output / name for name in names):
        if path.exists() and "blurred" not in (read_settings(path) or {}):
            raise InputError(f"{path}: was not written by this command; give another output")
    found, failures = {}, []
    for name in tqdm(names, "Blurring", unit="volume", delay=2, leave=False):
        try:
            images, goal, where = (images_of(each / name) for each in (before, after, reference))
            energy = sum(banding_energies(torch.from_numpy(goal), torch.from_numpy(where)))
            blurred, sigma = blur_to(images, float(energy), where)
        except Exception as error:
            failures.append(failure(before / name, error))
            continue
        settings = {"blurred": str(before / name), "sigma": sigma}
        save_reconstruction(output / name, blurred, settings)
        found[name] = sigma
    return Blurred(output, found, failures)


main = partial(
    cli.run, blur, positional=["before", "after", "output"], prog="python -m banding.blur"
)


if __name__ == "__main__":
    sys.exit(main())
