"""Commands from functions: the parameters are the flags, the docstring is the help."""

from __future__ import annotations

import argparse
import builtins
import dataclasses
import difflib
import functools
import inspect
import operator
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import docstring_parser
from jsonargparse import ArgumentParser, Namespace

from fastmri_clgnet.errors import InputError, exit_status, words
from fastmri_clgnet.files import read_yaml

Choices = Mapping[str, type]  # by their names on the command line


def run(
    function: Callable[..., Any],
    argv: Sequence[str] | None = None,
    positional: Collection[str] = (),
    *,
    prog: str | None = None,  # by default `python -m fastmri_clgnet.` and the function's name
    # for a parameter that takes one of several dataclasses, the flag that picks one, and them
    choices: Mapping[str, tuple[str, Choices]] | None = None,
    rest: str = "",  # a parameter that takes the words of another command's flags, also --config
    then: Callable[..., int | None] | None = None,  # takes the result, and flags of its own
) -> int:
    """Run a function as a command; returns the exit status.

    Every parameter is a flag. The fields of a dataclass are flags of their own: a parameter `mask`
    gives --mask_type, `val_mask` gives --val_mask_type. A bool is a switch, with --no_NAME beside
    it. Lists and tuples take several words; a mapping takes a name and a value, and may be given
    several times. --target-path is the same as --target_path. --config reads flags from a YAML
    file, and --debug shows the traceback of an error.

    The function's module should import what is slow inside of its functions: --help and mistyped
    flags then answer at once. A parameter whose type is imported for type checking only is no flag.
    """
    choices, then = choices or {}, then or show
    given = list(sys.argv[1:] if argv is None else argv)

    def command() -> int:
        picked = {
            name: classes.get(str(chosen(given, flag))) for name, (flag, classes) in choices.items()
        }
        prog_name = prog or f"python -m fastmri_clgnet.{function.__name__}"
        parser = make_parser(prog_name, function, config=not rest)
        for flag, classes in choices.values():
            parser.choices[flag] = {
                name: functools.partial(_parser_of, each) for name, each in classes.items()
            }
            parser.add_argument(
                f"--{flag}",
                choices=tuple(classes),
                required=True,
                help="; ".join(
                    [f"{name}: {_summary(each).rstrip('.')}" for name, each in classes.items()]
                    + [f"--{flag} NAME --help shows the flags of one"]
                ).replace("%", "%%"),
            )
        result_name = next(iter(inspect.signature(then).parameters))
        parser.switches |= add_flags(parser, function, positional, skip={*choices, rest})
        for dataclass in picked.values():
            parser.switches |= set() if dataclass is None else add_flags(parser, dataclass)
        parser.switches |= add_flags(parser, then, skip=[result_name])
        own, others = divided(given, parser) if rest else (given, [])
        args = parser.parse_args(own)
        made = {name: call(each, args) for name, each in picked.items() if each is not None}
        made |= {rest: others} if rest else {}
        result = call(function, args, **made)
        return call(then, args, **{result_name: result}) or 0

    return exit_status(command, "--debug" in given)


def show(result: object) -> int:
    """Print a result and its `failures`, if any; status 1 if it has some, or is not `good`."""
    if result is not None:
        print(result)
    failures = getattr(result, "failures", ())
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return int(bool(failures) or not getattr(result, "good", True))


