"""The tree of the page "The house", from the first line of each file: run `docs/house.py`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "project" / "house.md"
BLOCK = re.compile(r"(<!-- tree -->\n```text\n).*?(```)", re.DOTALL)


def tree() -> str:
    """One line for each folder and module of both packages, a folder before what is in it."""
    lines = [line for name in ("fastmri_clgnet", "banding") for line in _branch(ROOT / name, 0)]
    return "".join(f"{line}\n" for line in lines)


def _branch(path: Path, depth: int) -> Iterator[str]:
    module = path / "__init__.py" if path.is_dir() else path
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    name = "    " * depth + path.name + "/" * path.is_dir()
    yield f"{name:32}{text.partition(chr(10))[0]}"
    if path.is_dir():
        modules = sorted(each for each in path.glob("*.py") if each != module)
        folders = sorted(each.parent for each in path.glob("*/__init__.py"))
        for each in [*modules, *folders]:
            yield from _branch(each, depth + 1)


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda found: found[1] + tree() + found[2], page), encoding="utf-8")
