"""Results of an evaluation: metrics of volumes, their means, and tables of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastmri_clgnet.tables import QUALITY, format_value

METRICS = ("NMSE", "PSNR", "SSIM")  # those of the host's METRIC_FUNCS that are shown
COLUMNS = {name: QUALITY[name.lower()] for name in METRICS}  # their headings
FEW = 5  # volumes; with fewer, the bootstrap means take hardly any different values


@dataclass(frozen=True)
class VolumeMetrics:
    """Metrics of one reconstructed volume."""

    method: str  # the prediction folder's label
    file: str
    acquisition: str
    values: dict[str, float]  # named as in fastMRI: MSE, NMSE, PSNR (dB), SSIM
    slice_ssim: list[float]  # relative to the volume's largest value; its mean is SSIM


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


def caution(*summaries: Summaries) -> str | None:
    """Return a warning if an interval is over few volumes, else None."""
    groups = [group for each in summaries for group in each.values()]
    every = [one for group in groups for values in group.values() for one in values.values()]
    if any(one.low is not None and one.n < FEW for one in every):
        return f"Intervals over fewer than {FEW} volumes say little about other volumes."
    return None


def summary_cells(
    summaries: Summaries, sign: str = "", columns: Mapping[str, str] = COLUMNS
) -> list[list[str]]:
    """Return a header and a row per group and method; cells are like "0.0123 [0.0101, 0.0150]"."""
    rows = [["volumes", "method", "n", *columns.values()]]
    for group, methods in summaries.items():
        for method, values in methods.items():
            cells = []
            for name, column in columns.items():
                numbers = (values[name].mean, values[name].low, values[name].high)
                mean, low, high = (format_value(column, number, sign) for number in numbers)
                cells.append(mean if values[name].low is None else f"{mean} [{low}, {high}]")
            rows.append([group, method, str(values[next(iter(columns))].n), *cells])
    return rows
