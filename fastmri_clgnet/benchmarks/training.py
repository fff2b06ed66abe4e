"""Trains several models through the training command, one after the other, under one budget."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from fastmri.pl_modules import FastMriDataModule, MriModule

from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import write_json
from fastmri_clgnet.flags import call
from fastmri_clgnet.formats.safe_loading import load_tensors
from fastmri_clgnet.pl_modules import ZeroFilledModule, load_module
from fastmri_clgnet.pl_modules.registry import takes_kspace
from fastmri_clgnet.run_folder import BEST, LAST, METRICS, checkpoint_dir
from fastmri_clgnet.spelling import flag_name
from fastmri_clgnet.tables import LABELS, UNTRAINED, ZERO_FILLED, Row, Value, quality
from fastmri_clgnet.training.command import groups_of, make_module, parse_arguments
from fastmri_clgnet.training.command import main as train
from fastmri_clgnet.training.results import save_validation_picture

_NEVER = str(10**9)
_NO_LIMIT = "99999:00:00:00"  # a limit makes Lightning store the training's time in checkpoints


def budget_flags(steps: int | None, minutes: float | None) -> list[str]:
    """Return flags of train_clgnet that end a training after this many steps or minutes."""
    if (steps is None) == (minutes is None):
        raise InputError("steps, minutes: expected exactly one of them")
    flags = ["--max_epochs", "-1", "--check_val_every_n_epoch", "null", "--val_check_interval"]
    if steps is not None:
        return [*flags, str(steps), "--max_steps", str(steps), "--max_time", _NO_LIMIT]
    seconds = round(60 * (minutes or 0))
    time = f"{seconds // 86400:02}:{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:"
    return [*flags, _NEVER, "--max_time", f"{time}{seconds % 60:02}"]


def name_seeds(seeds: Sequence[int]) -> str:
    """Return the seeds as text for titles of tables."""
    return f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else "one seed"


def training_folders(folder: Path, seeds: Sequence[int]) -> dict[int | None, Path]:
    """Return the folder of each training by seed; with one seed or none, it is `folder` itself."""
    if len(seeds) < 2:
        return {next(iter(seeds), None): folder}
    return {seed: folder / f"seed_{seed}" for seed in seeds}


def flags_for(model: str, flags: Sequence[str]) -> list[str]:
    """Return flags for all models without those that only training takes, such as --lr.

    What a model without training does not have, and another model has, is left out for it.
    """
    if model not in UNTRAINED:
        return [*flags]
    names = {each: {n for group in groups_of(each).values() for n in group} for each in LABELS}
    others = set().union(*names.values()) - names[model]
    kept, keep = [], True
    for word in flags:
        if word.startswith("--"):
            keep = flag_name(word).removeprefix("no_") not in others
        kept += [word] if keep else []
    return kept


def train_all(
    runs: Mapping[str, list[str]], folder: Path, seeds: Sequence[int] = ()
) -> dict[str, Row]:
    """Train or continue every run; skip finished ones, and continue with the next after a failure.

    With several seeds a row has the means, and the lowest and highest PSNR.
    """
    rows: dict[str, Row] = {}
    for name, flags in runs.items():
        trained: list[Row] = []
        folders = training_folders(folder / name, seeds)
        for seed, root in folders.items():
            own = flags if seed is None else [*flags, "--seed", str(seed)]
            if _train(name, own, root):
                metrics = json.loads((root / METRICS).read_text(encoding="utf-8"))
                rows = {ZERO_FILLED: quality(metrics.pop(LABELS[ZERO_FILLED])), **rows}
                [values] = metrics.values()
                trained.append({**quality(values), **_course(root)})
        complete = len(trained) == len(folders)
        rows[name] = _summary(trained) if complete else {"failed": "yes"}
    return rows


def _train(name: str, flags: list[str], root: Path) -> bool:
    """Train, continue or skip one run; return whether there are results."""
    results, record = root / METRICS, root / "flags.json"
    recorded = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else flags
    if recorded != flags:
        raise InputError(
            f"{root}: a run with other flags ({words(recorded)}); repeat them, or give another "
            "output_path"
        )
    if results.is_file():
        return True
    print(f"\n=== {name}: train_clgnet {' '.join(flags)} ===", flush=True)
    write_json(record, flags)
    try:
        status = train([*flags, "--default_root_dir", str(root)])
    except SystemExit as error:  # unknown flags
        status = int(error.code or 0)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        status = 1
    if status in (130, 143):  # stopped by Ctrl-C or SIGTERM, after saving
        raise KeyboardInterrupt
    if status or not results.is_file():
        if not checkpoint_dir(root).is_dir():
            record.unlink()  # so that other flags can be tried; a checkpoint is of these
        return False
    return True


def _course(root: Path) -> dict[str, float]:
    """Read steps, minutes of training and learning rate from the last checkpoint."""
    path = checkpoint_dir(root) / f"{LAST}.ckpt"
    if not path.is_file():  # nothing was trained
        return {}
    checkpoint = load_tensors(path, "a checkpoint")
    seconds = checkpoint["callbacks"]["Timer"]["time_elapsed"]["train"]
    optimizer = checkpoint["optimizer_states"][0]["param_groups"][0]
    return {
        "steps": checkpoint["global_step"],
        "minutes": seconds / 60,
        # what --lr is, or a model's own where it is null; the highest of a cycle
        "lr": optimizer.get("max_lr", optimizer.get("initial_lr", optimizer["lr"])),
    }


def _summary(trained: Sequence[Row]) -> Row:
    """Return the mean of each column, and the range of the PSNR over several trainings."""
    if len(trained) == 1:
        return trained[0]
    columns: dict[str, Value] = {}
    for column in trained[0]:
        values = [float(row[column] or 0) for row in trained]
        columns[column] = mean(values)
        if column == "PSNR (dB)":
            columns |= {"lowest": min(values), "highest": max(values)}
    return columns


def save_picture(
    path: Path, trained: Mapping[str, Sequence[str]], folder: Path, seeds: Sequence[int] = ()
) -> None:
    """Save the first validation volume's middle slice by every method, of its first seed."""
    shown: dict[str, tuple[MriModule, FastMriDataModule]] = {}
    for name, flags in trained.items():
        values = parse_arguments([*flags])
        data, seed = call(Data, values), values["seed"]
        if not shown:
            samples = data.module(on_kspace=True, seed=seed)
            shown[LABELS[ZERO_FILLED]] = (ZeroFilledModule(0), samples)
        root = next(iter(training_folders(folder / name, seeds).values()))
        if name in UNTRAINED:
            module = make_module(values)
        else:
            module = load_module(checkpoint_dir(root) / f"{BEST}.ckpt")
        shown[LABELS[name]] = (module, data.module(takes_kspace(module), seed))
    if shown:
        save_validation_picture(path, shown)
        print(f"Picture: {path}", flush=True)
