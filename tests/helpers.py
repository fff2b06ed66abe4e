"""Helpers of several tests: plain evaluations, property checks, small data sets."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn

from fastmri_clgnet.data import write_fastmri_file

COLUMNS, ROWS, SIZE = 40, 64, 32  # of the small data set's k-space and images
SMALL = ["--chans", "4", "--num_groups", "1", "--num_blocks", "1", "--alpha", "0"]
QUIET = ["--accelerator", "cpu", "--num_workers", "0", "--enable_progress_bar", "false"]
MASK = ["--mask_type", "random", "--accelerations", "4", "--center_fractions", "0.08"]


def assert_gradients_reach_all(module: nn.Module) -> None:
    """Every parameter has a gradient that is finite and not zero everywhere."""
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def assert_batch_equals_single(
    function: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor
) -> None:
    """The output of a batch equals that of its members one by one."""
    single = torch.cat([function(one[None]) for one in batch])
    torch.testing.assert_close(function(batch), single, rtol=1e-4, atol=1e-5)


def host_evaluates(
    targets: Path, predictions: Path, challenge: str, *more: str
) -> dict[str, float]:
    """Return the output of fastMRI's own command, python -m fastmri.evaluate, with four digits."""
    argv = ["evaluate", "--target-path", str(targets), "--predictions-path", str(predictions)]
    modules = {key: value for key, value in sys.modules.items() if key != "fastmri.evaluate"}
    with (
        mock.patch.object(sys, "argv", [*argv, "--challenge", challenge, *more]),
        mock.patch.dict(sys.modules, modules, clear=True),  # otherwise runpy warns
        contextlib.redirect_stdout(io.StringIO()) as printed,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Conversion of an array")  # in runstats
        runpy.run_module("fastmri.evaluate", run_name="__main__")
    words = printed.getvalue().split()
    return {words[i]: float(words[i + 2]) for i in range(0, len(words), 5)}


def small_volume(challenge: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """k-space (3, [2,] 64, 40) and reference (3, 32, 32) of random blobs on a broad one."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-2, 2, ROWS), np.linspace(-1, 1, COLUMNS), indexing="ij")
    image = np.repeat(np.exp(-2 * (y**2 + x**2))[None].astype(np.complex128), 3, axis=0)
    for i in range(3):
        for _ in range(6):
            a, b = rng.uniform(-0.5, 0.5, size=2)
            image[i] += rng.uniform(0.5, 1) * np.exp(-40 * ((y - a) ** 2 + (x - b) ** 2))
    image *= 1e-4 * np.exp(1j * (x + 0.5 * y))
    coils = image[:, None] * np.stack([np.exp(-((x - c) ** 2)) for c in (-0.5, 0.5)])
    if challenge == "singlecoil":
        coils = image[:, None]
    axes = (-2, -1)
    shifted = np.fft.ifftshift(coils, axes=axes)
    kspace = np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=axes)
    target = np.sqrt((np.abs(coils) ** 2).sum(1))[:, 16:48, 4:36].astype(np.float32)
    kspace = kspace[:, 0] if challenge == "singlecoil" else kspace
    return kspace.astype(np.complex64), target


def make_small_dataset(root: Path, challenge: str) -> Path:
    """Two training volumes, two validation volumes, one undersampled test volume."""
    mask = np.zeros(COLUMNS, bool)
    mask[18:22] = mask[::4] = True
    for seed, (split, name) in enumerate(
        [("train", "a"), ("train", "b"), ("val", "c"), ("val", "d"), ("test", "e")]
    ):
        folder = root / f"{challenge}_{split}"
        folder.mkdir(parents=True, exist_ok=True)
        kspace, target = small_volume(challenge, seed)
        if split == "test":
            write_fastmri_file(
                folder / f"{name}.h5", kspace * mask, mask=mask, recon_size=(SIZE, SIZE)
            )
        else:
            write_fastmri_file(folder / f"{name}.h5", kspace, target, acquisition="AXT2")
    return root
