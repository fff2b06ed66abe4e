"""A reconstruction from beginning to end: check everything, then make what is missing."""

from __future__ import annotations

import torch
from tqdm import tqdm

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.reconstruction.files import Existing, find_volumes, missing
from fastmri_clgnet.reconstruction.job import Job
from fastmri_clgnet.reconstruction.processes import share_volumes


def reconstruct(
    job: Job, device_name: str, existing: Existing = "keep", num_processes: int = 1
) -> tuple[int, int]:
    """Reconstruct the volumes of a folder that are not there yet.

    Args:
        job: What to do.
        device_name: As `choose_device` takes it.
        existing: What becomes of reconstructions that are there.
        num_processes: Processes that share the volumes.

    Returns:
        Numbers of volumes: written, and skipped because they were there.

    Raises:
        InputError: If something cannot be used; nothing is written then that is not complete.
    """
    device = choose_device(device_name)
    if job.precision == "16-mixed" and device.type == "cpu":
        raise InputError("--precision 16-mixed: is for GPUs; on the CPU there is bf16-mixed")
    volumes = find_volumes(job.data_path, job.challenge, undersample=job.mask is not None)
    if job.output_path.resolve() == job.data_path.resolve():
        raise InputError(f"{job.output_path}: the data is there; give another --output_path")
    _, _, settings = job.load()
    job.output_path.mkdir(parents=True, exist_ok=True)
    todo = missing(volumes, job.output_path, settings, existing)
    names = [volume.path.name for volume in todo]
    n_slices = sum(volume.kspace_shape[0] for volume in todo)
    with tqdm(total=n_slices, desc="Reconstructing", unit="slice", disable=not names) as bar:
        share_volumes(job, names, device, num_processes, bar.update)
    return len(todo), len(volumes) - len(todo)


def choose_device(name: str) -> torch.device:
    """The device that --device names.

    Args:
        name: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ...

    Returns:
        The device.

    Raises:
        InputError: If there is none of that name.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {name}: cannot be used here ({str(error).splitlines()[0]}); expected auto, "
            "cpu, or cuda or cuda:1 on a machine with such a GPU"
        ) from error
    return device
