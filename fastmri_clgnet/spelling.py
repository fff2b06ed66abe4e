"""The words of a command line: flags from files are added, and all are spelled as tyro expects.

Lists and tuples take several words. A mapping takes a name and a value, and can be repeated. A
switch is --NAME, --no_NAME, or --NAME true|false. Hyphens and underscores are equivalent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from fastmri_clgnet.files import read_yaml
from fastmri_clgnet.flags import Flag, Flags, takes

COMMON = {
    "config": Flag(Path | None, None, "YAML file of flags; the command line wins."),
    "print_config": Flag(bool, False, "Print all flags as YAML, for --config, and exit."),
    "debug": Flag(bool, False, "Show the traceback of an error in the input."),
}
_PYTHON = {"true": "True", "false": "False", "null": "None"}


def with_config(line: Sequence[str]) -> list[str]:
    """Put the flags from the --config file in front, as words."""
    path = chosen(line, "config")
    settings = {} if path is None else read_yaml(Path(path), "a YAML file of flags")
    texts = [
        (n, v if isinstance(v, str) else json.dumps(v, default=str)) for n, v in settings.items()
    ]
    return [*(f"--{name}={text}" for name, text in texts), *line]


def as_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of a --config file: plain values; null may be other than the default."""
    plain = json.loads(json.dumps({**values}, default=str))
    return {name: value for name, value in plain.items() if name not in COMMON}


def chosen(line: Sequence[str], flag: str) -> str | None:
    """Return the value of a flag that determines which others exist; the last one counts."""
    found = None
    for word, after in zip(line, [*line[1:], None], strict=False):
        if flag_name(word) == flag:
            found = word.partition("=")[2] if "=" in word else after
    return found


def flag_name(word: str) -> str:
    """Return the name of a flag, with underscores; empty for other words."""
    return word[2:].partition("=")[0].replace("-", "_") if word.startswith("--") else ""


def _json_list(text: str) -> list[Any] | None:
    """A list as config files have it, such as [1, 3]; None for other words, such as [old]."""
    try:
        value = json.loads(text) if text.startswith("[") else None
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def spelled(line: Sequence[str], known: Flags, rest: bool = False) -> list[str]:
    """Spell words as tyro does: --x=True for --x, --x=False for --no_x, None for null.

    Args:
        line: The words.
        known: The flags.
        rest: Whether unknown flags belong to another command; they are then left unchanged.

    Returns:
        The words for tyro.
    """
    left, result = [*line], list[str]()
    flag: Flag | None = None
    while left:
        word = left.pop(0)
        name, (_, equals, value) = flag_name(word), word.partition("=")
        flag = known.get(name) if name else flag  # the flag that the word belongs to
        if name and flag is not None and takes(flag, bool):
            choices = [text for part in get_args(flag.hint) for text in get_args(part)]
            if not equals:
                follows = left and left[0].lower() in (*_PYTHON, *choices)
                value = left.pop(0) if follows else "true"
            word = f"--{name}={_PYTHON.get(value.lower(), value)}"
        elif name.startswith("no_") and takes(known.get(name[3:]), bool):
            word = f"--{name[3:]}=False"
        elif takes(flag, list, tuple, Sequence) and (items := _json_list(value)) is not None:
            result += [f"--{name}", *map(str, items)]
            continue
        elif word.startswith("-") and " " in word and name not in known:
            word = f" {word}"  # a value, such as other flags
        elif equals and name and name not in known and not rest:
            result.append(f"--{name}")  # tyro then compares only the name with those of the flags
            word = value
        elif flag is not None:
            word = re.sub(r"(\A|=)null\Z", r"\1None", word)
        result.append(word)
    return result
