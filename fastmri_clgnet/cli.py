"""Commands from typed functions, by tyro: the parameters are the flags, the docstring is the help.

Lists and tuples take several words, a mapping takes a name and a value and may be given several
times. A switch is --NAME, --no_NAME, or --NAME true|false. Hyphens are as good as underscores.
"""

from __future__ import annotations

import inspect
import json
import keyword
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin

import tyro
import yaml

from fastmri_clgnet.errors import exit_status
from fastmri_clgnet.files import read_yaml
from fastmri_clgnet.flags import REQUIRED, Flag, Flags, call, flags_of, summary

COMMON = {
    "config": Flag(Path | None, None, "YAML file of flags; the command line wins."),
    "print_config": Flag(bool, False, "Print all flags as YAML, for --config, and exit."),
    "debug": Flag(bool, False, "Show the traceback of an error in the input."),
}


_PYTHON = {"true": "True", "false": "False", "null": "None"}


def run(
    function: Callable[..., Any],
    argv: Sequence[str] | None = None,
    positional: Collection[str] = (),
    *,
    prog: str = "",  # by default `python -m fastmri_clgnet.` and the function's name
    # a parameter that takes one of several dataclasses, the flag that picks one, and them
    choice: tuple[str, str, Mapping[str, type]] = ("", "", {}),
    rest: str = "",  # a parameter that takes the words of another command's flags, also --config
    then: Callable[..., int | None] | None = None,  # takes the result, and flags of its own
) -> int:
    """Run a function as a command; returns the exit status."""
    given, finish = list(sys.argv[1:] if argv is None else argv), then or show
    parameter, picker, classes = choice

    def command() -> int:
        line = given if rest else with_config(given)
        result = next(iter(inspect.signature(finish).parameters))
        own = flags_of(function, {parameter, rest}) | flags_of(finish, {result})
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
        made: dict[str, Any] = {rest: unknown} if rest else {}
        if picker:
            made[parameter] = call(classes[values[picker]], values)
        return call(finish, values, **{result: call(function, values, **made)}) or 0

    return exit_status(command, "--debug" in given)


def show(result: object) -> int:
    """Print a result and its `failures`, if any; status 1 if it has some, or is not `good`."""
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
    others: tuple[str, Mapping[str, Flags]] = ("", {}),  # a flag, and the flags of its choices
    rest: bool = False,  # whether flags that are not listed are another command's
) -> tuple[dict[str, Any], list[str]]:
    """Parse words; gives values by name, and the words that are another command's flags."""
    common = {name: flag for name, flag in COMMON.items() if name == "debug" or not rest}
    groups = {**groups, "": {**groups[""], **common}}
    known = {name: flag for flags in groups.values() for name, flag in flags.items()}
    for name in sorted({_name(word) for word in line} - known.keys()):
        if fitting := [choice for choice, flags in others[1].items() if name in flags]:
            _refuse(f"--{name} is a flag of --{others[0]} {', '.join(fitting)} only")
    if not rest:  # else tyro would look for flags like --cuont=3
        unknown = {_name(word) for word in line} - {"", *known}
        split = [word.split("=", 1) if _name(word) in unknown else [word] for word in line]
        line = [word for words in split for word in words]
    fields: list[Any] = []
    for title, flags in groups.items():
        made = [_field(name, flag, name in positional) for name, flag in flags.items()]
        group = Annotated[make_dataclass(title, made), tyro.conf.arg(name=title, help="")]
        fields += [(title, group, field(kw_only=True))] if title else made
    options: Any = {"prog": prog, "use_underscores": True, "return_unknown_args": rest}
    options["config"] = (tyro.conf.FlagConversionOff, tyro.conf.PositionalMetavarFromFieldName)
    options |= {"args": _spelled(line, known), "description": description}
    parsed: Any = tyro.cli(make_dataclass("Flags", fields), **options)
    parsed, unknown = parsed if rest else (parsed, [])
    parts = [vars(getattr(parsed, title, parsed)) for title in groups]
    found = {name: value for part in parts for name, value in part.items()}
    values = {n: None if found[_safe(n)] == {} else found[_safe(n)] for n in known}
    if empty := [n for n in known if known[n].default is REQUIRED and values[n] in ([], ())]:
        _refuse(f"missing {', '.join(empty)}")
    if values.get("print_config"):
        print(yaml.safe_dump(as_config(values), sort_keys=False), end="")
        raise SystemExit(0)
    return values, unknown


