"""The names of a state dictionary: what wrappers add to them, and how two of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

# what torch.compile, and DataParallel and its like, put into the names of what they wrap
_WRAPPERS = frozenset({"_orig_mod", "module"})
_SHOWN = 3


def plain_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dictionary without the names of wrappers, wherever they are.

    One in which two names would become the same, or that has names of other types, stays as it is.
    """
    names = [_plain(name) if isinstance(name, str) else name for name in state]
    return dict(zip(names if len({*names}) == len(state) else state, state.values(), strict=True))


def named_for(module: nn.Module, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dictionary by the names of a module, which may be wrapped otherwise."""
    own = {_plain(name): name for name in module.state_dict()}
    return {own.get(name, name): values for name, values in plain_names(state).items()}


def load_whatever_wraps(module: nn.Module) -> None:
    """Make a module's `load_state_dict`, whoever calls it, take other wrappers' names."""
    module.register_load_state_dict_pre_hook(_rename)


def _rename(module: nn.Module, state: dict[str, torch.Tensor], prefix: str, *_: Any) -> None:
    if not prefix:  # else it is part of a module that is loaded
        named = named_for(module, state)
        state.clear()
        state.update(named)


def difference(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> str | None:
    """How the names and shapes of two state dictionaries differ, in one line; None if not."""
    shapes = {name: tuple(values.shape) for name, values in expected.items()}
    others = [
        f"{name} {_size(values.shape)} instead of {_size(shapes[name])}"
        for name, values in state.items()
        if shapes.get(name, tuple(values.shape)) != tuple(values.shape)
    ]
    parts = (
        _some("missing", [name for name in expected if name not in state]),
        _some("left over", [name for name in state if name not in expected]),
        _some("of another shape", others),
    )
    return "; ".join(part for part in parts if part) or None


def printable(name: object) -> str:
    """A name from a file that nobody here may have written, for one line of an error."""
    return "".join(letter for letter in str(name) if letter.isprintable())[:80]


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _some(what: str, names: list[str]) -> str:
    """The first names of a list, and how many others there are."""
    more = len(names) - _SHOWN
    shown = ", ".join(map(printable, names[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
    return f"{what}: {shown}" if names else ""


def _size(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a number"
