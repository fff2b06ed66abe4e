"""Means over volumes with bootstrap confidence intervals, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from scipy import stats

from fastmri_clgnet.evaluation.results import Summaries, Summary, VolumeMetrics

ALL = "all"  # the group of all acquisitions


def summarise(values: Sequence[float], confidence: float, resamples: int, seed: int) -> Summary:
    """Compute mean, spread and confidence interval by Efron's percentile bootstrap over volumes.

    NaN, a volume in which a metric could not be measured, is left out.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    if len(array) < 2:
        mean = float(array.mean()) if len(array) else math.nan
        return Summary(mean, None, None, None, len(array))
    interval = stats.bootstrap(
        (array,),
        np.mean,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        batch=min(resamples, 1000),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    return Summary(float(array.mean()), float(array.std(ddof=1)), low, high, len(array))


def summarise_methods(
    volumes: Sequence[VolumeMetrics],
    methods: Sequence[str],
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[Summaries, Summaries]:
    """Summarise every method, and (method - first method) over the volumes that both have."""
    volumes = sorted(volumes, key=lambda volume: volume.acquisition)
    first = {volume.file: volume.values for volume in volumes if volume.method == methods[0]}
    differences = [
        replace(
            volume,
            values={
                name: value - first[volume.file][name] for name, value in volume.values.items()
            },
        )
        for volume in volumes
        if volume.method != methods[0] and volume.file in first
    ]
    acquisitions = list(dict.fromkeys(volume.acquisition for volume in volumes))
    groups = [ALL, *(acquisitions if len(acquisitions) > 1 else [])]

    def summaries(members: Sequence[VolumeMetrics]) -> Summaries:
        found: Summaries = {group: {} for group in groups}
        for group, method in product(groups, methods):
            own = [
                volume.values
                for volume in members
                if volume.method == method and group in (ALL, volume.acquisition)
            ]
            if own:
                found[group][method] = {
                    name: summarise([values[name] for values in own], confidence, resamples, seed)
                    for name in own[0]
                }
        return found

    return summaries(volumes), summaries(differences)
