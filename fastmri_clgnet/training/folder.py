"""The folder of a run: where it is by default, and that one run at a time writes to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fastmri.pl_modules import MriModule
from filelock import FileLock, Timeout

from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import make_folder
from fastmri_clgnet.pl_modules.registry import name_of

# loader processes of a run that was killed hold its lock until they notice, some seconds later
PATIENCE = 10.0


def default_folder(module: MriModule, data: Data) -> Path:
    """MODEL/CHALLENGE[_demo] in the working folder."""
    model = name_of(module) or type(module).__name__
    return Path(model, f"{data.challenge}{'_demo' if data.is_demo else ''}")


@contextlib.contextmanager
def sole_run(root: Path, first: bool) -> Iterator[None]:
    """Let the run's first process hold its folder, and remove what a killed run left half-written.

    Raises:
        InputError: If another run holds it.
    """
    make_folder(root)
    if not first:
        yield
        return
    try:
        held = FileLock(root / ".lock").acquire(timeout=PATIENCE)
    except Timeout as error:
        raise InputError(
            f"{root}: another run is writing there; stop it, wait for its end, or give another "
            "default_root_dir"
        ) from error
    with held:
        for path in root.rglob(".*.tmp"):
            path.unlink(missing_ok=True)
        yield
