"""A blind comparison: images without names, in an order that only the key file tells."""

from __future__ import annotations

from string import ascii_uppercase

import numpy as np

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.reporting.shown import Shown
from fastmri_clgnet.reporting.slices import Choice, ShownVolume


def hide(shown: Shown) -> tuple[Shown, dict[str, dict[str, str]]]:
    """Call each volume's reconstructions A, B and so on, in random order; say which is which.

    Raises an `InputError` if there are fewer than two.
    """
    random = np.random.default_rng()
    volumes: dict[str, ShownVolume] = {}
    names: dict[str, dict[str, str]] = {}
    for file, volume in shown.volumes.items():
        methods = list(volume.reconstructions)
        if not 2 <= len(methods) <= len(ascii_uppercase):
            raise InputError(f"{file}: a blind comparison needs several reconstructions")
        order = [methods[i] for i in random.permutation(len(methods))]
        names[file] = dict(zip(ascii_uppercase, order, strict=False))
        volumes[file] = volume._replace(
            reconstructions={
                letter: volume.reconstructions[method] for letter, method in names[file].items()
            },
            slice_ssim={},
            blind=True,
        )
    places = dict.fromkeys((choice.file, choice.slice_index) for choice in shown.choices)
    choices = [Choice(f"case {i}", *place) for i, place in enumerate(places, 1)]
    return Shown([], None, choices, volumes), names
