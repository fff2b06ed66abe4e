"""Registers this package's models in fastMRI, without importing either.

When a package of fastMRI is imported, before this one or after it, it gets a `__getattr__` (PEP
562) that imports our class on first use. Names of fastMRI's own are found first, so none of them
is changed or shadowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import wrapt

_MODELS = {"CLGNet": "fastmri_clgnet.models", "CLGVarNet": "fastmri_clgnet.models"}
_MODULES = {
    "CLGNetModule": "fastmri_clgnet.pl_modules",
    "CLGVarNetModule": "fastmri_clgnet.pl_modules",
}


def register() -> None:
    """Add CLGNet and CLGVarNet to `fastmri.models`, their modules to `fastmri.pl_modules`."""
    offer("fastmri.models", _MODELS, _find)
    offer("fastmri.pl_modules", _MODULES, _find)


def _find(home: str, name: str) -> Any:
    return getattr(import_module(home), name)


def offer(package: str, homes: Mapping[str, str], find: Callable[[str, str], Any]) -> None:
    """Add names to a package, whenever it is imported; its own names take precedence.

    Args:
        package: Its full name.
        homes: Where each name is defined.
        find: Takes an entry of `homes` and its name; returns the object.
    """

    def extend(module: ModuleType) -> None:
        own = getattr(module, "__getattr__", None)

        def attribute(name: str) -> Any:
            if own is not None:
                with suppress(AttributeError):
                    return own(name)
            if name in homes:
                return find(homes[name], name)
            raise AttributeError(f"module {package!r} has no attribute {name!r}")

        vars(module)["__getattr__"] = attribute

    wrapt.register_post_import_hook(extend, package)
