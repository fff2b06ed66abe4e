"""Names of files, and writing files whole or not at all."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from fastmri_clgnet.errors import InputError, words, writing

_METADATA_BYTES = 2**16  # more than an HDF5 file needs besides its arrays


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key of names whose numbers count by their value, such as slice_2 before slice_10."""
    parts = re.split(r"(\d+)", name.lower())  # text and numbers in turn
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it on success, remove it on failure.

    The folder is created if needed.
    """
    if not path.name:
        raise InputError(f"{path}: expected the name of a file")
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # a power cut could otherwise leave an empty file
            temporary.replace(path)
    finally:
        with suppress(OSError):  # of a name that is too long
            temporary.unlink(missing_ok=True)


def expect_writable(path: Path) -> None:
    """Raise an `InputError` now, and not after hours of work, if a file cannot be written there."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected the name of a file")
    folder = next(each for each in path.parents if each.exists())
    if not folder.is_dir():
        make_folder(path.parent)  # which says what is in the way
    with writing(path), tempfile.NamedTemporaryFile(prefix=".fastmri_clgnet.", dir=folder):
        pass


def make_folder(path: Path) -> None:
    """Create a folder and its parents if needed; raise an InputError if a file is in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        with suppress(OSError):  # names that are too long, folders of other users
            for place in (path, *path.parents):
                if place.is_file():
                    raise InputError(
                        f"{place}: is a file, expected a folder; move it, or give another one"
                    ) from error
        raise InputError(
            f"{path}: cannot be made ({error.strerror}); choose another folder"
        ) from error


def write_json(path: Path, contents: Any) -> None:
    """Write plain values and paths as indented JSON, whole or not at all."""
    text = json.dumps(contents, indent=2, default=os.fspath) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_space(sizes: Mapping[Path, int]) -> None:
    """Raise an error if new files do not fit on the disk, given the bytes of their arrays."""
    # The HDF5 library crashes at the end of the process if a file could not be written in full,
    # even if the error was caught. So the space is allocated and freed once beforehand.
    try:
        for path, n_bytes in sizes.items():
            with path.open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, n_bytes + _METADATA_BYTES)
    finally:
        for path in sizes:
            path.unlink(missing_ok=True)


def plain_name(name: str) -> str:
    """Return a file's name; raise an InputError if it leads out of the folder it is written to."""
    if name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        raise InputError(f"{name!r}: expected the name of a file only, without folders")
    return name


def read_yaml(path: Path, expected: str) -> dict[str, Any]:
    """Read a YAML mapping of plain values; tags that would make Python objects are an error."""
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); expected {expected}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not {expected} ({words(str(error).split())})") from error
    if not isinstance(contents, dict):
        raise InputError(f"{path}: expected {expected}, got {type(contents).__name__}")
    return contents
