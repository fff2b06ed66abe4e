"""Which rooms may import which, checked in the source of both packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent

# From the bottom up: a room imports from the rows above its own in this list, and from itself.
# Rooms of one row do not import each other. A room is a folder, or a few modules of the top level.
ROOMS = [
    ["basics"],
    ["cli"],
    ["weights"],  # the names of the shipped files
    ["formats"],
    ["data", "losses", "models"],
    ["inference"],
    ["pl_modules"],
    ["training"],
    ["evaluation", "conversion"],
    ["reporting"],
    ["benchmarks"],
    ["front"],
    ["shells"],
    ["banding"],
]
MODULES_OF = {
    "basics": [
        "errors", "files", "run_folder", "tables", "precision", "parallel", "figures",
        "slice_quality",
    ],
    "cli": ["cli", "flags", "spelling"],
    "front": ["__init__", "registration", "former_names"],
    "shells": [
        "train_clgnet", "reconstruct", "evaluate", "check", "convert", "export", "report",
        "benchmark", "weights.__main__", "__main__",
    ],
}  # fmt: skip


class Import(NamedTuple):
    """One imported module of the two packages."""

    source: str
    target: str
    line: str  # where it is, and what is written there
    inside: bool  # of a function
    checked_only: bool  # under `if TYPE_CHECKING`


def find_modules() -> dict[str, Path]:
    """Every module of the two packages by its dotted name; a package has its folder's name."""
    found = {}
    for package in ("fastmri_clgnet", "banding"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = find_modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def nodes(
    tree: ast.AST, inside: bool = False, checked_only: bool = False
) -> Iterator[tuple[ast.AST, bool, bool]]:
    """Every node, whether it is in a function, and whether only a type checker reads it."""
    for child in ast.iter_child_nodes(tree):
        yield child, inside, checked_only
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from nodes(child, inside or function, checked_only or guarded)


def targets(node: ast.AST) -> list[str]:
    """The modules in an import statement, of these packages or others."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.module is not None and node.level == 0, "relative imports hide the room"
        names = [alias.name for alias in node.names]
        if (node.module, names) == ("fastmri_clgnet", ["__version__"]):
            return []  # which is set before anything else is imported
        full = [f"{node.module}.{name}" for name in names]
        return [name if name in MODULES else node.module for name in full]
    return []


def where(name: str, node: ast.AST) -> str:
    """A line for a message."""
    path, line = MODULES[name].relative_to(ROOT), getattr(node, "lineno", 0)
    return f"{path}:{line}: {ast.unparse(node).splitlines()[0]}"


IMPORTS = [
    Import(name, target, where(name, node), inside, checked_only)
    for name, tree in TREES.items()
    for node, inside, checked_only in nodes(tree)
    if isinstance(node, ast.Import | ast.ImportFrom)
    for target in dict.fromkeys(targets(node))
    if target in MODULES
]


def room(module: str) -> str:
    """The room of a module."""
    package, _, name = module.partition(".")
    if package == "banding":
        return package
    for each, modules in MODULES_OF.items():
        if (name or "__init__") in modules:
            return each
    return name.partition(".")[0]


ROW = {name: row for row, names in enumerate(ROOMS) for name in names}


def test_every_module_has_a_room() -> None:
    assert [module for module in MODULES if room(module) not in ROW] == []


def test_imports_point_down() -> None:
    """Including those in functions. banding imports the package, which never imports banding."""
    known = [each for each in IMPORTS if {room(each.source), room(each.target)} <= ROW.keys()]
    up = [
        f"{each.line}   ({room(each.source)} -> {room(each.target)})"
        for each in known
        if not each.checked_only
        and room(each.source) != room(each.target)
        and ROW[room(each.source)] <= ROW[room(each.target)]
    ]
    assert not up, "\n" + "\n".join(up)


def test_modules_form_no_circle() -> None:
    """Modules without imports of remaining ones are removed, until only circles remain."""
    left = {module: set[str]() for module in MODULES}
    for each in IMPORTS:
        if not each.checked_only and each.source != each.target:
            left[each.source].add(each.target)
    while free := {module for module in left if not left[module] & left.keys()}:
        left = {module: left[module] for module in left.keys() - free}
    # modules that only lead into a circle are not part of it
    while leading := left.keys() - set().union(*left.values()):
        left = {module: left[module] for module in left.keys() - leading}
    lines = [each.line for each in IMPORTS if {each.source, each.target} <= left.keys()]
    assert not left, "\n" + "\n".join(lines)


def test_few_imports_are_inside_functions() -> None:
    """Only to let a command start quickly, or for an optional package."""
    found = [
        where(name, node)
        for name, tree in TREES.items()
        for node, inside, _ in nodes(tree)
        if inside and isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(found) <= 40, f"{len(found)}\n" + "\n".join(found)


def test_no_source_is_made_or_parsed() -> None:
    found = [
        where(name, node)
        for name, tree in TREES.items()
        for node, _, _ in nodes(tree)
        if "ast" in targets(node)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("exec", "eval", "compile"))
    ]
    assert not found, "\n" + "\n".join(found)
