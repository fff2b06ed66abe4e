"""The one exception for what a user can fix: bad input, said in one line; its exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """Input that cannot be used: the message names it, says what was expected and what to do.

    Example:
        >>> from fastmri_clgnet import Mask
        >>> try:
        ...     Mask(accelerations=(4, 8))
        ... except InputError as error:
        ...     print(str(error).partition(":")[0])
        accelerations 4 8 has 2 values, center_fractions 0.08 has 1
    """


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say which file or folder could not be written, such as on a full disk."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py and torch raise the latter, too
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(
            f"{path}: cannot be written ({reason}); an existing file is unchanged. Free space on "
            "that disk, or choose another folder, and repeat the command"
        ) from error


def failure(path: Path, error: BaseException) -> str:
    """What is wrong with one of many files, in one line, whatever was raised."""
    if isinstance(error, InputError):
        return str(error)
    reason = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, OSError | ValueError):
        reason = f"{type(error).__name__}: {reason}"
    return f"{path}: cannot be used ({reason})"


def words(values: Iterable[object]) -> str:
    """Values with spaces between, as on a command line."""
    return " ".join(map(str, values))


def exit_status(command: Callable[[], int], debug: bool = False) -> int:
    """Run a command; an `InputError` or `OSError` is one line on stderr, or raised to debug."""
    try:
        return command()
    except (InputError, OSError) as error:
        if debug:
            raise
        # an error in a loader's worker comes with the worker's traceback in front
        print(f"error: {str(error).rsplit('InputError: ', 1)[-1].strip()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command continues where it can.", file=sys.stderr)
        return 130
