"""Trains several models through the training command, one after the other, under one budget."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import write_json
from fastmri_clgnet.pl_modules.registry import MODELS, ZERO_FILLED
from fastmri_clgnet.safe_loading import load_tensors
from fastmri_clgnet.tables import Row
from fastmri_clgnet.train_clgnet import main as train
from fastmri_clgnet.training.checkpoint import LAST, checkpoint_dir

_NEVER = str(10**9)


def budget_flags(steps: int | None, minutes: float | None) -> list[str]:
    """Flags of train_clgnet that end each training after as many steps or minutes."""
    if (steps is None) == (minutes is None):
        raise InputError("expected steps or minutes: give one of --steps and --minutes")
    flags = ["--max_epochs", "-1", "--check_val_every_n_epoch", "null", "--val_check_interval"]
    if steps is not None:
        return [*flags, str(steps), "--max_steps", str(steps)]
    seconds = round(60 * (minutes or 0))
    time = f"{seconds // 86400:02}:{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:"
    return [*flags, _NEVER, "--max_time", f"{time}{seconds % 60:02}"]


def train_all(runs: Mapping[str, list[str]], folder: Path) -> dict[str, Row]:
    """Train every run, or continue it; skip what is done and go on where one fails."""
    rows: dict[str, Row] = {}
    for name, flags in runs.items():
        root = folder / name
        results, record = root / "metrics.json", root / "flags.json"
        recorded = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else flags
        if recorded != flags:
            raise InputError(
                f"{root}: a run with other flags ({words(recorded)}); repeat them, or give another "
                "--output_path"
            )
        if not results.is_file():
            print(f"\n=== {name}: train_clgnet {' '.join(flags)} ===", flush=True)
            write_json(record, flags)
            try:
                status = train([*flags, "--default_root_dir", str(root)])
            except SystemExit as error:  # flags that do not exist
                status = int(error.code or 0)
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                status = 1
            if status in (130, 143):  # stopped by Ctrl-C or SIGTERM, and saved
                raise KeyboardInterrupt
            if status or not results.is_file():
                record.unlink()  # other flags may be tried
                rows[name] = {"failed": "yes"}
                continue
        metrics = json.loads(results.read_text(encoding="utf-8"))
        zero_filled = metrics.pop(MODELS[ZERO_FILLED].label)
        rows = {ZERO_FILLED: _quality(zero_filled), **rows}
        for values in metrics.values():
            rows[name] = {**_quality(values), "steps": _steps(root)}
    return rows


def _quality(values: Mapping[str, float]) -> Row:
    return {"NMSE": values["nmse"], "PSNR (dB)": values["psnr"], "SSIM": values["ssim"]}


def _steps(root: Path) -> int | None:
    path = checkpoint_dir(root) / f"{LAST}.ckpt"
    return load_tensors(path, "a checkpoint")["global_step"] if path.is_file() else None
