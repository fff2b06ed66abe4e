"""The pages' numbers: text, tables and figures are made from the JSON files of docs/figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastmri_clgnet.weights import shipped
from tests.test_docs import load
from tests.test_readme import PAGES, ROOT

FIGURES = ROOT / "docs" / "figures"
ROWS = {
    "CLGNet 8": {"parameters": 2000, "image (s)": 0.02, "PSNR by seed (dB)": [30.0, 30.5]},
    "U-Net 8": {"parameters": 10, "image (s)": 0.01, "PSNR (dB)": 29, "lowest": 28, "highest": 30},
    "U-Net 16": {"parameters": 40, "image (s)": 0.1, "PSNR by seed (dB)": [29.0, 29.5]},
}
SIZES = {
    "claim": "{CLGNet 8} dB, {CLGNet 8 - U-Net 16} dB.",
    "5 minutes": {"title": "What", "rows": ROWS},
    "20 minutes": {"title": "What", "rows": ROWS},
}
RECIPE = {"claim": "", "4x": {"title": "What", "rows": ROWS}}


@pytest.fixture(scope="module")
def draw() -> Any:
    return load("figures/draw")


CARDS = [weights.with_suffix(".md") for weights in shipped().values()]


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_has_the_files_numbers(draw: Any, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert draw.written(text, draw.read(FIGURES)) == text, "run docs/figures/draw.py"


def test_each_figure_was_drawn_from_todays_file(draw: Any) -> None:
    for name, drawing in draw.FIGURES.items():
        source, image = FIGURES / f"{drawing.file}.json", ROOT / "images" / f"{name}.svg"
        assert image.is_file() == source.is_file(), "run docs/figures/draw.py"
        if source.is_file():
            text = image.read_text(encoding="utf-8")
            assert draw.fingerprint(source) in text, f"{name}: run docs/figures/draw.py"


def test_a_new_file_makes_its_figures_and_text(draw: Any, tmp_path: Path) -> None:
    files = {"sizes": SIZES, "recipe": RECIPE}
    drawn = draw.draw(files, tmp_path)
    assert {path.name for path in drawn} == {"networks.svg", "sizes.svg"}
    page = "a <!-- sizes.json claim -->\n<!-- end -->\n<!-- sizes.json table 5 minutes; "
    page += "'U-Net 8'; parameters | PSNR (dB) -->\nold\n<!-- end -->\n"
    text = draw.written(page, files)
    assert "**30.25 dB, 1.0 dB.**" in text
    assert "| U-Net 8 | 10         | 29        |" in text
    assert draw.written(text, files) == text
    assert "30.25" not in draw.written(text, {})


@pytest.mark.parametrize(
    "command",
    [
        "python -m a b",
        f"python -m a --one {'x ' * 60}--two 'a {'b ' * 30}' --three",
        f"    --one {'x ' * 60}--two",
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/python -m name --flag 1",
    ],
)
def test_a_command_broken_into_lines_is_the_same_command(draw: Any, command: str) -> None:
    lines = draw.broken(command).splitlines()
    assert max(map(len, lines)) <= 88
    assert lines[0].startswith("    ") == command.startswith("    ")
    assert " ".join(line.removesuffix("\\").strip() for line in lines) == command.strip()
