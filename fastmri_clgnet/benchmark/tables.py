"""What a benchmark leaves: tables on the terminal and in files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.tables import Table, Value

Row = dict[str, Value]


def publish(folder: Path, name: str, tables: Mapping[str, Table], settings: object) -> None:
    """Print tables as text and write them as {name}.md and {name}.json, each whole or not at all.

    Args:
        folder: Where to write.
        name: The files' name.
        tables: By their key in the JSON file.
        settings: What the command was called with, for the JSON file.
    """
    for table in tables.values():
        print(f"\n{table}")
    markdown = "\n\n".join(table.markdown() for table in tables.values())
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
