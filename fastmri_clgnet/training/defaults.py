"""What the training commands take where nothing is said: data, folder, the demo's settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import read_yaml
from fastmri_clgnet.pl_modules.registry import DEFAULT_MODEL

DIRS_FILE = Path("fastmri_dirs.yaml")
# what fastMRI's own scripts write into a fastmri_dirs.yaml that nobody has edited yet
_TEMPLATE_DIRS = {Path("/path/to/knee"), Path("/path/to/brain")}

# The demo trains a small network; a flag or --config still wins. It is a demo, not a benchmark.
DEMO: dict[str, Any] = {
    "batch_size": 2,
    "devices": 1,  # each process would need a validation volume
    "num_workers": 0,
    "max_epochs": 24,
    "num_log_images": 4,
    "log_every_n_steps": 8,
    "num_sanity_val_steps": 0,
}
_SMALL = {"chans": 16, "num_groups": 1, "num_blocks": 2, "lr": 2e-3, "lr_step_size": 18}
DEMO_MODELS: dict[str, Mapping[str, Any]] = {
    # VGG19's first layers at this size cost no more than the network; all images are negatives
    DEFAULT_MODEL: {**_SMALL, "vgg_layers": (1, 3, 5), "num_negatives": 2},
    "clgnet_dc": _SMALL,
    "clgvarnet": {**_SMALL, "chans": 8, "num_cascades": 4},
    "varnet": {
        "num_cascades": 3, "chans": 8, "pools": 2, "sens_chans": 4, "sens_pools": 2,
        "lr": 2e-3, "lr_step_size": 18,
    },
}  # fmt: skip


def find_data(data_path: Path | None, demo_dir: Path | None) -> Path | None:
    """The folder that holds {challenge}_train and so on, or None for the demo data set.

    It is data_path, or none for demo_dir, else what fastmri_dirs.yaml in this folder names.

    Raises:
        InputError: If fastmri_dirs.yaml cannot be read, or names no folder that exists.
    """
    if data_path is not None or demo_dir is not None:
        return data_path
    dirs = _read_dirs()
    named = {key: Path(dirs[key]) for key in ("knee_path", "brain_path") if key in dirs}
    named = {key: folder for key, folder in named.items() if folder not in _TEMPLATE_DIRS}
    for folder in named.values():
        if folder.is_dir():
            return folder
    if named:
        places = ", ".join(f"{key}: {folder}" for key, folder in named.items())
        raise InputError(f"{DIRS_FILE}: no such folder ({places}); correct it, or give data_path")
    return None


def default_root(name: str, challenge: str, demo: bool) -> Path:
    """The folder of a run: NAME/CHALLENGE[_demo] under log_path of fastmri_dirs.yaml, or here."""
    logs = Path(_read_dirs().get("log_path", "."))
    return logs / name / (challenge + ("_demo" if demo else ""))


def _read_dirs() -> dict[str, Any]:
    """The contents of fastmri_dirs.yaml, empty if there is none (fastMRI would create one)."""
    if not DIRS_FILE.is_file():
        return {}
    return read_yaml(DIRS_FILE, "a YAML file of knee_path, brain_path and log_path")
