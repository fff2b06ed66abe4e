"""Results of an evaluation: metrics of volumes, their means, and tables of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fastmri_clgnet.tables import QUALITY, format_value

Metric = Literal["nmse", "psnr", "ssim", "haarpsi", "gmsd", "hfen", "residual"]
Convention = Literal["fastmri", "slice", "both"]
DEFAULT_METRICS: tuple[Metric, ...] = ("nmse", "psnr", "ssim")
METRICS = ("NMSE", "PSNR", "SSIM")  # those of the host's METRIC_FUNCS that are shown
COLUMNS = {  # headings of all metrics that can be shown, by the names of their values
    **{name: QUALITY[name.lower()] for name in METRICS},
    **{name: name for name in ("HaarPSI", "GMSD", "HFEN", "residual")},
}
OF_SLICES = "slice "  # before the names of values of the convention "slice"
FEW = 5  # volumes; with fewer, the bootstrap means take hardly any different values


@dataclass(frozen=True)
class VolumeMetrics:
    """Metrics of one reconstructed volume."""

    method: str  # the prediction folder's label
    file: str
    acquisition: str
    values: dict[str, float]  # as in fastMRI: MSE, NMSE, PSNR (dB), SSIM; and others of COLUMNS
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
    if every and all(one.n == 1 for one in every):
        return "One volume: no interval. A larger validation split gives some (convert --split)."
    return None


def summary_cells(
    summaries: Summaries, sign: str = "", columns: Mapping[str, str] = COLUMNS
) -> list[list[str]]:
    """Return a header and a row per group and method; cells are like "0.0123 [0.0101, 0.0150]"."""
    first = next((each for methods in summaries.values() for each in methods.values()), columns)
    kinds = {name: name.removeprefix(OF_SLICES) for name in first}
    texts = {name: columns[kind] for name, kind in kinds.items() if kind in columns}
    headings = [name.replace(kinds[name], text) for name, text in texts.items()]
    rows = [["volumes", "method", "n", *headings]]
    for group, methods in summaries.items():
        for method, values in methods.items():
            cells = []
            for name, column in texts.items():
                numbers = (values[name].mean, values[name].low, values[name].high)
                mean, low, high = (format_value(column, number, sign) for number in numbers)
                cells.append(mean if values[name].low is None else f"{mean} [{low}, {high}]")
            rows.append([group, method, str(values[next(iter(texts))].n), *cells])
    return rows
