"""The command `python -m banding.demo`: bands put in on purpose, and taken out again.

A small U-Net is trained on the demo data in one orientation, on targets to which faint bands along
the readout were added: a network that leaves bands, which those of this size do not do strongly and
reliably enough by themselves to be measured on two volumes. Then `train_banding` fine-tunes it on
the demo data as it is, once with the adversary, once without (weight 0), for comparison.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from banding import train_banding
from fastmri_clgnet.data import make_demo_dataset
from fastmri_clgnet.data.demo import default_demo_dir
from fastmri_clgnet.errors import words
from fastmri_clgnet.train_clgnet import guarded
from fastmri_clgnet.training import arguments
from fastmri_clgnet.training.components import make_module, make_trainer
from fastmri_clgnet.training.data import make_data_module
from fastmri_clgnet.training.masks import make_mask, train_mask

AMPLITUDE = 0.03  # of the bands, as a part of the slice's 99th percentile
PERIOD = 4  # columns
NETWORK = ["--model", "unet", "--chans", "8", "--num_pool_layers", "3", "--batch_size", "4"]


class BandedTarget:
    """Adds bands along the readout to the target before a transform of the host's is called.

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
        wave = np.cos(2 * math.pi / PERIOD * np.arange(target.shape[-1]))
        bands = self.amplitude * np.quantile(target, 0.99) * wave
        return self.transform(kspace, mask, (target + bands).astype(target.dtype), *sample)


def pretrain(root: Path, demo_dir: Path, seed: int, max_epochs: int, quiet: list[str]) -> Path:
    """Train the banding U-Net on one orientation.

    Args:
        root: Folder of its checkpoint.
        demo_dir: Folder of the demo data set.
        seed: Of weights, data order and masks.
        max_epochs: How long.
        quiet: More flags of train_clgnet.

    Returns:
        The checkpoint, as train_clgnet writes one.
    """
    flags = ["--demo_dir", str(demo_dir), "--seed", str(seed), "--max_epochs", str(max_epochs)]
    args = arguments.parse_arguments([*NETWORK, *flags, *quiet])
    pl.seed_everything(seed, workers=True)
    args.data_path = make_demo_dataset(args.challenge, demo_dir)
    args.check_val_every_n_epoch = max_epochs
    module = make_module(args)
    data = make_data_module(
        args, [make_mask(train_mask(args), args.seed) for _ in range(2)], False, False
    )
    data.train_transform = BandedTarget(data.train_transform)
    trainer = make_trainer(args)
    trainer.fit(module, data)
    path = root / "pretrained.ckpt"
    root.mkdir(parents=True, exist_ok=True)
    trainer.save_checkpoint(path)
    return path


def run(args: argparse.Namespace) -> int:
    """Pretrain, fine-tune with and without the adversary, print what came out."""
    root: Path = args.default_root_dir / f"seed{args.seed}"
    quiet = ["--accelerator", "cpu", "--enable_progress_bar", str(args.progress_bar).lower()]
    quiet += ["--num_log_images", "0", "--enable_model_summary", "false"]
    print(f"Pretraining on targets with bands ({args.pretrain_epochs} epochs)", flush=True)
    checkpoint = pretrain(root, args.demo_dir, args.seed, args.pretrain_epochs, quiet)
    flags = ["--checkpoint", str(checkpoint), "--demo_dir", str(args.demo_dir), "--ckpt_path"]
    flags += ["none", "--seed", str(args.seed), "--max_epochs", str(args.max_epochs), *quiet]
    rows: dict[str, dict[str, float]] = {}
    for name, weight in (("adversary", 1.0), ("no adversary", 0.0)):
        print(f"\nFine-tuning: {name}", flush=True)
        folder = root / name.replace(" ", "_")
        each = ["--adversary_weight", str(weight), "--default_root_dir", str(folder)]
        status = train_banding.main([*flags, *each])
        if status:
            return status
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        rows["before"], rows[name] = metrics["before"], metrics["after"]
    print(f"\nSeed {args.seed}; demo data, bands put in on purpose:\n")
    train_banding.print_row("", {}, heading=True)
    for name, row in rows.items():
        train_banding.print_row(name, row)
    before, after = rows["before"], rows["adversary"]
    halved = abs(after["banding_score"]) <= abs(before["banding_score"]) / 2
    kept = after["val_metrics/ssim"] >= before["val_metrics/ssim"] - 0.005
    print(f"\nscore at most half: {halved}; SSIM not more than 0.005 lower: {kept}")
    return 0 if halved and kept else 1


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(prog="python -m banding.demo", description=words(
        ["Put bands into a small U-Net's reconstructions of the demo data, and take them out",
         "again with and without the adversary. Exit status 1 if the score does not halve."]
    ))  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="Seed of everything.")
    parser.add_argument("--pretrain_epochs", type=int, default=20, help="Epochs on banded targets.")
    parser.add_argument("--max_epochs", type=int, default=12, help="Epochs of each fine-tuning.")
    parser.add_argument("--demo_dir", type=Path, default=default_demo_dir(), help="Demo data set.")
    parser.add_argument(
        "--default_root_dir", type=Path, default=Path("banding_demo"), help="What is written."
    )
    parser.add_argument("--progress_bar", action="store_true", help="Show Lightning's bars.")
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    args = build_parser().parse_args(argv)
    return guarded(argv, lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
