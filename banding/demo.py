"""The command `python -m banding.demo`: adds bands on purpose, and removes them again.

The small networks of a demo leave no bands strong enough to be measured on two volumes. So a
small U-Net is taught some: it is trained on the demo data in one orientation, on targets with
faint added bands along the readout where the signal is low. Then `train_banding` fine-tunes it on
the unchanged demo data, with the adversary and, for comparison, without it (weight 0), everything
else equal.

A reconstruction loss that sees such bands removes them by itself, since the targets have none.
Here it hardly sees them, as with bands of real networks: low-signal pixels weigh 1/50.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from banding import train_banding
from banding.blur import blur
from banding.callbacks import SSIM_TOLERANCE, print_heading, print_row
from banding.metrics import THRESHOLD
from banding.picture import save_bands
from banding.score import BandingScores, scores
from fastmri_clgnet import cli
from fastmri_clgnet.data.data_module import CheckedDataModule
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.data.ssdu import Partition
from fastmri_clgnet.flags import call
from fastmri_clgnet.inference.folder import reconstruct
from fastmri_clgnet.pl_modules import load_module
from fastmri_clgnet.run_folder import LAST, METRICS, PLAIN, checkpoint_dir
from fastmri_clgnet.training import command
from fastmri_clgnet.training.train import train
from fastmri_clgnet.training.trainer import set_seed

AMPLITUDE = 0.03  # of the bands, as a fraction of the slice's 99th percentile
PERIOD = 4  # columns
LOW_SIGNAL_WEIGHT = 0.02
NETWORK = ["--model", "unet", "--chans", "8", "--num_pool_layers", "3", "--batch_size", "4"]
RUNS = {"without adversary": 0.0, "with adversary": 1.0}  # adversary_weight of each fine-tuning


class BandedTarget:
    """Adds bands along the readout where the target's signal is low, then calls a transform."""

    def __init__(self, transform: Callable[..., Any]) -> None:
        self.transform = transform
        self.mask_func = getattr(transform, "mask_func", None)

    def __call__(
        self, kspace: np.ndarray, mask: np.ndarray | None, target: np.ndarray, *sample: Any
    ) -> Any:
        """Add bands to the target, (height, width), and transform the slice."""
        level = np.quantile(target, 0.99)
        wave = np.cos(2 * math.pi / PERIOD * np.arange(target.shape[-1]))
        bands = AMPLITUDE * level * wave * (target < THRESHOLD * level)
        banded = np.maximum(target + bands, 0).astype(target.dtype)  # a magnitude, as before
        return self.transform(kspace, mask, banded, *sample)


@dataclass(frozen=True)
class BandedData(Data):
    """Data whose training targets have bands."""

    def module(
        self,
        on_kspace: bool,
        seed: int = 42,
        distributed: bool = False,
        needs_reference: bool = False,
        other_masks: int = 0,
        partition: Partition | None = None,
    ) -> CheckedDataModule:
        """Make the data module; see `Data.module`."""
        data = super().module(on_kspace, seed, distributed, needs_reference, other_masks, partition)
        data.train_transform = BandedTarget(data.train_transform)
        return data


def pretrain(root: Path, epochs: int, seed: int, flags: list[str]) -> Path:
    """Train the U-Net that leaves bands, in one orientation; return its last checkpoint."""
    settings = command.parse_arguments([*NETWORK, *flags, "--max_epochs", str(epochs)])
    set_seed(seed)
    run = train(
        command.make_module(settings),
        call(BandedData, settings),
        trainer={**command.trainer_of(settings), "limit_val_batches": 0},
        default_root_dir=root,
        ckpt_path="none",
        seed=seed,
        logger=False,
        keep_best=False,
    )
    if run.status:
        raise KeyboardInterrupt
    return checkpoint_dir(root) / f"{LAST}.ckpt"


