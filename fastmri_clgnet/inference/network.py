"""The type of a network that Python calls may give in place of a file of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Network(Protocol):
    """What `load` gives, or a Lightning module: fastMRI's, this package's or one derived from them.

    It is named here without importing torch, so that a command's help is quick.
    """

    def state_dict(self) -> Mapping[str, Any]:
        """Parameters and buffers by name."""
