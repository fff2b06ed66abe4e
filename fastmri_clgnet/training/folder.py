"""The folder of a run: where it is, that one run at a time writes to it, what config.yaml says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastmri.pl_modules import MriModule
from filelock import FileLock, Timeout

from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import make_folder
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL, MODELS, name_of

# loader processes of a run that was killed hold its lock until they notice, some seconds later
PATIENCE = 10.0


def default_folder(module: MriModule, data: Data) -> Path:
    """MODEL/CHALLENGE[_demo] in the working folder."""
    model = name_of(module) or type(module).__name__
    return Path(model, f"{data.challenge}{'_demo' if data.is_demo else ''}")


@contextlib.contextmanager
def sole_run(root: Path, first: bool) -> Iterator[None]:
    """Let the run's first process hold its folder, and remove what a killed run left half-written.

    Raises an `InputError` if another run holds it.
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


def config_of(
    module: MriModule, data: Data, root: Path, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What config.yaml says, by the names of the command's flags: plain values."""
    model = name_of(module)
    values: dict[str, Any] = {} if model is None else {"model": model}
    values |= {**vars(data), **vars(data.mask)}
    if data.val_mask is not None:
        values |= {f"val_{key}": value for key, value in vars(data.val_mask).items()}
    fixed = {} if model is None else MODELS[model].fixed
    values |= {key: value for key, value in module.hparams.items() if key not in fixed}
    if model == DEFAULT_MODEL:
        values["alpha"] = getattr(module.loss, "alpha", 0.0)
    values |= {**settings, "default_root_dir": root}
    plain = {key: _plain(value) for key, value in values.items()}
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    """The value as YAML has it; None for what it has not."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else None
