"""How data differ from what weights were trained on: of one scan, and of a folder's volumes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import words
from fastmri_clgnet.formats.fastmri_reading import VolumeInfo
from fastmri_clgnet.formats.scan import Scan, acceleration
from fastmri_clgnet.inference.network import Network

# how much the acceleration of a scan may differ from those of the training
_SIMILAR = (0.75, 1.34)
_CONTRASTS = ("FLAIR", "T2", "T1", "PD")  # what is looked for in a sequence's name, in this order
_OUTSIDE = "outside of what the weights were trained on"
_NAMED = 3  # volumes that a warning of a folder names; it counts the others


class _Volume(Protocol):
    """What a scan and a file of a folder have in common."""

    @property
    def challenge(self) -> str: ...
    @property
    def acquisition(self) -> str: ...


def out_of_domain(network: Network, scan: Scan) -> str | None:
    """How a scan differs from what weights were trained on, in one line; None if not."""
    factors = None if scan.mask is None else [scan.acceleration()]
    found = _differences(network, scan, factors, "simulated" in scan.attributes)
    return f"{scan.name}: {_OUTSIDE}: {'; '.join(found)}" if found else None


def folder_out_of_domain(
    network: Network, volumes: Sequence[VolumeInfo], mask: Mask | None
) -> list[str]:
    """How volumes differ from what weights were trained on: a line for each way, which names them.

    Args:
        network: Says what it was trained on.
        volumes: Of one folder.
        mask: What undersamples them, whose accelerations count; None takes their own masks.
    """
    names = defaultdict[str, list[str]](list)
    for volume in volumes:
        factors = None if mask is None else [float(factor) for factor in mask.accelerations]
        if mask is None and volume.mask is not None:
            factors = [acceleration(volume.sampled())]
        for difference in _differences(network, volume, factors, volume.simulated):
            names[difference].append(volume.path.name)
    lines = []
    for difference, found in names.items():
        more = len(found) - _NAMED
        named = ", ".join(found[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        which = "all volumes" if len(found) == len(volumes) > 1 else named
        lines.append(f"{_OUTSIDE}: {difference}: {which}")
    return lines


def _differences(
    network: Network, volume: _Volume, factors: Sequence[float] | None, simulated: bool
) -> list[str]:
    """Each way in which a volume differs; its accelerations are None if all was measured."""
    trained: Mapping[str, Any] = getattr(network, "trained_on", None) or {}
    differences = []
    challenge = trained.get("challenge", volume.challenge)
    if challenge != volume.challenge:
        differences.append(f"{volume.challenge} data (trained on {challenge})")
    known = [float(factor) for factor in trained.get("accelerations", ())]
    if known:
        low, high = _SIMILAR[0] * min(known), _SIMILAR[1] * max(known)
        if others := [one for one in (factors or [1.0]) if not low <= one <= high]:
            what = (
                "full sampling"
                if factors is None
                else f"acceleration {words(f'{one:.2g}' for one in others)} in all, with the centre"
            )
            differences.append(f"{what} (trained on {words(f'{one:g}' for one in known)})")
    contrasts = {_contrast(name) for name in trained.get("acquisitions", ())} - {None}
    contrast = _contrast(volume.acquisition)
    if contrasts and contrast is not None and contrast not in contrasts:
        trained_on = words(sorted(map(str, contrasts)))
        differences.append(f"contrast {contrast} (trained on {trained_on})")
    if trained.get("simulated") and not simulated:
        differences.append("measured k-space (trained on simulated k-space)")
    return differences


def _contrast(name: str) -> str | None:
    """The contrast that a sequence's name says, such as AXT2 or t1_mprage."""
    for contrast in _CONTRASTS:
        if re.search(contrast, name, re.IGNORECASE):
            return contrast
    return None
