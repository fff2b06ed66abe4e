"""What setup.cfg requires."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

from packaging.requirements import Requirement


def test_each_requirement_says_its_lowest_version() -> None:
    """Without, the README's command for the lowest versions takes a package's first release."""
    parser = ConfigParser(interpolation=None)
    parser.read(Path(__file__).parent.parent / "setup.cfg", encoding="utf-8")
    lists = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    lines = [line.strip() for text in lists for line in text.splitlines()]
    requirements = [Requirement(line) for line in lines if line and line[0] not in "#%"]
    assert len(requirements) > 20
    unbounded = [
        requirement.name
        for requirement in requirements
        if not {">=", "=="} & {specifier.operator for specifier in requirement.specifier}
    ]
    assert unbounded == []
