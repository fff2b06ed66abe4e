"""Makes this package's models known to fastMRI, without importing either.

When a package of fastMRI's is imported, before this one or after it, it gets a `__getattr__` (PEP
562), which imports our class when its name is asked for. A name that fastMRI has itself is found
first, so nothing of its own is changed or shadowed.
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
    """Let a package, whenever it is imported, offer names that it does not have itself.

    Args:
        package: Its full name.
        homes: Where the names are.
        find: Takes an entry of `homes` and its name; gives what is called so.
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
