"""What config.yaml says of a run, by the names of the command's flags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastmri.pl_modules import MriModule

from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL, MODELS, name_of


def config_of(
    module: MriModule, data: Data, root: Path, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of module and data, and the settings, as plain values."""
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
