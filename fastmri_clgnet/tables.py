"""Tables of results as text and Markdown, with the decimals of fastMRI's leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fastmri_clgnet.files import atomic_path, write_json

DECIMALS = {
    "NMSE": 4,
    "PSNR (dB)": 2,
    "PSNR from": 2,
    "PSNR to": 2,
    "lowest": 2,
    "highest": 2,
    "minutes": 1,
    "SSIM": 4,
    "HaarPSI": 4,
    "GMSD": 4,
    "HFEN": 4,
    "residual": 4,
    "banding score": 4,
    "energy": 2,
}  # by column; others have 4 significant digits
QUALITY = {"nmse": "NMSE", "psnr": "PSNR (dB)", "ssim": "SSIM"}  # columns of fastMRI's metrics
DEFAULT_MODEL, ZERO_FILLED = "clgnet", "zero_filled"
CS_WAVELET, CS_TV = "cs_wavelet", "cs_tv"
UNTRAINED = (ZERO_FILLED, CS_WAVELET, CS_TV)  # models that need no checkpoint
LABELS = {
    "clgnet": "CLGNet",
    "clgnet_dc": "CLGNet + DC",
    "clgvarnet": "CLGVarNet",
    "unet": "U-Net",
    "varnet": "E2E-VarNet",
    "dccnn": "DCCNN",
    "ista": "ISTA-Net+",
    "cddn": "CDDN",
    "pd": "PD",
    "dudor": "DuDoRNet",
    "octconv": "Dual-OctConv",
    CS_WAVELET: "CS, wavelets",
    CS_TV: "CS, total variation",
    ZERO_FILLED: "zero-filled",
}  # names of the choices of --model in tables
Value = float | int | str | None
Row = Mapping[str, Value]
Cells = Sequence[Sequence[str]]


def format_value(column: str, value: Value, sign: str = "") -> str:
    """Format one value, "-" for None; `sign` "+" also writes the sign of positive numbers."""
    if isinstance(value, float):
        decimals = DECIMALS.get(column)
        return f"{value:{sign}.4g}" if decimals is None else f"{value:{sign}.{decimals}f}"
    return "-" if value is None else str(value)


def quality(values: Mapping[str, float]) -> dict[str, float]:
    """Return NMSE, PSNR and SSIM by column; their names in `values` may be in either case."""
    given = {name.lower(): float(value) for name, value in values.items()}
    return {column: given[name] for name, column in QUALITY.items()}


def make_cells(rows: Mapping[str, Row], names: Mapping[str, str] | None = None) -> list[list[str]]:
    """Return the header, then the rows, each starting with its name; columns may differ by row."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [["", *columns]]
    for key, row in rows.items():
        values = [format_value(column, row.get(column)) for column in columns]
        lines.append([(names or {}).get(key, key), *values])
    return lines


def format_table(cells: Cells, n_left: int = 1, markdown: bool = False) -> str:
    """Align cells in columns, the first n_left to the left, in Markdown all of them."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if markdown:
        lines = [*cells[:1], ["-" * width for width in widths], *cells[1:]]
        padded = [[*map(str.ljust, line, widths)] for line in lines]
        return "\n".join(f"| {' | '.join(line)} |" for line in padded)
    align = [str.ljust if i < n_left else str.rjust for i in range(len(widths))]
    return "\n".join(
        "  ".join(
            pad(cell, width) for pad, cell, width in zip(align, line, widths, strict=True)
        ).rstrip()
        for line in cells
    )


class Table(NamedTuple):
    """A table with a title; `str()` formats it for a terminal."""

    title: str  # what was measured, how, on what
    rows: Mapping[str, Row]
    names: Mapping[str, str]  # names of rows; the others are named by their keys

    def __str__(self) -> str:
        return f"{self.title}\n\n{format_table(make_cells(self.rows, self.names))}"

    def markdown(self) -> str:
        """Return title and table in Markdown."""
        cells = make_cells(self.rows, self.names)
        return f"{self.title}\n\n{format_table(cells, markdown=True)}"


def write_tables(path: Path, tables: Mapping[str, Table], settings: Mapping[str, object]) -> None:
    """Write tables and settings to PATH.md and PATH.json, each whole or not at all."""
    rows = {key: {"title": table.title, "rows": table.rows} for key, table in tables.items()}
    write_json(path.with_name(f"{path.name}.json"), {"settings": settings, **rows})
    with atomic_path(path.with_name(f"{path.name}.md")) as temporary:
        text = "\n\n".join(table.markdown() for table in tables.values())
        temporary.write_text(f"{text}\n", encoding="utf-8")
    print(f"Written: {path}.md and .json", flush=True)
