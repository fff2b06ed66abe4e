"""Draws the figures of the results and writes their tables, from the JSON files beside this script.

`python docs/figures/draw.py` writes images/*.svg, and in the pages all that stands between
`<!-- FILE.json KIND ... -->` and `<!-- end -->`, so that a number in text, table and figure is one
number. It also breaks long commands. The files have the form that
`python -m fastmri_clgnet.benchmark` writes: sections with a title and rows. A file that is missing
leaves its figures and tables out.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastmri_clgnet.benchmarks.ablation import NAMES
from fastmri_clgnet.tables import LABELS, format_table, format_value, make_cells

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
IMAGES = ROOT / "images"
CARDS = sorted((ROOT / "fastmri_clgnet" / "weights").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *CARDS]
WIDTH = 88  # characters of a command's line
NO_BREAK = "\N{NO-BREAK SPACE}"  # keeps the numbers of a cell in one line
FAR = 2.0  # dB by which zero-filling would squeeze a figure

PSNR, SEEDS = "PSNR (dB)", "PSNR by seed (dB)"
CASES = {
    "4x_random": "random, 4x",
    "4x_equispaced": "equispaced, 4x",
    "4x_magic": "magic, 4x",
    "8x_random": "random, 8x",
}
DECIMALS = {
    "score": 3,
    "energy (target: 1)": 1,
    "adversary's accuracy": 2,
    "time of a step (s)": 1,
}  # of columns that the benchmarks' tables do not have

# legible on white and on black
GREY = "#7a7a7a"
COLOURS = ("#2f86d6", "#e07b00", "#2a9d62", "#b05cc6")
MARKERS = "osD^"
STYLE: Any = {
    "font.size": 10,
    "svg.hashsalt": "fastmri_clgnet",
    "savefig.transparent": True,
    **{f"{name}.color": GREY for name in ("text", "xtick", "ytick")},
    **{f"axes.{name}color": GREY for name in ("label", "edge")},
    "axes.spines.top": False,
    "axes.spines.right": False,
}

Data = Mapping[str, Any]  # a JSON file
Rows = Mapping[str, Mapping[str, Any]]


class Spread(NamedTuple):
    """The mean of a figure over seeds, the lowest and the highest."""

    mean: float
    low: float
    high: float


def spread(row: Mapping[str, Any]) -> Spread:
    """Return a row's PSNR, as the benchmarks write it or as values of seeds."""
    seeds = row.get(SEEDS) or [row[PSNR]]
    low, high = row.get("lowest") or min(seeds), row.get("highest") or max(seeds)
    return Spread(row.get(PSNR) or mean(seeds), low, high)


def sections(data: Data) -> dict[str, Rows]:
    """Return the tables of a file, by name."""
    tables = {key: value for key, value in data.items() if isinstance(value, Mapping)}
    return {key: value["rows"] for key, value in tables.items() if "rows" in value}


def names_of(data: Data) -> dict[str, str]:
    """Return the names of rows."""
    return {**LABELS, **NAMES, **data.get("names", {})}


# figures


def dots(series: Mapping[str, Mapping[str, Spread]]) -> Figure:
    """Draw a point for each row and series, with a line from the lowest to the highest seed.

    Zero-filling far below all others is written under the axis instead.
    """
    [first, *_], zero = series.values(), LABELS["zero_filled"]
    others = [
        value.low for rows in series.values() for label, value in rows.items() if label != zero
    ]
    apart = len(series) == 1 and zero in first and first[zero].mean < min(others) - FAR
    note = f"   ({zero}: {first[zero].mean:.2f})" if apart else ""
    labels = list(dict.fromkeys(label for rows in series.values() for label in rows))
    if apart:
        labels.remove(zero)
        series = {name: {label: rows[label] for label in labels} for name, rows in series.items()}
    figure = Figure(figsize=(6.4, 0.36 * len(labels) + 1.0), layout="constrained")
    axis = figure.subplots()
    for index, (name, rows) in enumerate(series.items()):
        colour, marker = COLOURS[index], MARKERS[index]
        for label, value in rows.items():
            y = labels.index(label) + 0.16 * (index - (len(series) - 1) / 2)
            axis.plot([value.low, value.high], [y, y], color=colour, lw=2, alpha=0.6)
            axis.plot(value.mean, y, marker, color=colour, ms=6)
            if len(series) == 1:
                text = f"{value.mean:.2f}"
                axis.annotate(
                    text, (value.high, y), (6, 0), textcoords="offset points", va="center"
                )
        axis.plot([], [], marker, color=colour, label=name)
    axis.set(xlabel=f"{PSNR}{note}", ylim=(len(labels) - 0.4, -0.6))
    axis.set_yticks(range(len(labels)), labels)
    axis.margins(x=0.08)
    axis.grid(axis="x", color=GREY, alpha=0.25)
    axis.tick_params(length=0)
    if len(series) > 1:
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def by_row(data: Data) -> Figure:
    """Draw the PSNR of each row; several tables of a file are series."""
    names = names_of(data)
    series = {
        key: {names.get(name, name): spread(row) for name, row in rows.items()}
        for key, rows in sections(data).items()
    }
    return dots(series)


