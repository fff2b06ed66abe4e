"""Means over volumes with bootstrap confidence intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import stats

from fastmri_clgnet.evaluation.metrics import METRICS, VolumeMetrics
from fastmri_clgnet.tables import QUALITY, format_value

ALL = "all"  # the group of all acquisitions
FEW = 5  # volumes; a bootstrap of fewer has hardly any different means to draw from


@dataclass(frozen=True)
class Summary:
    """Mean over n volumes, their standard deviation (n - 1), and the mean's confidence interval."""

    mean: float
    std: float | None  # None for a single volume, as are the interval's ends
    low: float | None
    high: float | None
    n: int


# by group ("all" or an acquisition), method and metric
Summaries = dict[str, dict[str, dict[str, Summary]]]


def summarise(values: Sequence[float], confidence: float, resamples: int, seed: int) -> Summary:
    """Mean, spread and confidence interval: Efron's percentile bootstrap over volumes."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return Summary(float(array.mean()), None, None, None, len(array))
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
    """Summaries of every method, and of (method - first method) over the volumes of both."""
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


def caution(*summaries: Summaries) -> str | None:
    """A sentence about intervals over few volumes, if there are any."""
    groups = [group for each in summaries for group in each.values()]
    every = [one for group in groups for values in group.values() for one in values.values()]
    if any(one.low is not None and one.n < FEW for one in every):
        return (
            f"An interval over fewer than {FEW} volumes says hardly anything about other volumes."
        )
    return None


def summary_cells(summaries: Summaries, sign: str = "") -> list[list[str]]:
    """A head and a row for each group and method, with cells such as "0.0123 [0.0101, 0.0150]"."""
    columns = {name: QUALITY[name.lower()] for name in METRICS}
    rows = [["volumes", "method", "n", *columns.values()]]
    for group, methods in summaries.items():
        for method, values in methods.items():
            cells = []
            for name, column in columns.items():
                numbers = (values[name].mean, values[name].low, values[name].high)
                mean, low, high = (format_value(column, number, sign) for number in numbers)
                cells.append(mean if values[name].low is None else f"{mean} [{low}, {high}]")
            rows.append([group, method, str(values[METRICS[0]].n), *cells])
    return rows
