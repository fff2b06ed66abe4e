"""Means over volumes with bootstrap confidence intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from fastmri_clgnet.evaluation.metrics import VolumeMetrics

ALL = "all"  # the group of all acquisitions


class Bootstrap(NamedTuple):
    """How confidence intervals are made: the percentile bootstrap over volumes.

    Args:
        confidence: Level of the interval, between 0 and 1.
        resamples: Number of bootstrap samples.
        seed: Of the resampling; the same seed and data give the same interval.
    """

    confidence: float = 0.95
    resamples: int = 10_000
    seed: int = 0


class Summary(NamedTuple):
    """Mean over volumes.

    Args:
        mean: The mean.
        std: Standard deviation of the volumes (n - 1); None for a single volume.
        low: Lower end of the mean's confidence interval; None for a single volume.
        high: Upper end.
        n: Number of volumes.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    n: int


def summarise(values: Sequence[float], bootstrap: Bootstrap) -> Summary:
    """Mean, spread and confidence interval.

    Args:
        values: One a volume.
        bootstrap: How to make the interval.

    Returns:
        The summary. The interval is that of Efron's percentile method, which knows of the volumes
        alone: repeated scans of one patient are not independent, and make it too narrow.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return Summary(float(array.mean()), None, None, None, len(array))
    interval = stats.bootstrap(
        (array,),
        np.mean,
        n_resamples=bootstrap.resamples,
        confidence_level=bootstrap.confidence,
        method="percentile",
        batch=min(bootstrap.resamples, 1000),
        rng=np.random.default_rng(bootstrap.seed),
    ).confidence_interval
    return Summary(
        float(array.mean()),
        float(array.std(ddof=1)),
        float(interval.low),
        float(interval.high),
        len(array),
    )


# by group ("all" or an acquisition), method and metric
Summaries = dict[str, dict[str, dict[str, Summary]]]


def by_group(volumes: Iterable[VolumeMetrics]) -> dict[str, list[VolumeMetrics]]:
    """All volumes, then those of each acquisition, if there are several."""
    groups: dict[str, list[VolumeMetrics]] = {ALL: []}
    for volume in sorted(volumes, key=lambda each: each.acquisition):
        groups[ALL].append(volume)
        groups.setdefault(volume.acquisition, []).append(volume)
    return groups if len(groups) > 2 else {ALL: groups[ALL]}


def summarise_methods(
    volumes: Iterable[VolumeMetrics], methods: Sequence[str], bootstrap: Bootstrap
) -> Summaries:
    """Summarise every metric of every method in every group.

    Args:
        volumes: Of all methods.
        methods: In the order to show.
        bootstrap: How to make intervals.

    Returns:
        Summaries by group, method and metric; methods without volumes are left out.
    """
    summaries: Summaries = {}
    for group, members in by_group(volumes).items():
        summaries[group] = {}
        for method in methods:
            own = [volume.values for volume in members if volume.method == method]
            if own:
                summaries[group][method] = {
                    metric: summarise([values[metric] for values in own], bootstrap)
                    for metric in own[0]
                }
    return summaries


def paired_differences(
    volumes: Iterable[VolumeMetrics], methods: Sequence[str], bootstrap: Bootstrap
) -> Summaries:
    """Compare every method with the first, volume by volume.

    Args:
        volumes: Of all methods.
        methods: The first is what the others are compared with.
        bootstrap: How to make intervals; here the differences are resampled.

    Returns:
        Of (method - first method), by group, method and metric, over the volumes that both have.
    """
    differences: Summaries = {}
    for group, members in by_group(volumes).items():
        differences[group] = {}
        first = {volume.file: volume.values for volume in members if volume.method == methods[0]}
        for method in methods[1:]:
            pairs = [
                (volume.values, first[volume.file])
                for volume in members
                if volume.method == method and volume.file in first
            ]
            if pairs:
                differences[group][method] = {
                    metric: summarise(
                        [one[metric] - other[metric] for one, other in pairs], bootstrap
                    )
                    for metric in pairs[0][0]
                }
    return differences