def by_case(data: Data) -> Figure:
    """Draw the PSNR of each method; kinds of masks are series."""
    values = {case: {} for case in CASES}  # type: dict[str, dict[str, Spread]]
    for case, method, row in cases(data):
        values[case][method] = Spread(*[row[PSNR]] * 3)
    return dots({CASES[case]: rows for case, rows in values.items()})


def networks(data: Data) -> Figure:
    """Draw the PSNR of each network with its spread, in the order of their means."""
    [rows] = sections(data).values()
    values = {name: spread(row) for name, row in rows.items()}
    ordered = sorted(values.items(), key=lambda item: -item[1].mean)
    names = names_of(data)
    return dots({"": {names.get(name, name): value for name, value in ordered}})


def sizes(data: Data) -> Figure:
    """Draw the PSNR of each size against the minutes of training, and the time of an image.

    The file is of `benchmark sizes`: a table for each budget.
    """
    tables = {float(key.split()[0]): rows for key, rows in sections(data).items()}
    families: dict[str, list[str]] = {}
    for name, row in tables[max(tables)].items():
        if row.get("image (s)"):
            families.setdefault(name.rsplit(" ", 1)[0], []).append(name)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    by_budget, by_image = figure.subplots(1, 2, sharey=True)
    for index, (family, names) in enumerate(families.items()):
        colour, marker = COLOURS[index], MARKERS[index]
        for size, name in enumerate(names):
            points = {minutes: spread(rows[name]) for minutes, rows in tables.items()}
            image = 1000 * tables[max(tables)][name]["image (s)"]
            ways: list[tuple[Axes, dict[float, Spread]]] = [
                (by_budget, points),
                (by_image, {image: points[max(tables)]}),
            ]
            for axis, along in ways:
                means = [value.mean for value in along.values()]
                ends = ([value.low for value in along.values()], [v.high for v in along.values()])
                axis.plot([*along], means, f"{marker}-", color=colour, ms=4 + 2 * size, alpha=0.8)
                axis.vlines([*along], *ends, color=colour)
            text = name.removeprefix(f"{family} ")
            place = (image, points[max(tables)].high)
            by_image.annotate(text, place, (0, 5), textcoords="offset points", ha="center")
        by_budget.plot([], [], f"{marker}-", color=colour, label=family)
    by_budget.set(xlabel="training (minutes)", ylabel=PSNR, xscale="log")
    by_budget.set_xticks([*tables], [f"{minutes:g}" for minutes in tables])
    by_image.set(xlabel=f"one image (ms), after {max(tables):g} minutes", xscale="log")
    ticks = [10, 20, 50, 100, 200]
    by_image.set_xticks(ticks, [f"{tick}" for tick in ticks])
    for axis in (by_budget, by_image):
        axis.minorticks_off()
        axis.margins(x=0.15, y=0.12)
        axis.grid(color=GREY, alpha=0.25)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


class Drawing(NamedTuple):
    """A figure, and the file whose numbers it shows."""

    file: str
    draw: Callable[[Data], Figure]


FIGURES = {
    "networks": Drawing("recipe", networks),
    "sizes": Drawing("sizes", sizes),
    "parts": Drawing("parts", by_row),
    "contrastive": Drawing("contrastive", by_row),
    "coils": Drawing("coils", by_row),
    "budget": Drawing("budget", by_row),
    "weights": Drawing("weights_one_coil", by_case),
    "raw_slice": Drawing("raw_slice", by_case),
}


def fingerprint(file: Path) -> str:
    """Return what a figure says of the file that it was drawn from."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


# tables and text


def cases(data: Data) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return case, method and row of `benchmark weights` or `robustness`, over all volumes.

    A section that is named by a mask has rows for groups of volumes, others have one for each case.
    """
    found = []
    for section, rows in sections(data).items():
        for key, row in rows.items():
            group, _, method = key.partition(", ")
            if section not in CASES or group == "all":
                found.append((section if section in CASES else group, method, row))
    return found


def cell(column: str, value: Any) -> str:
    """Format a value as the benchmarks do; whole numbers by thousands, seeds side by side."""
    if isinstance(value, list):
        return NO_BREAK.join(cell(PSNR, each) for each in value)
    if isinstance(value, float) and column in DECIMALS:
        return f"{value:.{DECIMALS[column]}f}"
    return f"{value:,}" if isinstance(value, int) else format_value(column, value)


