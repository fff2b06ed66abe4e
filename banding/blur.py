"""The command `python -m banding.blur`: a Gaussian that takes as much energy, to compare with."""

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
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.submission import save_reconstruction

Images = npt.NDArray[np.float32]
_NARROWEST = 1e-3  # pixels: does nothing


@dataclass(frozen=True)
class Blurred:
    """What was blurred; `str()` says by how much.

    Example:
        >>> print(Blurred(Path("BLURRED"), {"a.h5": 0.8}))
        Written to BLURRED; standard deviation of the Gaussian in pixels:
        a.h5  0.80
    """

    output: Path
    sigma: dict[str, float]  # by file, in pixels

    def __str__(self) -> str:
        lines = [f"{name}  {sigma:.2f}" for name, sigma in self.sigma.items()]
        title = f"Written to {self.output}; standard deviation of the Gaussian in pixels:"
        return "\n".join([title, *lines])


def blur_to(images: Images, energy: float, reference: Images) -> tuple[Images, float]:
    """Blur images across the bands until their energy is so low.

    Args:
        images: (slices, height, width).
        energy: The wanted E_pe + E_ro of `banding_energies`.
        reference: Images of that shape that say where the signal is low.

    Returns:
        The images, convolved along the width with a Gaussian, and its standard deviation in pixels:
        0 where the energy is low enough already, that of least energy where none is enough.
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
    # wide ones add energy again: bright structures reach into the low signal beside them
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
    """Blur reconstructions as far as a fine-tuning took energy, for comparison with it.

    A method against bands has to do better than a Gaussian along the phase encoding, which takes
    bands away, too, with the detail that lies in that direction. Give all three folders to
    banding.score and to report.

    Args:
        before: Folder of reconstructions before.
        after: Folder of reconstructions of the same volumes after the fine-tuning; their energy
            E_pe + E_ro is what is aimed at, volume by volume.
        output: Folder for the blurred ones of before.
        target_path: Folder of the fully sampled volumes, which say where the signal is low.
            Default: before says it.

    Returns:
        By how much each volume was blurred.

    Raises:
        InputError: If there are no files, or one cannot be used; names it.
    """
    before, after, output = Path(before), Path(after), Path(output)
    reference = before if target_path is None else Path(target_path)
    names = sorted(path.name for path in before.glob("*.h5"))
    if not names:
        raise InputError(f"{before}: no *.h5 files; expected a folder of reconstructions")
    if output.resolve() in (before.resolve(), after.resolve(), reference.resolve()):
        raise InputError(f"{output}: would be overwritten; give another folder")
    found = {}
    for name in tqdm(names, "Blurring", unit="volume", delay=2, leave=False):
        images, goal, where = (images_of(each / name) for each in (before, after, reference))
        try:
            energy = sum(banding_energies(torch.from_numpy(goal), torch.from_numpy(where)))
            blurred, sigma = blur_to(images, float(energy), where)
        except ValueError as error:
            raise InputError(f"{before / name}: {error}") from error
        settings = {"blurred": str(before / name), "sigma": sigma}
        save_reconstruction(output / name, blurred, settings)
        found[name] = sigma
    return Blurred(output, found)


main = partial(
    cli.run, blur, positional=["before", "after", "output"], prog="python -m banding.blur"
)


if __name__ == "__main__":
    sys.exit(main())
