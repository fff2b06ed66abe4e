"""The flags of a typed function, and calling it with their values.

Each field of a dataclass is a flag: a parameter `mask` gives --mask_type, `val_mask` gives
--val_mask_type.
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import docstring_parser

from fastmri_clgnet.errors import InputError, words

REQUIRED = inspect.Parameter.empty


class Flag(NamedTuple):
    """A flag's type, default and help text."""

    hint: Any
    default: Any = REQUIRED
    text: str = ""


Flags = Mapping[str, Flag]


def flags_of(source: Callable[..., Any], skip: Collection[str] = ()) -> dict[str, Flag]:
    """Return the flags of a function, or of a class's constructor, by name.

    Of a type such as `Path | Tensor` a flag takes only the part that text can express. A parameter
    without such a part has no flag.
    """
    flags = {}
    for name, flag in _parameters(source).items():
        inner = _dataclass(flag.hint)
        if name in skip or flag.hint is None:
            continue
        if inner is None:
            flags[name] = flag
            continue
        for field, own in flags_of(inner).items():
            optional = own._replace(hint=own.hint | None, default=None)
            flags[_prefix(name) + field] = own if flag.hint is inner else optional
    return flags


def with_defaults(flags: Flags, defaults: Mapping[str, Any]) -> dict[str, Flag]:
    """Return the flags with the named defaults replaced."""
    return {n: flag._replace(default=defaults.get(n, flag.default)) for n, flag in flags.items()}


def call(source: Callable[..., Any], values: Mapping[str, Any], **given: Any) -> Any:
    """Call a function or constructor with the values of its flags and the `given` arguments."""
    arguments = dict(given)
    for name, flag in _parameters(source).items():
        inner = _dataclass(flag.hint)
        if name in given:
            continue
        if inner is None:
            arguments |= {name: values[name]} if name in values else {}
            continue
        own = {field: values[_prefix(name) + field] for field in flags_of(inner)}
        missing = [_prefix(name) + field for field, value in own.items() if value is None]
        if flag.hint is not inner and 0 < len(missing) < len(own):
            together = words(_prefix(name) + field for field in own)
            raise InputError(f"{together} belong together: give {' and '.join(missing)} too")
        arguments[name] = None if flag.hint is not inner and missing else call(inner, own)
    return source(**arguments)


def takes(flag: Flag | None, *kinds: Any) -> bool:
    """Whether a flag takes values of one of these types."""
    parts = () if flag is None else (flag.hint, *typing.get_args(flag.hint))
    return any((typing.get_origin(part) or part) in kinds for part in parts)


def summary(source: Callable[..., Any]) -> str:
    """Return the text of a docstring before its sections, as one paragraph."""
    parsed = docstring_parser.parse(inspect.getdoc(source) or "")
    text = f"{parsed.short_description or ''} {parsed.long_description or ''}"
    return words(text.split()).replace("`", "")


def _parameters(source: Callable[..., Any]) -> dict[str, Flag]:
    """Return all parameters, including those of the bases that a constructor's **kwargs go to."""
    found: dict[str, Flag] = {}
    for function, documented in _signatures(source):
        texts = {
            parameter.arg_name: words((parameter.description or "").split())
            for each in documented
            for parameter in docstring_parser.parse(inspect.getdoc(each) or "").params
        }
        known = getattr(inspect.unwrap(function), "__globals__", None)  # not needed for a class
        names = None if known is None else _Names(vars(builtins) | known)
        hints = typing.get_type_hints(function, localns=names)
        parameters = inspect.signature(function).parameters
        for name, parameter in parameters.items():
            # the host's older constructors have no annotations
            hint = _in_words(hints.get(name, type(parameter.default)))
            if parameter.kind not in _SINKS and name != "self" and name not in found:
                found[name] = Flag(hint, parameter.default, texts.get(name, ""))
        if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            break
    return found


def _signatures(source: Callable[..., Any]) -> Iterator[tuple[Callable[..., Any], list[Any]]]:
    """Yield the functions with the parameters of `source`, and the objects that document them."""
    if not inspect.isclass(source):
        yield source, [source]
    elif dataclasses.is_dataclass(source):
        yield source, [*reversed(source.__mro__)]
    else:
        for base in source.__mro__:
            if "__init__" in vars(base):
                yield vars(base)["__init__"], [base, vars(base)["__init__"]]


_SINKS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class _Names(dict[str, Any]):
    """The names in a function's module; one imported only for type checking is any class."""

    def __missing__(self, name: str) -> type:
        return object


# the narrowest first; cached unions of `typing` lose their order
_PLAIN = (types.NoneType, bool, int, float, Path, str)


def _in_words(hint: Any) -> Any:
    """Return the part of a type that text can express; None if there is none."""
    parts = typing.get_args(hint) if _is_union(hint) else [hint]
    known = [part for part in parts if _is_said(part)]
    if Path in known:  # on the command line, text stands for a path
        known = [part for part in known if part is not str]
    known.sort(key=lambda part: _PLAIN.index(part) if part in _PLAIN else 0)
    return functools.reduce(operator.or_, known) if {*known} - {types.NoneType} else None


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _is_said(hint: Any) -> bool:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (list, tuple, Sequence, Mapping) or _is_union(hint):
        return all(_is_said(part) for part in parts if part is not Ellipsis)
    return origin is typing.Literal or hint in _PLAIN or dataclasses.is_dataclass(hint)


def _dataclass(hint: Any) -> Any:
    """Return the dataclass in a type that is one, or one or None."""
    parts = (hint, *typing.get_args(hint))
    return next((part for part in parts if dataclasses.is_dataclass(part)), None)


def _prefix(name: str) -> str:
    """Return the prefix of the flags of a dataclass in this parameter."""
    return name.removesuffix("mask") if name.endswith("mask") else ""