def table(data: Data, section: str, only: str = "", columns: str = "") -> str:
    """Return the table of a section, or some of its rows and columns."""
    rows = data[section]["rows"]
    chosen = {name: rows[name] for name in shlex.split(only) or rows}
    all_columns = dict.fromkeys(column for row in chosen.values() for column in row)
    kept = [name.strip() for name in columns.split("|")] if columns else list(all_columns)
    extended = {
        name: {"lowest": spread(row).low, "highest": spread(row).high, **row}
        if {"lowest", "highest"} & set(kept) and row.get(SEEDS) else row
        for name, row in chosen.items()
    }  # fmt: skip
    cells = make_cells(
        {name: {key: cell(key, row.get(key)) for key in kept} for name, row in extended.items()},
        names_of(data),
    )
    return format_table(cells, markdown=True)


def pivot(data: Data, *methods: str) -> str:
    """Return PSNR and SSIM, a line for each kind of mask or images, a column for each method."""
    lines: dict[str, dict[str, str]] = {}
    for case, method, row in cases(data):
        if not methods or method in methods:
            values = f"{cell(PSNR, row[PSNR])},{NO_BREAK}{cell('SSIM', row['SSIM'])}"
            lines.setdefault(CASES.get(case, case), {})[method] = values
    complete = {case: line for case, line in lines.items() if {*methods} <= {*line}}
    return format_table(make_cells(complete), markdown=True)


def claim(data: Data) -> str:
    """Return the sentence of the file, with its numbers: `{row}`, or `{row - row}` in dB."""

    def value(name: str) -> float:
        section, _, key = name.rpartition("/")
        rows = data[section]["rows"] if section else next(iter(sections(data).values()))
        return spread(rows[key]).mean

    def fill(found: re.Match[str]) -> str:
        first, second = found.groups()
        return f"{value(first):.2f}" if second is None else f"{value(first) - value(second):.1f}"

    text = re.sub(r"\{([^{}]+?)(?: - ([^{}]+))?\}", fill, data["claim"])
    return f"**{text}**"


def figure(data: Data, path: str) -> str:
    """Return the image, and below it the claim that it shows."""
    title = next(value["title"] for value in data.values() if "title" in value)
    return f"![Figure: {title}]({path})\n\n{claim(data)}"


def command(data: Data) -> str:
    """Return the command that wrote the file, broken into lines."""
    return f"```bash\n{broken(data['command'])}\n```"


def broken(text: str, width: int = WIDTH) -> str:
    r"""Break a command with `\`, in front of flags where that is possible."""
    words = re.findall(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""", text)
    pieces: list[str] = []
    for word in words:
        new = not pieces or word.startswith("--") or word in ("&&", "|")
        if new or len(pieces[-1]) + len(word) > width - 8:
            pieces.append(word)
        else:
            pieces[-1] += f" {word}"
    indent = text[: len(text) - len(text.lstrip())]  # of what continues a line
    lines = [f"{indent}{pieces[0]}"]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"    {piece}")
        else:
            lines[-1] += f" {piece}"
    return "\n".join(lines)


KINDS: dict[str, Callable[..., str]] = {
    "table": table,
    "pivot": pivot,
    "claim": claim,
    "figure": figure,
    "command": command,
}
BLOCK = re.compile(r"(<!-- (\w+)\.json (\w+)(?: ([^\n>]*))? -->\n).*?(<!-- end -->)", re.DOTALL)

BASH = re.compile(r"(^```bash\n)(.*?)(?=^```)", re.DOTALL | re.MULTILINE)


def read(folder: Path) -> dict[str, Data]:
    """Return the JSON files of a folder."""
    files = sorted(folder.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def written(page: str, files: Mapping[str, Data]) -> str:
    """Return a page with the numbers of the files, and with its long commands broken.

    The numbers of a missing file are left out.
    """

    def block(found: re.Match[str]) -> str:
        start, name, kind, arguments, end = found.groups()
        if name not in files:
            return start + end
        given = [part.strip() for part in arguments.split(";")] if arguments else []
        return f"{start}\n{KINDS[kind](files[name], *given)}\n\n{end}"

    def short(found: re.Match[str]) -> str:
        lines = found[2].split("\n")
        whole = [line.startswith("#") or " # " in line or line.endswith("\\") for line in lines]
        return found[1] + "\n".join(
            line if kept or len(line) <= WIDTH else broken(line)
            for line, kept in zip(lines, whole, strict=True)
        )

    return BASH.sub(short, BLOCK.sub(block, page))


def draw(files: Mapping[str, Data], folder: Path, only: Sequence[str] = ()) -> list[Path]:
    """Draw the figures whose files there are."""
    drawn = []
    for name, drawing in FIGURES.items():
        if drawing.file in files and (not only or name in only):
            with matplotlib.rc_context(STYLE):
                path = folder / f"{name}.svg"
                source = HERE / f"{drawing.file}.json"
                about = {"Date": None, "Source": fingerprint(source) if source.exists() else None}
                drawing.draw(files[drawing.file]).savefig(path, metadata=about)
            drawn.append(path)
    return drawn


if __name__ == "__main__":
    contents = read(HERE)
    draw(contents, IMAGES)
    for each in PAGES:
        old = each.read_text(encoding="utf-8")
        if (new := written(old, contents)) != old:
            each.write_text(new, encoding="utf-8")
