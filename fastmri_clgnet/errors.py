"""The exception for bad input, with a message of one line, and its exit status."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """Unusable input: the message names it, and says what was expected and what to do.

    Example:
        >>> from fastmri_clgnet import Mask
        >>> try:
        ...     Mask(accelerations=(4, 8))
        ... except InputError as error:
        ...     print(str(error).partition(":")[0])
        accelerations 4 8 has 2 values, center_fractions 0.08 has 1
    """


class NotWritten(InputError):
    """A file that cannot be written, such as on a full disk."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file or folder in errors of writing, such as on a full disk."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py and torch also raise RuntimeError
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise NotWritten(
            f"{path}: cannot be written ({reason}); an existing file is unchanged. Free space on "
            "that disk, or choose another folder, and repeat the command"
        ) from error


def need_package(package: str, extra: str, what: str) -> Any:
    """Import an optional package; without it the `InputError` says what needs it, and the extra."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{what} {package}: pip install 'fastmri_clgnet[{extra}]', or pip install {package}"
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
    """Join values with spaces, as on a command line."""
    return " ".join(map(str, values))


def exit_status(command: Callable[[], int], debug: bool = False) -> int:
    """Run a command; print an `InputError` or `OSError` as one line, or raise it with `debug`."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the program that reads the output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InputError, OSError) as error:
        if debug:
            raise
        # an error from a loader's worker starts with the worker's traceback
        print(f"error: {str(error).rsplit('InputError: ', 1)[-1].strip()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command continues where it can.", file=sys.stderr)
        return 130
