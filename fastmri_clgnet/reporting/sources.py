"""The sources of a report: runs of train_clgnet, and folders of reconstructions."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.data.folders import holds_masks
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.evaluation.evaluate import folder_labels
from fastmri_clgnet.files import read_yaml
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.inference.folder import reconstruct
from fastmri_clgnet.inference.regularisation import Regularisation
from fastmri_clgnet.inference.submission import read_settings
from fastmri_clgnet.run_folder import BEST, CONFIG, LAST, METRICS, PLAIN, checkpoint_dir
from fastmri_clgnet.tables import LABELS, UNTRAINED, ZERO_FILLED

MADE = "validation_reconstructions"  # folder in a run's folder for the report's reconstructions
MASK_FLAGS = [field.name for field in fields(Mask)]
REGULARISATION = fields(Regularisation)


class Source(NamedTuple):
    """A method in the report: a run's folder, or a folder of reconstructions."""

    label: str
    path: Path
    is_run: bool
    settings: dict[str, Any]  # the run's config.yaml, or the settings in the first submission file
    mask: Mask | None  # of validation, or of the reconstructions; None if unknown

    @property
    def is_fine_tuning(self) -> bool:
        """Whether it is a run of train_banding."""
        return self.is_run and "adversary_weight" in self.settings

    def command(self, target_path: Path | None) -> str | None:
        """Return the command that made it, if known."""
        if self.is_run:
            config = shlex.quote(str(self.path / CONFIG))
            command = (
                "banding.train_banding" if self.is_fine_tuning else "fastmri_clgnet.train_clgnet"
            )
            return f"python -m {command} --config {config}"
        if "model" not in self.settings or target_path is None:
            return None
        given = {name: self.settings.get(name) for name in ("model", "checkpoint", "precision")}
        del given["checkpoint" if given["model"] in UNTRAINED else "model"]
        given["regularisation"] = _regularisation(self.settings)
        given |= {"data_path": target_path, "output_path": self.path, "mask": self.mask}
        return command_line(reconstruct, given)

    def logged(self) -> dict[str, dict[str, float]]:
        """Return the metrics of the validation volumes by method, if the training wrote them."""
        path = self.path / METRICS
        if not self.is_run or not path.is_file():
            return {}
        try:
            found: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({error})") from error
        return found

    def reconstructions(self, target_path: Path, challenge: Challenge, device: str) -> Path:
        """Return the folder of reconstructions; a run's best checkpoint makes missing ones."""
        if not self.is_run:
            return self.path
        places = [checkpoint_dir(self.path) / f"{name}.ckpt" for name in (PLAIN, BEST, LAST)]
        checkpoint = next((place for place in places if place.is_file()), None)
        model = self.settings.get("model")
        if checkpoint is None and model not in UNTRAINED:
            raise InputError(
                f"{self.path}: no checkpoint to reconstruct {target_path} with; give a folder of "
                "reconstructions of these volumes instead of this run"
            )
        folder = self.path / MADE
        mask = None if holds_masks(target_path, challenge) else self.mask
        # only the report uses this folder: reconstructions of an older checkpoint are replaced
        reconstruct(
            target_path, folder, checkpoint, model=model,
            regularisation=_regularisation(self.settings), challenge=challenge, mask=mask,
            device=device, overwrite="different",
        )  # fmt: skip
        return folder


def _regularisation(settings: Mapping[str, Any]) -> Regularisation:
    """What a run's configuration, or a submission file, says of a classical method."""
    return Regularisation(**{field.name: settings.get(field.name) for field in REGULARISATION})


def command_line(
    function: Callable[..., object], given: Mapping[str, Any], positional: Collection[str] = ()
) -> str:
    """Return the command for a call; arguments that are None or the default are omitted."""
    first, flags = [], []
    for name, parameter in inspect.signature(function).parameters.items():
        value = given.get(name)
        items = {f"--{name}": value}
        if is_dataclass(value) and not isinstance(value, type):
            items = {f"--{flag}": part for flag, part in asdict(value).items()}
        for flag, part in items.items():
            words_of_it = [*map(str, part if isinstance(part, list | tuple) else [part])]
            if name in positional:
                first += words_of_it
            elif part is False:
                flags.append(f"--no_{name}")
            elif part not in (None, parameter.default):
                flags += [flag, *words_of_it]
    return f"python -m fastmri_clgnet.{function.__name__} {shlex.join([*first, *flags])}"


