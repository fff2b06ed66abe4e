"""What a report is about: runs of train_clgnet, and folders of reconstructions."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from fastmri_clgnet.data import make_demo_dataset
from fastmri_clgnet.data.fastmri_file import TARGET_KEYS
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.evaluation.labels import labels
from fastmri_clgnet.reconstruct import read_settings
from fastmri_clgnet.pl_modules.registry import MODELS, ZERO_FILLED
from fastmri_clgnet.training.checkpoint import BEST, LAST, checkpoint_dir
from fastmri_clgnet.training.masks import MASK_FLAGS, val_mask

CONFIG = "config.yaml"
MADE = "validation_reconstructions"  # under a run's folder: what the report reconstructed


class Source(NamedTuple):
    """A method of the report.

    Args:
        label: Its name.
        path: The run's folder, or the folder of reconstructions.
        is_run: Which of them it is.
        settings: config.yaml of the run, or what the first submission file says of itself.
    """

    label: str
    path: Path
    is_run: bool
    settings: dict[str, Any]

    @property
    def mask(self) -> dict[str, Any] | None:
        """Mask type, accelerations and centre fractions of validation, if they are known."""
        if self.is_run:
            # flags that were not given are not in config.yaml
            flags = {**{f"val_{name}": None for name in MASK_FLAGS}, **self.settings}
            settings = val_mask(Namespace(**flags))._asdict()
            return {name: settings[name] for name in MASK_FLAGS}
        mask = self.settings.get("mask")
        return mask if isinstance(mask, dict) else None

    @property
    def checkpoint(self) -> Path | None:
        """The run's best checkpoint, else its last."""
        paths = [checkpoint_dir(self.path) / f"{name}.ckpt" for name in (BEST, LAST)]
        return next((path for path in paths if path.is_file()), None)

    def command(self, target_path: Path | None) -> str | None:
        """The command that makes it again, if it is known."""
        if self.is_run:
            config = shlex.quote(str(self.path / CONFIG))
            return f"python -m fastmri_clgnet.train_clgnet --config {config}"
        if "model" not in self.settings or target_path is None:
            return None
        flags = ["--data_path", str(target_path), "--output_path", str(self.path)]
        if self.settings["model"] == ZERO_FILLED:
            flags += ["--model", ZERO_FILLED]
        else:
            flags += ["--checkpoint", str(self.settings.get("checkpoint"))]
        for name, value in (self.mask or {}).items():
            flags += [f"--{name}", *words(value if isinstance(value, list) else [value]).split()]
        if "precision" in self.settings:
            flags += ["--precision", str(self.settings["precision"])]
        return f"python -m fastmri_clgnet.reconstruct {shlex.join(flags)}"


def find_sources(paths: Sequence[Path], names: Sequence[str] | None) -> list[Source]:
    """Look at what was given.

    Args:
        paths: Run folders of train_clgnet and folders of reconstructions.
        names: Labels; by default the model's name where it is known and unique, else what tells
            the paths apart.

    Returns:
        The sources, in that order.

    Raises:
        InputError: If one is neither, or the names do not fit.
    """
    distinct = labels(paths)
    found = [_look_at(path) for path in paths]
    models = [str(settings.get("model")) for _, settings in found]
    if names is None:
        names = [
            MODELS[model].label if model in MODELS and models.count(model) == 1 else other
            for model, other in zip(models, distinct, strict=True)
        ]
    if len(names) != len(paths) or len(set(names)) < len(names):
        raise InputError("--labels: expected a name of its own for each run or folder")
    return [
        Source(name, path, is_run, settings)
        for name, path, (is_run, settings) in zip(names, paths, found, strict=True)
    ]


def _look_at(path: Path) -> tuple[bool, dict[str, Any]]:
    config = path / CONFIG
    if config.is_file():
        try:
            settings = yaml.safe_load(config.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{config}: not a YAML file of flags ({error})") from error
        if not isinstance(settings, dict) or not {"challenge", *MASK_FLAGS} <= settings.keys():
            raise InputError(f"{config}: expected the settings that train_clgnet wrote there")
        if settings["challenge"] not in TARGET_KEYS:
            raise InputError(
                f"{config}: challenge {settings['challenge']!r}; expected one of "
                f"{words(TARGET_KEYS)}"
            )
        return True, settings
    files = sorted(path.glob("*.h5")) if path.is_dir() else []
    if not files:
        raise InputError(
            f"{path}: expected a run folder of train_clgnet (with {CONFIG}) or a folder of "
            "reconstructions (*.h5)"
        )
    return False, read_settings(files[0]) or {}


def find_target_path(sources: Sequence[Source], target_path: Path | None) -> Path | None:
    """Where the references are: as asked, else the validation volumes of the first run.

    Args:
        sources: Of the report.
        target_path: The flag.

    Returns:
        The folder; None if a run's data is not where its configuration says.

    Raises:
        InputError: If the folder that was asked for is not there, or there is no run to ask.
    """
    if target_path is not None:
        if not target_path.is_dir():
            raise InputError(f"--target-path {target_path}: no such folder")
        return target_path
    runs = [source for source in sources if source.is_run]
    if not runs:
        raise InputError("folders of reconstructions need --target-path, the fully sampled files")
    settings = runs[0].settings
    challenge = settings["challenge"]
    if settings.get("data_path") is not None:
        root = Path(settings["data_path"])
    else:
        demo_dir = settings.get("demo_dir")
        root = make_demo_dataset(challenge, None if demo_dir is None else Path(demo_dir))
    folder = root / f"{challenge}_val"
    return folder if folder.is_dir() else None
