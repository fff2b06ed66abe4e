"""What one process does: reconstruct volume after volume and write each as it is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastmri.data import SliceDataset
from fastmri.pl_modules import MriModule
from torch.utils.data import DataLoader

from fastmri_clgnet.data import collate_one_size
from fastmri_clgnet.data.fastmri_file import plain_name
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.loading import build, read_model, weights_digest
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.precision import autocast
from fastmri_clgnet.reconstruction.files import data_digest, save_reconstruction
from fastmri_clgnet.training.data import make_transform
from fastmri_clgnet.training.masks import MaskSettings, make_mask


@dataclass(frozen=True)
class Job:
    """What to reconstruct, and how; plain values, to be handed to other processes.

    Args:
        checkpoint: A file that `fastmri_clgnet.loading.read_model` reads; None for a model that is
            not trained.
        model: The choice of --model, where the checkpoint does not say it.
        data_path: Folder of fastMRI's files.
        challenge: "singlecoil" or "multicoil".
        output_path: Folder of submission files.
        mask: mask_type, accelerations and center_fractions, for fully sampled files.
        batch_size: Slices at a time.
        precision: A key of `fastmri_clgnet.precision.PRECISIONS`.
        num_workers: Loader processes.
    """

    checkpoint: Path | None
    model: str | None
    data_path: Path
    challenge: str
    output_path: Path
    mask: dict[str, Any] | None = None
    batch_size: int = 1
    precision: str = "32-true"
    num_workers: int = 0

    def load(self) -> tuple[MriModule, str, dict[str, Any]]:
        """Load the model.

        Returns:
            The module, in evaluation mode on the CPU; its choice of --model; and how the
            reconstructions are made, which every submission file says beside its `data_digest`.

        Raises:
            InputError: If it cannot be loaded.
        """
        if self.checkpoint is not None:
            stored = read_model(self.checkpoint, self.model)
            name, module = stored.model, build(stored)
        elif self.model is not None:
            choice = MODELS[self.model]
            name, module = self.model, choice.module(**choice.fixed).eval()
            if any(True for _ in module.parameters()):
                raise InputError(f"--model {name} is trained: give a --checkpoint of it")
        else:
            raise InputError("give a --checkpoint")
        settings = {
            "model": name,
            "checkpoint": str(self.checkpoint),
            "weights": weights_digest(module.state_dict()),
            "challenge": self.challenge,
            "mask": self.mask,
            "precision": self.precision,
        }
        return module, name, settings

    def dataset(self, on_kspace: bool) -> SliceDataset:
        """The host's data set of the files, each of which it opens."""
        mask = None if self.mask is None else make_mask(MaskSettings(**self.mask), seed=0)
        transform = make_transform(self.challenge, mask, on_kspace)
        return SliceDataset(self.data_path, self.challenge, transform)


class Reconstructor:
    """A job's model on a device.

    Args:
        job: What to do.
        device: Where the model runs.

    Raises:
        InputError: If the model cannot be loaded.
    """

    def __init__(self, job: Job, device: torch.device) -> None:
        """Load the model and look at the files once, however many are handed to `run`."""
        self.job = job
        self.device = device
        self.module, self.model, self.settings = job.load()
        self.module.to(device)
        self.dataset = job.dataset(MODELS[self.model].on_kspace)
        self.slices: dict[str, list[int]] = {}  # places in the data set, by file name
        for index, sample in enumerate(self.dataset.raw_samples):
            self.slices.setdefault(sample.fname.name, []).append(index)

    @torch.inference_mode()
    def run(self, names: Sequence[str], progress: Callable[[int], object]) -> None:
        """Reconstruct volumes and write them one by one.

        The model's own test step does it, as in `train_clgnet --mode test`. Batches do not reach
        over the end of a volume, so that memory holds one volume at a time.

        Args:
            names: File names in job.data_path.
            progress: Is told the number of slices after each batch.

        Raises:
            InputError: If a file cannot be used; what is complete by then is written.
        """
        job = self.job
        batches = [
            self.slices[name][start : start + job.batch_size]
            for name in names
            for start in range(0, len(self.slices[name]), job.batch_size)
        ]
        loader = DataLoader(
            self.dataset,
            batch_sampler=batches,
            num_workers=job.num_workers,
            collate_fn=collate_one_size,
            pin_memory=self.device.type == "cuda",
        )
        images: dict[int, np.ndarray] = {}
        for batch in loader:
            moved = self.module.transfer_batch_to_device(batch, self.device, 0)
            with autocast(self.device, job.precision):
                result = self.module.test_step(moved, 0)
            images.update(zip(map(int, result["slice"]), result["output"], strict=True))
            name = result["fname"][0]
            if len(images) == len(self.slices[name]):
                stacked = np.stack([images[index] for index in sorted(images)])
                settings = {**self.settings, "data": data_digest(job.data_path / name)}
                save_reconstruction(job.output_path / plain_name(name), stacked, settings)
                images = {}
            progress(len(result["output"]))