def _mask(values: Mapping[str, Any]) -> Mask | None:
    """Return the mask in a file's settings; None if there is none."""
    try:
        return Mask(
            values["mask_type"],
            tuple(map(int, values["accelerations"])),
            tuple(map(float, values["center_fractions"])),
        )
    except (KeyError, TypeError, ValueError):
        return None


def find_sources(paths: Sequence[Path], names: Sequence[str] | None) -> list[Source]:
    """Return the sources, named by default after their models, or their paths if models repeat."""
    distinct = folder_labels(paths)
    found = [_describe(path) for path in paths]
    models = [str(settings.get("model")) for _, settings, _ in found]
    if names is None:
        names = [
            LABELS[model] if model in LABELS and models.count(model) == 1 else other
            for model, other in zip(models, distinct, strict=True)
        ]
    names = folder_labels(paths, names)
    return [Source(name, path, *one) for name, path, one in zip(names, paths, found, strict=True)]


def _describe(path: Path) -> tuple[bool, dict[str, Any], Mask | None]:
    """Return whether it is a run, its settings and its mask."""
    config = path / CONFIG
    if config.is_file():
        settings = read_yaml(config, "the settings that train_clgnet wrote there")
        # flags of the validation default to those of the training
        mask = {name: settings.get(f"val_{name}") or settings.get(name) for name in MASK_FLAGS}
        if "challenge" not in settings or _mask(mask) is None:
            raise InputError(f"{config}: expected the settings that train_clgnet wrote there")
        challenge, known = settings["challenge"], get_args(Challenge)
        if challenge not in known:
            raise InputError(f"{config}: challenge {challenge!r}; expected one of {words(known)}")
        return True, settings, _mask(mask)
    files = sorted(path.glob("*.h5")) if path.is_dir() else []
    if not files:
        raise InputError(
            f"{path}: expected a run folder of train_clgnet (with {CONFIG}) or a folder of "
            "reconstructions (*.h5)"
        )
    made = read_settings(files[0]) or {}
    described = made.get("mask")
    return False, made, _mask(described) if isinstance(described, dict) else None


def find_target_path(sources: Sequence[Source], target_path: Path | None) -> Path | None:
    """Return the given folder, or the first run's validation folder; None if that is missing."""
    if target_path is not None:
        if not target_path.is_dir():
            raise InputError(f"target_path {target_path}: no such folder")
        return target_path
    settings = next((source.settings for source in sources if source.is_run), None)
    if settings is None:
        raise InputError("folders of reconstructions need target_path, the fully sampled files")
    data_path, demo_dir = (
        None if settings.get(name) is None else Path(settings[name])
        for name in ("data_path", "demo_dir")
    )
    folder = Data(data_path, settings["challenge"], demo_dir=demo_dir).folder("val")
    return folder if folder.is_dir() else None


def find_predictions(
    sources: Sequence[Source],
    target_path: Path,
    challenge: Challenge,
    zero_filled: Path | None,
    device: str,
) -> tuple[dict[str, Path], list[str]]:
    """Return folders by label, zero-filled images (by the first known mask) first, and notes."""
    found = {
        source.label: source.reconstructions(target_path, challenge, device) for source in sources
    }
    label = LABELS[ZERO_FILLED]
    if zero_filled is None or label in found:
        return found, []
    mask = next((source.mask for source in sources if source.mask is not None), None)
    if mask is None:
        return found, [
            "No zero-filled images: the reconstructions do not record their mask (those of "
            "fastmri_clgnet.reconstruct do)."
        ]
    try:
        reconstruct(
            target_path, zero_filled, model=ZERO_FILLED, challenge=challenge, mask=mask,
            device=device,
        )  # fmt: skip
    except InputError as error:
        return found, [f"No zero-filled images: {error}"]
    return {label: zero_filled, **found}, []
