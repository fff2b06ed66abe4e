"""The command `python -m banding.demo`: bands put in on purpose, and taken out again.

Reconstructors as small as a demo's leave no bands strong enough to be measured on two volumes, so
they are taught some: a small U-Net is trained on the demo data in one orientation, on targets to
which faint bands along the readout were added where the signal is low. Then `train_banding`
fine-tunes it on the demo data as it is, with the adversary and, for comparison, without it
(weight 0), everything else equal.

A reconstruction loss that sees such bands takes them out by itself, since the targets have none.
Here, as where bands come about by themselves, it hardly sees them: low-signal pixels weigh 1/50.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from banding import train_banding
from banding.callbacks import SSIM_TOLERANCE, print_heading, print_row
from banding.metrics import THRESHOLD
from banding.picture import save_bands
from banding.plain_checkpoint import PLAIN, load_plain
from fastmri_clgnet import cli, train_clgnet
from fastmri_clgnet.data.data_module import CheckedDataModule
from fastmri_clgnet.data.demo import default_demo_dir
from fastmri_clgnet.data.mri_data import Data
from fastmri_clgnet.errors import words
from fastmri_clgnet.train_clgnet import guarded
from fastmri_clgnet.training.checkpoint import LAST, checkpoint_dir
from fastmri_clgnet.training.run import train

AMPLITUDE = 0.03  # of the bands, as a part of the slice's 99th percentile
PERIOD = 4  # columns
LOW_SIGNAL_WEIGHT = 0.02
NETWORK = ["--model", "unet", "--chans", "8", "--num_pool_layers", "3", "--batch_size", "4"]
RUNS = {"without adversary": 0.0, "with adversary": 1.0}  # the weights of the fine-tunings


class BandedTarget:
    """Adds bands along the readout to low signal of the target, then calls a host's transform.

    Args:
        transform: Such as `fastmri.data.transforms.UnetDataTransform`.
        amplitude: Of the bands' cosine, as a part of the slice's 99th percentile.
    """

    def __init__(self, transform: Callable[..., Any], amplitude: float = AMPLITUDE) -> None:
        """Wrap the transform."""
        self.transform = transform
        self.mask_func = getattr(transform, "mask_func", None)
        self.amplitude = amplitude

    def __call__(
        self, kspace: np.ndarray, mask: np.ndarray | None, target: np.ndarray, *sample: Any
    ) -> Any:
        """Band the target, (height, width), and transform the slice."""
        level = np.quantile(target, 0.99)
        wave = np.cos(2 * math.pi / PERIOD * np.arange(target.shape[-1]))
        bands = self.amplitude * level * wave * (target < THRESHOLD * level)
        banded = np.maximum(target + bands, 0).astype(target.dtype)  # a magnitude, as before
        return self.transform(kspace, mask, banded, *sample)


@dataclass(frozen=True)
class BandedData(Data):
    """Data whose training targets have bands."""

    def module(
        self, on_kspace: bool, seed: int = 42, distributed: bool = False
    ) -> CheckedDataModule:
        """Make the data module; see `Data.module`."""
        data = super().module(on_kspace, seed, distributed)
        data.train_transform = BandedTarget(data.train_transform)
        return data


def pretrain(args: argparse.Namespace, root: Path, trainer_flags: list[str]) -> Path:
    """Train the U-Net that leaves bands, on one orientation.

    Args:
        args: Of the command.
        root: Folder of the run.
        trainer_flags: More flags of train_clgnet.

    Returns:
        Its last checkpoint.
    """
    flags = [*NETWORK, *trainer_flags, "--max_epochs", str(args.pretrain_epochs)]
    settings, _ = train_clgnet.parse_arguments(flags)
    pl.seed_everything(args.seed, workers=True)
    module = train_clgnet.make_module(settings)
    trainer = {**train_clgnet.trainer_of(settings), "limit_val_batches": 0}
    train(
        module,
        BandedData(**vars(cli.call(Data, settings))),
        trainer=trainer,
        default_root_dir=root,
        ckpt_path="none",
        seed=args.seed,
        logger=False,
        keep_best=False,
    )
    return checkpoint_dir(root) / f"{LAST}.ckpt"


def run(args: argparse.Namespace) -> int:
    """Pretrain, fine-tune without and with the adversary, print and show what came out."""
    root: Path = args.default_root_dir / f"seed{args.seed}"
    flags = ["--accelerator", "cpu", "--enable_progress_bar", str(args.progress_bar).lower()]
    flags += ["--num_log_images", "0", "--enable_model_summary", "false"]
    flags += ["--demo_dir", str(args.demo_dir), "--seed", str(args.seed)]
    if args.limit_train_batches is not None:
        flags += ["--limit_train_batches", str(args.limit_train_batches)]
    print(f"Pretraining on targets with bands ({args.pretrain_epochs} epochs)", flush=True)
    checkpoint = pretrain(args, root / "pretrained", flags)
    flags += ["--checkpoint", str(checkpoint), "--ckpt_path", "none"]
    flags += ["--low_signal_weight", str(LOW_SIGNAL_WEIGHT)]
    if args.max_epochs is not None:
        flags += ["--max_epochs", str(args.max_epochs)]
    rows: dict[str, dict[str, float]] = {}
    models = {"before": load_plain(checkpoint).module}
    for name, weight in RUNS.items():
        print(f"\nFine-tuning {name}", flush=True)
        folder = root / name.replace(" ", "_")
        each = ["--adversary_weight", str(weight), "--default_root_dir", str(folder)]
        status = train_banding.main([*flags, *each])
        if status:
            return status
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        rows["before"], rows[name] = metrics["before"], metrics["after"]
        models[name] = load_plain(checkpoint_dir(folder) / f"{PLAIN}.ckpt").module
    data = Data(demo_dir=args.demo_dir, num_workers=0).module(on_kspace=False)
    picture = root / "bands.png"
    save_bands(picture, models, data)
    print(f"\nSeed {args.seed}; simulated demo data, bands put in on purpose:\n")
    print_heading()
    for name, row in rows.items():
        print_row(name, row)
    print(f"\npicture: {picture}\n")
    return verdict(rows)


def verdict(rows: dict[str, dict[str, float]]) -> int:
    """Say what holds; gives the exit status, 0 if all of it does."""
    before, control, after = (rows[name] for name in ("before", *RUNS))
    goal = abs(before["banding_score"]) / 2
    ssim = before["val_metrics/ssim"] - SSIM_TOLERANCE
    claims = {
        "with the adversary, the banding score is at most half of that before":
            abs(after["banding_score"]) <= goal,
        f"with the adversary, SSIM is at most {SSIM_TOLERANCE} lower than before":
            after["val_metrics/ssim"] >= ssim,
        "with the adversary, the energy is at most half: the bands were not merely crossed":
            after["banding_energy"] <= before["banding_energy"] / 2,
        "without it, the score stays above half": abs(control["banding_score"]) > goal,
    }  # fmt: skip
    for claim, holds in claims.items():
        print(f"{'yes' if holds else 'NO':4}{claim}")
    return 0 if all(claims.values()) else 1


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(prog="python -m banding.demo", description=words(
        ["Put bands into a small U-Net's reconstructions of the simulated demo data, and take",
         "them out again, without and with the adversary. Takes some minutes. Exit status 1 if",
         "the adversary does not halve the score, or the fine-tuning without it does, too."]
    ))  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="Seed of everything. Default: 0")
    parser.add_argument(
        "--pretrain_epochs", type=int, default=25, help="Epochs on banded targets. Default: 25"
    )
    parser.add_argument(
        "--max_epochs", type=int, default=None, help="Epochs of each fine-tuning, the warm-up's "
        f"included. Default: {train_banding.DEMO_BANDING['max_epochs']}",
    )  # fmt: skip
    parser.add_argument(
        "--limit_train_batches", type=int, default=None, help="Batches of an epoch. Default: all"
    )
    parser.add_argument(
        "--demo_dir", type=Path, default=default_demo_dir(),
        help="Folder of the demo data set, made if it is missing. Default: %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--default_root_dir", type=Path, default=Path("banding_demo"),
        help="Folder of what is written, under seedN there. Default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--progress_bar", action="store_true", help="Show Lightning's bars.")
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; by default the process's.

    Returns:
        The exit status: 0, or 1 after an error in the input or if the claim does not hold.
    """
    args = build_parser().parse_args(argv)
    return guarded(argv, lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
