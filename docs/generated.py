"""Pages that are made from the code: the commands' help, and the cards of the trained weights."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastmri_clgnet.__main__ import BANDING, COMMANDS
from fastmri_clgnet.benchmark import BENCHMARKS
from fastmri_clgnet.convert import READERS
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.weights import shipped

# commands whose flags depend on a word: that word's flag, and its choices
CHOICES = {
    "fastmri_clgnet.train_clgnet": [["--model", name] for name in MODELS],
    "fastmri_clgnet.convert": [["--from", name] for name in READERS],
    "fastmri_clgnet.benchmark": [[name] for name in BENCHMARKS],
}


def write_pages(docs: Path) -> None:
    """Write the generated pages into the folder of the documentation."""
    folder = docs / "reference" / "commands"
    folder.mkdir(exist_ok=True)
    named = {f"fastmri_clgnet.{name}": text for name, text in COMMANDS.items()}
    named |= {f"banding.{name}": text for name, text in BANDING.items()}
    for name, text in named.items():
        lines = [f"# {name}\n", f"{text[0].upper()}{text[1:]}.\n"]
        for title, words in _calls(name):
            lines += [f"## {title}\n"] * (title != name)
            lines += [f"```text\n{help_of(name, words)}\n```\n"]
        write(folder / f"{name}.md", "\n".join(lines))
    cards = [path.with_suffix(".md") for path in shipped().values()]
    texts = [re.sub(r"^(#+) ", r"#\1 ", path.read_text(encoding="utf-8"), flags=re.M)
             for path in cards if path.is_file()]  # fmt: skip
    none = "This version ships no trained weights.\n"
    write(docs / "reference" / "cards.md", "\n\n".join(["# Model cards", *(texts or [none])]))


def _calls(name: str) -> Iterator[tuple[str, list[str]]]:
    """The titles of a command's sections, and the words that show each help."""
    module = importlib.import_module(_home(name))
    if name != "fastmri_clgnet.train_clgnet":
        yield name, []
    for words in CHOICES.get(name, []):
        yield " ".join(words), words
    assert callable(module.main)


def _home(name: str) -> str:
    """The module that has the command's `main`."""
    package = importlib.import_module(name)
    return f"{name}.__main__" if hasattr(package, "__path__") else name


def help_of(name: str, words: list[str]) -> str:
    """What a command prints with --help."""
    printed = io.StringIO()
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            importlib.import_module(_home(name)).main([*words, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        os.environ |= {} if columns is None else {"COLUMNS": columns}
    lines = [line.rstrip() for line in printed.getvalue().strip().splitlines()]
    text = "\n".join(textwrap.fill(line, 100) if line[:1].isalpha() else line for line in lines)
    if not text.startswith("usage"):
        raise RuntimeError(f"{name} {words}: no help")
    return text


def write(path: Path, text: str) -> None:
    """Write a page if it is new, so that Sphinx builds only what has changed."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


SECTION = re.compile(r"(Args|Returns|Raises|Warns|Example|Attributes|References|Yields)s?:$")


def literal_formulas(
    app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Make the indented formulas of a docstring literal, as they are read in the source."""
    result: list[str] = []
    in_section = in_formula = False
    for line in lines:
        in_section |= bool(SECTION.match(line))
        indented = line.startswith("    ")
        if indented and not (in_section or in_formula) and result and not result[-1].strip():
            result += ["::", ""]
            in_formula = True
        elif line.strip() and not indented:
            in_formula = False
        result.append(line)
    lines[:] = result
