"""Tables of benchmark results, as text and as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fastmri_clgnet.data.fastmri_file import atomic_path

Row = dict[str, float | str | None]


def format_markdown(rows: Mapping[str, Row], names: Mapping[str, str]) -> str:
    """Lay rows out as a Markdown table, which reads as text too.

    Args:
        rows: Columns by row; they may differ from row to row.
        names: What to call the rows; those that are not in it keep their key.

    Returns:
        The table.
    """
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    cells = [["", *columns]]
    for key, row in rows.items():
        cells.append([names.get(key, key), *(_cell(row.get(column)) for column in columns)])
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns) + 1)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in cells
    )


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def save_json(path: Path, tables: Mapping[str, object]) -> None:
    """Write tables and their settings, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(tables, indent=2, default=str) + "\n", encoding="utf-8")
    print(f"\nWritten to {path}")