class Parser(ArgumentParser):
    """jsonargparse's parser, whose words are `normalised` and whose errors are one line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # an abbreviation is a misspelt flag, as by default in jsonargparse 5
        super().__init__(*args, allow_abbrev=False, **kwargs)
        self.switches = {"debug"}  # names of flags that are true or false
        # by flag, such as "model": what makes the parser of each of its choices
        self.choices: dict[str, Mapping[str, Callable[[], Parser]]] = {}

    def flags(self) -> set[str]:
        """The flags as they are typed."""
        options = {option for action in self._actions for option in action.option_strings}
        return options | {f"--no_{name}" for name in self.switches}

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *more: Any, **options: Any
    ) -> Namespace:
        """Parse the words, by default the process's."""
        given = sys.argv[1:] if args is None else args
        return super().parse_args(normalised(given, self.switches), *more, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say in one line which flag is wrong, without Python's types; exit with status 2."""
        flags, message = self.flags(), message.removeprefix("Validation failed: ")
        message = message.replace("Problems parsing config:", "--config: no YAML of flags:")
        key, value = re.match(r'Parser key "(\w+)"', message), re.search(r" value: (.*)\Z", message)
        expected = re.findall(r"Expected an? (?:<class '|typing\.Literal\[)([^>\]]+)", message)
        # their second forms are of a flag in a file, and of earlier versions of jsonargparse
        missing = re.search(r'arguments are required: (.*)|\AKey "(\w+)" is required', message)
        unknown = re.match(
            r"[Uu]nrecognized arguments: (.*)|(?:Option|Key) '([\w-]+)' is not", message
        )
        if key:
            flag = _flag(key[1], flags)
            message = message.replace(key[0], flag, 1)
            if value and expected:
                names = " or ".join(one.replace("'", "") for one in expected if one != "NoneType'")
                message = f"{flag} {value[1]}: expected {names}"
        elif missing:
            keys = (missing[1] or missing[2]).split(", ")
            message = f"missing {', '.join(_flag(each, flags) for each in keys)}"
        elif unknown:
            message = self._unknown(unknown[1] or f"--{unknown[2]}", flags)
            message = f"--config: {message}" if unknown[2] else message
        self.exit(2, f"error: {words(message.removeprefix('argument ').split())}; see --help\n")

    def _unknown(self, given: str, flags: Collection[str]) -> str:
        """What to say of words that the parser does not know."""
        flag = re.search(r"(?:\A| )(--[\w-]+)", given)
        if flag is None:
            return f"unexpected {given}"
        for choice, parsers in self.choices.items():
            fitting = [name for name, make in parsers.items() if flag[1] in make().flags()]
            if fitting:
                return f"{flag[1]}: a flag of --{choice} {', '.join(fitting)} only"
        near = difflib.get_close_matches(flag[1], flags, 1)
        return f"{flag[1]}: no such flag" + "".join(f" (did you mean {one}?)" for one in near)


def make_parser(prog: str, description: str | Callable[..., Any], *, config: bool = True) -> Parser:
    """Make a parser for a command, described by a text or by a function's docstring."""
    text = description if isinstance(description, str) else _summary(description)
    parser = Parser(prog=prog, description=text)
    if config:
        parser.add_argument("--config", action="config", help="YAML file of these flags.")
    parser.add_argument(
        "--debug", type=bool, default=False, help="Show the traceback of an error in the input."
    )
    return parser


def add_flags(
    parser: Any,
    source: Callable[..., Any],
    positional: Collection[str] = (),
    *,
    skip: Collection[str] = (),
    prefix: str = "",
    optional: bool = False,
) -> set[str]:
    """Add a flag for each parameter or dataclass field; gives the names of the switches."""
    switches: set[str] = set()
    texts = _parameter_texts(source)
    for name, (hint, may_be_none, default) in _parameters(source).items():
        if name in skip or hint is None:
            continue
        if dataclasses.is_dataclass(hint):
            inner = typing.cast(type, hint)
            switches |= add_flags(parser, inner, prefix=_prefix(name), optional=may_be_none)
            continue
        if bool in (hint, *typing.get_args(hint)):
            switches.add(f"{prefix}{name}")
        required = default is inspect.Parameter.empty and not optional
        options: dict[str, Any] = {"help": texts.get(name, "").replace("%", "%%")}
        items = _items(hint)
        if typing.get_origin(hint) is Mapping:
            options |= {"type": typing.get_args(hint)[1], "nargs": 2, "action": "append"}
            options["metavar"] = ("NAME", "VALUE")
        elif items is None:
            options["type"] = hint | None if may_be_none or optional else hint
        else:
            options |= {"type": items[0], "nargs": items[1]}
        if not required:
            default = None if optional else default
            options["default"] = list(default) if isinstance(default, tuple) else default
        if name in positional:
            parser.add_argument(name, **options)
        else:
            options |= {"required": True} if required else {}
            parser.add_argument(f"--{prefix}{name}", **options)
    return switches


def call(source: Callable[..., Any], args: Namespace, prefix: str = "", **given: Any) -> Any:
    """Call a function, or make a dataclass, with the values of its flags and what is no flag."""
    values = dict(given)
    for name, (hint, may_be_none, _) in _parameters(source).items():
        if name in values or hint is None:
            continue
        if dataclasses.is_dataclass(hint):
            start = _prefix(name)
            flags = [start + field.name for field in dataclasses.fields(hint)]
            missing = [f"--{flag}" for flag in flags if args[flag] is None]
            if may_be_none and 0 < len(missing) < len(flags):
                raise InputError(
                    f"--{' --'.join(flags)} belong together: give {' and '.join(missing)}, too"
                )
            none = may_be_none and bool(missing)
            values[name] = None if none else call(typing.cast(type, hint), args, start)
        elif f"{prefix}{name}" in args:
            value = args[f"{prefix}{name}"]
            kind = {tuple: tuple, Mapping: dict}.get(typing.get_origin(hint))
            values[name] = value if value is None or kind is None else kind(value)
    return source(**values)


def normalised(argv: Sequence[str], switches: Collection[str] = ()) -> list[str]:
    """Spell flags as the parser has them: underscores, --x=true for --x, --x=false for --no_x."""
    result = []
    for word, after in zip(argv, [*argv[1:], ""], strict=False):
        word = re.sub(r"^--[A-Za-z][^=\s]*", lambda m: "--" + m[0][2:].replace("-", "_"), word)
        name = word[2:] if word.startswith("--") else ""
        if name in switches and after.lower() not in ("true", "false", "null"):
            word += "=true"
        elif name.startswith("no_") and name[3:] in switches:
            word = f"--{name[3:]}=false"
        result.append(word)
    return result


def divided(argv: Sequence[str], parser: Parser) -> tuple[list[str], list[str]]:
    """Divide the words into the parser's own flags and others, each with its values."""
    negated = {f"no_{each}" for each in parser.switches}
    names = {"h", "help", *parser.get_defaults().keys(), *negated}
    own: list[str] = []
    others: list[str] = []
    current = own
    for word in argv:
        flag = re.match(r"--?([A-Za-z][\w-]*)(=|\Z)", word)
        if flag and flag[1].replace("-", "_") in names:
            current = own
        elif flag and " " not in word:
            current = others
        current.append(word)
    return own, others


def chosen(argv: Sequence[str], flag: str) -> str | None:
    """What the command line, else the file of --config, says of a flag that others depend on."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument(f"--{flag}", dest="value")
    early.add_argument("--config", type=Path)
    try:
        args, _ = early.parse_known_args(list(argv))
    except argparse.ArgumentError:  # the real parser says it better
        return None
    settings = {}
    if args.config is not None and args.config.is_file():
        settings = read_yaml(args.config, "a YAML file of flags")
    value = settings.get(flag) if args.value is None else args.value
    return None if value is None else str(value)


def _parser_of(dataclass: type) -> Parser:
    """A parser of a choice's own flags."""
    parser = Parser(add_help=False)
    parser.switches = add_flags(parser, dataclass)
    return parser


def _flag(name: str, flags: Collection[str]) -> str:
    """A name with the dashes of a flag, unless it is a positional one's."""
    return f"--{name}" if f"--{name}" in flags else name


def _parameters(source: Callable[..., Any]) -> dict[str, tuple[Any, bool, Any]]:
    """Type without None, whether None is allowed, and default; the type of no flag is None."""
    if dataclasses.is_dataclass(source):
        # looks up the type of an inherited field in the module that defines it
        hints = typing.get_type_hints(source)
    else:
        init = source.__init__ if inspect.isclass(source) else source
        known = getattr(inspect.unwrap(init), "__globals__", {})
        hints = typing.get_type_hints(init, localns=_Names({**vars(builtins), **known}))
    result = {}
    for name, parameter in inspect.signature(source).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = parameter.default
        hint = hints.get(name, type(default))  # the host's older constructors have no annotations
        parts = [hint]
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            parts = list(typing.get_args(hint))
        known = [part for part in parts if part is not types.NoneType and not _is_absent(part)]
        union = functools.reduce(operator.or_, known) if known else None
        result[name] = (union, types.NoneType in parts, default)
    return result


class _Unknown:
    """A class that is imported for type checking only."""

    def __class_getitem__(cls, item: Any) -> type:
        return cls


class _Names(dict[str, Any]):
    """What a function's module knows; a name that it does not is a class of its own."""

    def __missing__(self, name: str) -> type:
        return type(name, (_Unknown,), {})


def _is_absent(hint: Any) -> bool:
    if getattr(hint, "_is_protocol", False):
        return True
    parts = [hint, typing.get_origin(hint), *typing.get_args(hint)]
    return any(inspect.isclass(part) and issubclass(part, _Unknown) for part in parts)


def _items(hint: Any) -> tuple[Any, str | int] | None:
    """Type and number of words of a list or tuple; None for other types."""
    origin, items = typing.get_origin(hint), typing.get_args(hint)
    if origin not in (list, tuple, Sequence):
        return None
    return items[0], len(items) if origin is tuple and items[-1] is not Ellipsis else "+"


def _prefix(name: str) -> str:
    """What the flags of a dataclass in this parameter begin with."""
    return name.removesuffix("mask") if name.endswith("mask") else ""


def _summary(source: Callable[..., Any]) -> str:
    """What a docstring says before its sections, as one paragraph."""
    parsed = docstring_parser.parse(inspect.getdoc(source) or "")
    text = f"{parsed.short_description or ''} {parsed.long_description or ''}"
    return words(text.split()).replace("`", "")


def _parameter_texts(source: Callable[..., Any]) -> dict[str, str]:
    """What the docstrings of a function, or of a class, its bases and its constructor, say."""
    documented = [source]
    if inspect.isclass(source):
        documented = [*reversed(inspect.getmro(source)), source.__init__]
    texts = {}
    for each in documented:
        for parameter in docstring_parser.parse(inspect.getdoc(each) or "").params:
            texts[parameter.arg_name] = words((parameter.description or "").split())
    return texts
