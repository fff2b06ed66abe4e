"""The ways to make one coil of several, by name, and the default."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

SingleCoilMethod = Literal["espirit", "adaptive", "emulated"]


def default_method() -> SingleCoilMethod:
    """How one coil is made of several where nothing is said."""
    return "adaptive" if find_spec("sigpy") is None else "espirit"
