"""The one exception for what a user can mend: bad input, said in one line; and words for it."""

from __future__ import annotations

from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be used: the message names it, says what was expected and what to do."""


def words(values: Iterable[object]) -> str:
    """Values with spaces between, as on a command line."""
    return " ".join(map(str, values))
