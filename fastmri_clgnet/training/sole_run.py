"""Keeps two runs from writing into one folder."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.training.checkpoint import checkpoint_dir

# loader processes of a run that was killed hold its lock until they notice, some seconds later
_PATIENCE = 10.0


@contextlib.contextmanager
def sole_run(root: Path, first: bool) -> Iterator[None]:
    """Make a run's folder and hold it; a run that is killed lets go of it.

    What such a run had written by half, under temporary names, is removed.

    Args:
        root: The folder.
        first: Whether this is the first process of the run, which holds it for all.

    Raises:
        InputError: If another run holds it.
    """
    root.mkdir(parents=True, exist_ok=True)
    if not first:
        yield
        return
    try:
        held = FileLock(root / ".lock").acquire(timeout=_PATIENCE)
    except Timeout as error:
        raise InputError(
            f"{root}: another run is writing there; stop it, wait for its end, or give another "
            "--default_root_dir"
        ) from error
    with held:
        for path in (*checkpoint_dir(root).glob(".*.tmp"), *root.glob(".*.*.*.tmp")):
            path.unlink(missing_ok=True)
        for folder in root.glob(".reconstructions.*/"):
            shutil.rmtree(folder, ignore_errors=True)
        yield