def demo(
    *,
    seed: int = 0,
    pretrain_epochs: int = 25,
    max_epochs: int | None = None,
    limit_train_batches: int | None = None,
    demo_dir: Path | None = None,
    default_root_dir: Path = Path("banding_demo"),
    progress_bar: bool = False,
) -> int:
    """Add bands to a small U-Net's reconstructions of the simulated demo data, and remove them.

    They are removed without and with the adversary, and by a Gaussian. It takes some minutes. The
    exit status is 1 if the adversary does not halve the score, or if fine-tuning without it also
    does.

    Args:
        seed: Seed of all random numbers.
        pretrain_epochs: Epochs on banded targets.
        max_epochs: Epochs of each fine-tuning, including the warm-up. None is the demo's default.
        limit_train_batches: Batches per epoch. None is all.
        demo_dir: Folder of the demo data set, created if missing. None is the user's cache folder.
        default_root_dir: Folder of the output, in its subfolder seedN.
        progress_bar: Whether to show Lightning's progress bars.

    Returns:
        The exit status.
    """
    root = default_root_dir / f"seed{seed}"
    data = Data(demo_dir=demo_dir, num_workers=0)
    flags = ["--accelerator", "cpu", "--enable_progress_bar", str(progress_bar).lower()]
    flags += ["--num_log_images", "0", "--enable_model_summary", "false"]
    flags += ["--demo_dir", str(data.demo_folder), "--seed", str(seed)]
    if limit_train_batches is not None:
        flags += ["--limit_train_batches", str(limit_train_batches)]
    print(f"Pretraining on targets with bands ({pretrain_epochs} epochs)", flush=True)
    checkpoint = pretrain(root / "pretrained", pretrain_epochs, seed, flags)
    flags += ["--checkpoint", str(checkpoint), "--ckpt_path", "none"]
    flags += ["--low_signal_weight", str(LOW_SIGNAL_WEIGHT)]
    if max_epochs is not None:
        warmup_epochs = min(train_banding.DEMO["warmup_epochs"], max_epochs - 1)
        flags += ["--max_epochs", str(max_epochs), "--warmup_epochs", str(warmup_epochs)]
    rows: dict[str, dict[str, float]] = {}
    checkpoints = {"before": checkpoint}
    for name, weight in RUNS.items():
        print(f"\nFine-tuning {name}", flush=True)
        folder = root / name.replace(" ", "_")
        each = ["--adversary_weight", str(weight), "--default_root_dir", str(folder)]
        status = train_banding.main([*flags, *each])
        if status:
            return status
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        rows["before"], rows[name] = metrics["before"], metrics["after"]
        checkpoints[name] = checkpoint_dir(folder) / f"{PLAIN}.ckpt"
    picture = root / "bands.png"
    models = {name: load_module(path) for name, path in checkpoints.items()}
    save_bands(picture, models, data.module(on_kspace=False))
    print(f"\nSeed {seed}; simulated demo data, bands added on purpose:\n")
    print_heading()
    for name, row in rows.items():
        print_row(name, row)
    print(f"\nThe same, volume by volume:\n\n{compare(root, checkpoints, data)}")
    print(f"\npicture: {picture}\n")
    return verdict(rows)


def compare(root: Path, checkpoints: Mapping[str, Path], data: Data) -> BandingScores:
    """Score the validation volumes by each model, and blurred by as much as the last one took."""
    targets = data.folder("val")
    folders = {name: root / "reconstructions" / name.replace(" ", "_") for name in checkpoints}
    for name, checkpoint in checkpoints.items():
        reconstruct(targets, folders[name], checkpoint, mask=data.fixed_mask, overwrite=True)
    before, *_, after = folders.values()
    folders["before, blurred"] = root / "reconstructions" / "blurred"
    blur(before, after, folders["before, blurred"], target_path=targets)
    return scores(list(folders.values()), target_path=targets, labels=list(folders))


def verdict(rows: dict[str, dict[str, float]]) -> int:
    """Print which claims hold; return the exit status, 0 if all do."""
    before, control, after = (rows[name] for name in ("before", *RUNS))
    goal = abs(before["banding_score"]) / 2
    ssim = before["val_metrics/ssim"] - SSIM_TOLERANCE
    claims = {
        "with the adversary, the banding score is at most half of that before":
            abs(after["banding_score"]) <= goal,
        f"with the adversary, SSIM is at most {SSIM_TOLERANCE} lower than before":
            after["val_metrics/ssim"] >= ssim,
        "with the adversary, the energy is at most half: there are no new bands across them":
            after["banding_energy"] <= before["banding_energy"] / 2,
        "without it, the score stays above half": abs(control["banding_score"]) > goal,
    }  # fmt: skip
    for claim, holds in claims.items():
        print(f"{'yes' if holds else 'NO':4}{claim}")
    return 0 if all(claims.values()) else 1


main = partial(cli.run, demo, prog="python -m banding.demo", then=lambda status: status)


if __name__ == "__main__":
    sys.exit(main())
