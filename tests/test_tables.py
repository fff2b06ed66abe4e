"""Tables: their layout as text, Markdown and JSON."""

from __future__ import annotations

import json
from pathlib import Path

from fastmri_clgnet.tables import Row, Table, write_tables


def test_markdown() -> None:
    rows: dict[str, Row] = {"a": {"x": 1.23456, "y": None}, "b": {"z": "yes", "x": 0.0}}
    assert Table("What it is", rows, {"a": "first"}).markdown().splitlines() == [
        "What it is",
        "",
        "|       | x     | y | z   |",
        "| ----- | ----- | - | --- |",
        "| first | 1.235 | - | -   |",
        "| b     | 0     | - | yes |",
    ]


def test_text() -> None:
    rows: dict[str, Row] = {"a": {"NMSE": 1.23456, "steps": 20}, "long name": {"NMSE": None}}
    assert str(Table("What it is", rows, {"a": "first"})).splitlines() == [
        "What it is",
        "",
        "             NMSE  steps",
        "first      1.2346     20",
        "long name       -      -",
    ]


def test_tables_are_written_as_markdown_and_json(tmp_path: Path) -> None:
    table = Table("What it is", {"a": {"x": 1.5}}, {"a": "first"})
    write_tables(tmp_path / "new" / "name", {"key": table}, {"size": 8, "folder": Path("x")})
    assert (tmp_path / "new" / "name.md").read_text().splitlines()[0] == "What it is"
    assert json.loads((tmp_path / "new" / "name.json").read_text()) == {
        "settings": {"size": 8, "folder": "x"},
        "key": {"title": "What it is", "rows": {"a": {"x": 1.5}}},
    }
