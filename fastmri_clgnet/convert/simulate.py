"""k-space of magnitude images: their phase, coils and noise are simulated, and said to be."""

from __future__ import annotations

import argparse

import fastmri
import numpy as np
import numpy.typing as npt
import torch

from fastmri_clgnet.data.phantom import coil_sensitivities, smooth_phase
from fastmri_clgnet.errors import InputError

PERCENTILE = 99  # of the volume, which the noise is relative to


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the simulation."""
    group = parser.add_argument_group("simulation, of magnitude images alone")
    group.add_argument(
        "--noise",
        type=float,
        default=0.01,
        help="standard deviation of each part of the complex noise, relative to the volume's "
        f"{PERCENTILE}th percentile",
    )
    group.add_argument(
        "--coils",
        type=int,
        default=1,
        help="simulated receiver coils; 1: single-coil data with a smooth phase",
    )


def simulate_kspace(
    magnitude: npt.NDArray[np.floating], name: str, args: argparse.Namespace
) -> tuple[npt.NDArray[np.complex64], dict[str, str | int | float]]:
    """Give magnitude images a smooth phase or coil sensitivities, and noise; transform them.

    Args:
        magnitude: (slices, height, width), not negative.
        name: The volume's name, which with the seed settles what is drawn.
        args: With noise, coils and seed.

    Returns:
        Centred orthonormal k-space, (slices, [coils,] height, width) complex64, and the attributes
        that say what was simulated.

    Raises:
        InputError: If noise or coils make no sense.
    """
    if args.noise < 0 or args.coils < 1:
        raise InputError(
            f"--noise {args.noise:g} --coils {args.coils}: expected noise of 0 or more and coils "
            "of 1 or more"
        )
    rng = np.random.default_rng([args.seed, *name.encode()])
    single = args.coils == 1
    height, width = magnitude.shape[-2:]
    y, x = np.meshgrid(
        (np.arange(height) - height // 2) / height,
        (np.arange(width) - width // 2) / width,
        indexing="ij",
    )
    maps = (smooth_phase(rng) if single else coil_sensitivities(rng, args.coils))(y, x)
    if single:
        maps /= np.abs(maps)  # its series is cut off
    deviation = args.noise * float(np.percentile(magnitude, PERCENTILE))
    kspace = np.empty((len(magnitude), *maps.shape), np.complex64)
    for i, image in enumerate(magnitude):
        noise = rng.normal(scale=deviation, size=(2, *maps.shape))
        coils = torch.from_numpy(image * maps + noise[0] + 1j * noise[1])
        kspace[i] = torch.view_as_complex(fastmri.fft2c(torch.view_as_real(coils))).numpy()
    what = "phase" if single else "coil sensitivities"
    return kspace[:, 0] if single else kspace, {
        "simulated": f"k-space of magnitude images: {what} and noise are simulated",
        "simulated_noise": args.noise,
        "simulated_coils": args.coils,
        "simulated_seed": args.seed,
    }
