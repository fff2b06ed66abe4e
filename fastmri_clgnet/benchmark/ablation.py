"""The paper's ablations (Tables 3 and 4): counts, time, memory, and a training of each."""

from __future__ import annotations

import functools
import json
import sys
from argparse import Namespace
from typing import NamedTuple

import torch

from fastmri_clgnet.benchmark.macs import count_macs
from fastmri_clgnet.benchmark.measure import MakeNetwork, forward_peak_mb, forward_times
from fastmri_clgnet.benchmark.tables import Row, format_markdown, save_json
from fastmri_clgnet.models import VARIANTS, Variant, make_variant
from fastmri_clgnet.train_clgnet import main as train

TABLE_SIZE = 512  # pixels across the images of the paper's Table 4


class PaperRow(NamedTuple):
    """What the paper gives for a row; None where it gives nothing.

    Args:
        name: The row's name in the paper.
        parameters: Millions.
        gmacs: Operations at 512 x 512, in 10^9.
    """

    name: str
    parameters: float | None = None
    gmacs: float | None = None


PAPER: dict[Variant, PaperRow] = {
    "clgnet": PaperRow("CLGNet", 0.96, 68.91),
    "wo_wavelet": PaperRow("w/o wavelet"),
    "wo_sfl": PaperRow("w/o SFL, CLGNet_non", 0.81, 65.1),
    "wo_cl": PaperRow("w/o L_CL"),
    "wo_negative": PaperRow("w/o negative"),
    "sa": PaperRow("CLGNet_SA", 0.88),
    "tran": PaperRow("CLGNet_Tran", 0.95, 82.56),
}
# trained with another loss, the same network as CLGNet
_LOSS_ONLY: tuple[Variant, ...] = ("wo_cl", "wo_negative")


def network_rows(size: int, device: torch.device, rounds: int) -> dict[str, Row]:
    """Count and measure every network of the ablation.

    Args:
        size: Height and width of the images that time and memory are measured on.
        device: Where they are measured.
        rounds: Measurements of each.

    Returns:
        Columns by variant.
    """
    makers: dict[str, MakeNetwork] = {
        variant: functools.partial(make_variant, variant)
        for variant in VARIANTS
        if variant not in _LOSS_ONLY
    }
    times = forward_times(makers, size, device, rounds)
    rows: dict[str, Row] = {}
    for variant, make in makers.items():
        model, paper = make(), PAPER[variant]  # type: ignore[index]
        rows[variant] = {
            "parameters (M)": sum(p.numel() for p in model.parameters()) / 1e6,
            "paper: parameters (M)": paper.parameters,
            "GMac": count_macs(model, (TABLE_SIZE, TABLE_SIZE)) / 1e9,
            "paper: GMac": paper.gmacs,
            "time (s)": times[variant],
            "peak (MB)": forward_peak_mb(make, size, device),
        }
    for variant in _LOSS_ONLY:  # the same network
        rows[variant] = {
            column: None if column.startswith("paper") else value
            for column, value in rows["clgnet"].items()
        }
    return rows


def train_rows(args: Namespace, training_flags: list[str]) -> dict[str, Row]:
    """Train every variant with one seed and one number of steps; go on where one fails.

    Args:
        args: With data_path, steps and output_path.
        training_flags: More flags of train_clgnet, for all.

    Returns:
        NMSE, PSNR and SSIM on the validation volumes by variant, and of zero-filling.
    """
    rows: dict[str, Row] = {}
    for variant in VARIANTS:
        root = args.output_path / variant
        results = root / "metrics.json"
        steps = str(args.steps)
        if not results.is_file():
            print(f"\n=== {variant}: {steps} steps ===", flush=True)
            flags = ["--variant", variant, "--data_path", str(args.data_path), "--max_steps", steps]
            flags += ["--max_epochs", "-1", "--default_root_dir", str(root)]
            # one validation, after the last step
            flags += ["--val_check_interval", steps, "--check_val_every_n_epoch", "null"]
            try:
                status = train([*flags, *training_flags])
            except KeyboardInterrupt:
                raise
            except Exception as error:
                print(f"{variant}: {type(error).__name__}: {error}", file=sys.stderr)
                status = 1
            if status or not results.is_file():
                rows[variant] = {"failed": "yes"}
                continue
        metrics = json.loads(results.read_text(encoding="utf-8"))
        for name, values in (("zero-filled", metrics["zero-filled"]), (variant, metrics["CLGNet"])):
            rows[name] = {
                "NMSE": values["nmse"], "PSNR (dB)": values["psnr"], "SSIM": values["ssim"],
            }  # fmt: skip
    return rows


def run(args: Namespace, training_flags: list[str]) -> int:
    """Run the command.

    Args:
        args: Of `fastmri_clgnet.benchmark.__main__`.
        training_flags: Flags of train_clgnet.

    Returns:
        0, or 1 if a training failed.
    """
    device = torch.device(args.device)
    names: dict[str, str] = {variant: paper.name for variant, paper in PAPER.items()}
    tables = {"networks": network_rows(args.size, device, args.rounds)}
    print(
        f"\nForward pass, one image of {args.size} x {args.size}, {device}, float32, "
        f"{torch.get_num_threads()} threads; GMac at {TABLE_SIZE} x {TABLE_SIZE}\n"
    )
    print(format_markdown(tables["networks"], names), flush=True)
    if args.data_path is not None:
        tables["training"] = train_rows(args, training_flags)
        print(f"\nValidation volumes after {args.steps} steps, one seed\n")
        print(format_markdown(tables["training"], names))
    settings = {"training_flags": training_flags, **vars(args)}
    save_json(args.output_path / "ablation.json", {"settings": settings, **tables})
    return int(any("failed" in row for row in tables.get("training", {}).values()))
