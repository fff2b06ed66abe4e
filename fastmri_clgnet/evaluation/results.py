"""What an evaluation gives: metrics of volumes, their means, and the tables of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastmri_clgnet.tables import QUALITY, format_value

METRICS = ("NMSE", "PSNR", "SSIM")  # those that are shown, of the host's METRIC_FUNCS
COLUMNS = {name: QUALITY[name.lower()] for name in METRICS}  # their headings
FEW = 5  # volumes; a bootstrap of fewer has hardly any different means to draw from


@dataclass(frozen=True)
class VolumeMetrics:
    """One reconstructed volume beside its reference."""

    method: str  # the prediction folder's label
    file: str
    acquisition: str
    values: dict[str, float]  # by the host's names: MSE, NMSE, PSNR (dB), SSIM
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
    """A sentence about intervals over few volumes, if there are any."""
    groups = [group for each in summaries for group in each.values()]
    every = [one for group in groups for values in group.values() for one in values.values()]
    if any(one.low is not None and one.n < FEW for one in every):
        return (
            f"An interval over fewer than {FEW} volumes says hardly anything about other volumes."
        )
    return None


def summary_cells(
    summaries: Summaries, sign: str = "", columns: Mapping[str, str] = COLUMNS
) -> list[list[str]]:
    """A head and a row for each group and method, with cells such as "0.0123 [0.0101, 0.0150]"."""
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
