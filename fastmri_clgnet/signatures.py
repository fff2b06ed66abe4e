"""Constructors' signatures, read from their source without importing it, which takes seconds."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any


def constructor(home: str) -> type:
    """Import a class from MODULE:CLASS."""
    place, _, name = home.partition(":")
    found: type = getattr(importlib.import_module(place), name)
    return found


def sketch(home: str) -> Callable[..., Any]:
    """Make a function that has the signature and docstring of a constructor, MODULE:CLASS.

    A type or default that cannot be told from the class's own lines is str, or None: this is for
    showing help, not for parsing.
    """
    place, _, name = home.partition(":")
    package, *parts = place.split(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]).joinpath(*parts)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)
    init = next(n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    arguments = init.args
    arguments.args, arguments.vararg, arguments.kwarg = arguments.args[1:], None, None
    arguments.defaults = [_literal(each) for each in arguments.defaults]
    arguments.kw_defaults = [each and _literal(each) for each in arguments.kw_defaults]
    hints = {}
    for each in (*arguments.args, *arguments.kwonlyargs):
        if each.annotation is not None:
            hints[each.arg] = _type(each.annotation)
            each.annotation = None
    made = ast.FunctionDef("made", arguments, [ast.Pass()], [], lineno=1, col_offset=0)
    scope: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(ast.Module([made], [])), str(path), "exec"), scope)
    function: Callable[..., Any] = scope["made"]
    function.__annotations__ = hints
    function.__module__ = __name__
    function.__doc__ = ast.get_docstring(init) or ast.get_docstring(found)
    return function


def _literal(node: ast.expr) -> ast.expr:
    try:
        ast.literal_eval(node)
    except ValueError:
        return ast.Constant(None)
    return node


def _type(node: ast.expr) -> Any:
    """What an annotation says, if it says it by Python's own names."""
    try:
        return eval(ast.unparse(node), vars(typing) | {"Path": Path})
    except (NameError, TypeError, AttributeError):
        return str
