"""Tables of benchmark results, as text and as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fastmri_clgnet.data.fastmri_file import atomic_path

_FORMATS = {"NMSE": ".4f", "PSNR (dB)": ".2f", "SSIM": ".4f"}  # as fastMRI's leaderboard
Row = dict[str, float | int | str | None]


def format_text(rows: Mapping[str, Row], names: Mapping[str, str]) -> str:
    """Lay rows out in columns, for a terminal; arguments as of `format_markdown`."""
    cells, widths = _cells(rows, names)
    return "\n".join(
        line[0].ljust(widths[0])
        + "".join(f"  {cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        for line in cells
    )


def format_markdown(rows: Mapping[str, Row], names: Mapping[str, str]) -> str:
    """Lay rows out as a Markdown table.

    Args:
        rows: Columns by row; they may differ from row to row.
        names: What to call the rows; those that are not in it keep their key.

    Returns:
        The table.
    """
    cells, widths = _cells(rows, names)
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in cells
    )


def _cells(rows: Mapping[str, Row], names: Mapping[str, str]) -> tuple[list[list[str]], list[int]]:
    """The cells' texts, line by line with a headline, and the columns' widths."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    cells = [["", *columns]]
    for key, row in rows.items():
        cells.append([names.get(key, key), *(_cell(column, row.get(column)) for column in columns)])
    return cells, [max(len(line[i]) for line in cells) for i in range(len(columns) + 1)]


def _cell(column: str, value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return format(value, _FORMATS.get(column, ".4g"))
    return str(value)


class Table(NamedTuple):
    """A table and what it says of itself.

    Args:
        title: What was measured, how, on what.
        rows: Columns by row.
        names: What to call the rows.
    """

    title: str
    rows: Mapping[str, Row]
    names: Mapping[str, str]


def publish(folder: Path, name: str, tables: Mapping[str, Table], settings: object) -> None:
    """Print tables as text and write them as {name}.md and {name}.json, each whole or not at all.

    Args:
        folder: Where to write.
        name: The files' name.
        tables: By their key in the JSON file.
        settings: What the command was called with, for the JSON file.
    """
    markdown = "\n\n".join(
        f"{title}\n\n{format_markdown(rows, names)}" for title, rows, names in tables.values()
    )
    for title, rows, names in tables.values():
        print(f"\n{title}\n\n{format_text(rows, names)}")
    contents = {
        "settings": settings,
        **{key: {"title": table.title, "rows": table.rows} for key, table in tables.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"md": f"{markdown}\n", "json": json.dumps(contents, indent=2, default=str) + "\n"}
    for ending, text in texts.items():
        with atomic_path(folder / f"{name}.{ending}") as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"\nWritten to {folder / name}.md and .json", flush=True)
