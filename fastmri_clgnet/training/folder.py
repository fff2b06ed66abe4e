"""The folder of a run: where it is, that one run at a time writes to it, what config.yaml says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from fastmri.pl_modules import MriModule
from filelock import FileLock, Timeout

from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path, make_folder
from fastmri_clgnet.losses import CLGNetLoss
from fastmri_clgnet.pl_modules.registry import MODELS, name_of
from fastmri_clgnet.run_folder import CONFIG

# loader processes of a run that was killed hold its lock until they notice, some seconds later
PATIENCE = 10.0
_LOCK = ".lock"  # in the folder of every run


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
        held = FileLock(root / _LOCK).acquire(timeout=PATIENCE)
    except Timeout as error:
        raise InputError(
            f"{root}: another run is writing there; stop it, wait for its end, or give another "
            "default_root_dir"
        ) from error
    with held:
        own = (each for each in root.iterdir() if each.is_dir() and not (each / _LOCK).exists())
        for folder in (root, *own):  # without the folders of other runs
            for path in folder.glob(".*.*[0-9].tmp"):  # as `atomic_path` names them
                if path.is_file():
                    path.unlink(missing_ok=True)
        yield


def refuse_to_replace(root: Path, settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` where a trial by Lightning's fast_dev_run would write into a run."""
    if settings.get("fast_dev_run") and (root / CONFIG).is_file():
        raise InputError(
            f"{root}: holds a run, whose results those of fast_dev_run would replace; give another "
            "default_root_dir"
        )


def write_config(root: Path, config: Mapping[str, Any]) -> None:
    """Write every setting of a run, but not where it went on, to its config.yaml, for --config."""
    settings = {name: value for name, value in config.items() if name != "ckpt_path"}
    with atomic_path(root / CONFIG) as temporary:
        temporary.write_text(yaml.safe_dump(settings, sort_keys=False))


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
    own = {key: value for key, value in module.hparams.items() if key not in fixed}
    if isinstance(getattr(module, "loss", None), CLGNetLoss):
        values |= _objective(module.loss)
    own |= {**settings, "default_root_dir": root}
    plain = {key: _plain(value) for key, value in {**values, **own}.items()}
    null = {key for key, value in own.items() if value is None}  # may be other than the default
    return {key: value for key, value in plain.items() if value is not None or key in null}


def task_of(module: MriModule, data: Data) -> dict[str, Any]:
    """What a module learns, and is chosen by: masks, changes of slices, objective; plain values."""
    task = {**vars(data.mask), "augment": data.augment, "train_size": data.train_size}
    task |= {f"val_{name}": value for name, value in vars(data.fixed_mask).items()}
    if isinstance(getattr(module, "loss", None), CLGNetLoss):
        task |= _objective(module.loss)
    return {name: _plain(value) for name, value in task.items()}


def _objective(loss: CLGNetLoss) -> dict[str, Any]:
    """The flags of an objective, as far as it knows them: not where VGG19's weights are from."""
    values: dict[str, Any] = {"alpha": loss.alpha}
    if (part := loss.contrastive) is None:
        return values
    values |= {"negatives": part.negatives, "num_negatives": part.num_negatives}
    return {**values, "vgg_layers": getattr(part.feature_extractor, "layers", None)}


def _plain(value: Any) -> Any:
    """The value as YAML has it; None for what it has not."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else None