def with_config(line: Sequence[str]) -> list[str]:
    """Put what the file of --config says in front, as words."""
    path = chosen(line, "config")
    settings = {} if path is None else read_yaml(Path(path), "a YAML file of flags")
    texts = [
        (n, v if isinstance(v, str) else json.dumps(v, default=str)) for n, v in settings.items()
    ]
    return [*(f"--{name}={text}" for name, text in texts), *line]


def as_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of --config says: plain values, without those that are None."""
    plain = json.loads(json.dumps({**values}, default=str))
    return {n: value for n, value in plain.items() if value is not None and n not in COMMON}


def chosen(line: Sequence[str], flag: str) -> str | None:
    """The value of a flag that others depend on; the last one counts."""
    found = None
    for word, after in zip(line, [*line[1:], None], strict=False):
        if _name(word) == flag:
            found = word.partition("=")[2] if "=" in word else after
    return found


def _name(word: str) -> str:
    """The name of a flag, as Python spells it; empty for other words."""
    return word[2:].partition("=")[0].replace("-", "_") if word.startswith("--") else ""


def _safe(name: str) -> str:
    """The name of a dataclass's field, which must be no keyword, such as `from`."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _takes(flag: Flag | None, *kinds: Any) -> bool:
    """Whether a flag takes values of one of these types."""
    parts = () if flag is None else (flag.hint, *get_args(flag.hint))
    return any((get_origin(part) or part) in kinds for part in parts)


def _field(name: str, flag: Flag, positional: bool) -> tuple[str, Any, Any]:
    """A flag as a field of a dataclass."""
    hint, default, marks = flag.hint, flag.default, [tyro.conf.Positional] if positional else []
    if _takes(flag, Mapping):
        hint, default, marks = Mapping[str, str], {}, [tyro.conf.UseAppendAction]
    how = tyro.conf.arg(name=name, help=flag.text, prefix_name=False)
    made: Any = {} if default is REQUIRED else {"default_factory": lambda: default}
    return _safe(name), Annotated[(hint, how, *marks)], field(kw_only=True, **made)


def _spelled(line: Sequence[str], known: Flags) -> list[str]:
    """Spell words as tyro does: --x=True for --x, --x=False for --no_x, None for null."""
    left, result, flag = [*line], [], None
    while left:
        word = left.pop(0)
        name, (_, equals, value) = _name(word), word.partition("=")
        flag = known.get(name) if name else flag  # whose value the word is
        if name and _takes(flag, bool):
            choices = [text for part in get_args(flag.hint) for text in get_args(part)]
            if not equals:
                follows = left and left[0].lower() in (*_PYTHON, *choices)
                value = left.pop(0) if follows else "true"
            word = f"--{name}={_PYTHON.get(value.lower(), value)}"
        elif name.startswith("no_") and _takes(known.get(name[3:]), bool):
            word = f"--{name[3:]}=False"
        elif value.startswith("[") and _takes(flag, list, tuple, Sequence):
            result += [f"--{name}", *map(str, json.loads(value))]
            continue
        elif word.startswith("-") and " " in word and name not in known:
            word = f" {word}"  # a value, such as other flags
        elif flag is not None:
            word = re.sub(r"(\A|=)null\Z", r"\1None", word)
        result.append(word)
    return result


def _refuse(message: str) -> NoReturn:
    """Say what is wrong with the words of a command line."""
    print(f"error: {message}; see --help", file=sys.stderr)
    raise SystemExit(2)
