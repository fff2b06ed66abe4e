"""Turn typed functions into commands: parameters become flags, the docstring the help (tyro)."""

from __future__ import annotations

import inspect
import keyword
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import tyro
import yaml

from fastmri_clgnet.errors import exit_status
from fastmri_clgnet.files import expect_writable
from fastmri_clgnet.flags import REQUIRED, Flag, Flags, call, flags_of, summary, takes
from fastmri_clgnet.spelling import COMMON, as_config, chosen, flag_name, spelled, with_config


def run(
    function: Callable[..., Any],
    argv: Sequence[str] | None = None,
    positional: Collection[str] = (),
    *,
    prog: str = "",  # default: `python -m fastmri_clgnet.` and the function's name
    # a parameter that takes one of several dataclasses, the flag that picks one, the dataclasses
    choice: tuple[str, str, Mapping[str, type]] = ("", "", {}),
    rest: str = "",  # a parameter that takes another command's flags, including --config
    then: Callable[..., int | None] | None = None,  # takes the result and its own flags
) -> int:
    """Run a function as a command; return the exit status."""
    given, finish = list(sys.argv[1:] if argv is None else argv), then or show
    parameter, picker, classes = choice

    def command() -> int:
        line = given if rest else with_config(given)
        result = next(iter(inspect.signature(finish).parameters))
        after = flags_of(finish, {result})
        own = flags_of(function, {parameter, rest}) | after
        others = {name: flags_of(each) for name, each in classes.items()}
        groups = {"": own}
        if picker:
            texts = [f"{name}: {summary(each)}" for name, each in classes.items()]
            text = " ".join([*texts, f"--{picker} NAME --help shows the flags of one."])
            own[picker] = Flag(Literal[tuple(classes)], text=text)
            groups |= {name: others[name] for name in others if name == chosen(line, picker)}
        title = prog or f"python -m fastmri_clgnet.{function.__name__}"
        values, unknown = parse(
            line, title, summary(function), groups, positional, (picker, others), bool(rest)
        )
        for path in (values[name] for name in after if isinstance(values[name], Path)):
            expect_writable(path)
        made: dict[str, Any] = {rest: unknown} if rest else {}
        if picker:
            made[parameter] = call(classes[values[picker]], values)
        return call(finish, values, **{result: call(function, values, **made)}) or 0

    return exit_status(command, "--debug" in given)


def show(result: object) -> int:
    """Print a result and its `failures`, if any; return 1 if it has some or is not `good`."""
    if result is not None:
        print(result)
    failures = getattr(result, "failures", ())
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return int(bool(failures) or not getattr(result, "good", True))


def parse(
    line: Sequence[str],
    prog: str,
    description: str,
    groups: Mapping[str, Flags],  # by title
    positional: Collection[str] = (),
    others: tuple[str, Mapping[str, Flags]] = ("", {}),  # a flag, and its choices' flags
    rest: bool = False,  # whether unknown flags belong to another command
) -> tuple[dict[str, Any], list[str]]:
    """Parse a command line; return the values by name, and the words for another command."""
    groups = {**groups, "": {**groups[""], **({"debug": COMMON["debug"]} if rest else COMMON)}}
    known = {name: flag for flags in groups.values() for name, flag in flags.items()}
    for name in sorted({flag_name(word) for word in line} - known.keys()):
        if fitting := [choice for choice, flags in others[1].items() if name in flags]:
            _refuse(f"--{name} is a flag of --{others[0]} {', '.join(fitting)} only")
    fields: list[Any] = []
    for title, flags in groups.items():
        made = [_field(name, flag, name in positional) for name, flag in flags.items()]
        inner: Any = make_dataclass(title, made)
        group = Annotated[inner, tyro.conf.arg(name=title, help="")]
        fields += [(title, group, field(kw_only=True))] if title else made
    options: Any = {"prog": prog, "use_underscores": True, "return_unknown_args": rest}
    options["config"] = (tyro.conf.FlagConversionOff, tyro.conf.PositionalMetavarFromFieldName)
    options |= {"args": spelled(line, known, rest), "description": description}
    parsed: Any = tyro.cli(make_dataclass("Flags", fields), **options)
    parsed, unknown = parsed if rest else (parsed, [])
    parts = [vars(getattr(parsed, title, parsed)) for title in groups]
    found = {name.removesuffix("_"): value for part in parts for name, value in part.items()}
    values = {name: None if found[name] == {} else found[name] for name in known}
    if empty := [n for n in known if known[n].default is REQUIRED and values[n] in ([], ())]:
        _refuse(f"missing {', '.join(empty)}")
    if values.get("print_config"):
        flags_only = {name: value for name, value in values.items() if name not in positional}
        print(yaml.safe_dump(as_config(flags_only), sort_keys=False), end="")
        raise SystemExit(0)
    return values, unknown


def _field(name: str, flag: Flag, positional: bool) -> tuple[str, Any, Any]:
    """Return a flag as a dataclass field."""
    hint, default, marks = flag.hint, flag.default, [tyro.conf.Positional] if positional else []
    if takes(flag, Mapping):
        hint, default, marks = Mapping[str, str], {}, [tyro.conf.UseAppendAction]
    how = tyro.conf.arg(name=name, help=flag.text, prefix_name=False)
    made: Any = {} if default is REQUIRED else {"default_factory": lambda: default}
    name = f"{name}_" if keyword.iskeyword(name) else name  # a field cannot be named `from`
    return name, Annotated[(hint, how, *marks)], field(kw_only=True, **made)


def _refuse(message: str) -> NoReturn:
    """Print an error in the command line, and exit."""
    print(f"error: {message}; see --help", file=sys.stderr)
    raise SystemExit(2)
