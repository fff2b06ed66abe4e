"""The volumes of a folder reconstructed by a trained model, as fastMRI's submission files."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tqdm import tqdm

from fastmri_clgnet.data.folders import challenge_of, inspect_folder
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import make_folder, plain_name
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.formats.fastmri_reading import VolumeInfo
from fastmri_clgnet.inference.submission import (
    data_digest,
    describe,
    read_settings,
    save_reconstruction,
)
from fastmri_clgnet.pl_modules.registry import MODELS, takes_kspace
from fastmri_clgnet.precision import Precision

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    import torch
    from fastmri.data import SliceDataset
    from fastmri.pl_modules import MriModule


@dataclass(frozen=True)
class Reconstructed:
    """What became of the volumes of a folder; `str()` counts them."""

    output_path: Path
    written: list[Path]
    kept: list[Path]  # made before, with the same settings of the same data

    def __str__(self) -> str:
        kept = f", {len(self.kept)} were there already" if self.kept else ""
        return f"{len(self.written)} volumes written to {self.output_path}{kept}"


def reconstruct(
    data_path: Path | str,
    output_path: Path | str,
    checkpoint: Path | str | MriModule | None = None,
    *,
    model: str | None = None,
    challenge: Challenge | None = None,
    mask: Mask | None = None,
    device: str = "auto",
    batch_size: int = 1,
    precision: Precision = "32-true",
    num_workers: int = 0,
    num_processes: int = 1,
    overwrite: bool | Literal["different"] = False,
) -> Reconstructed:
    """Reconstruct the volumes of a folder by a trained model; write fastMRI's submission files.

    For one file from a scanner: python -m fastmri_clgnet.reconstruct SCAN --output OUT.nii.gz,
    whose flags python -m fastmri_clgnet.reconstruct SCAN --help shows.

    Undersampled test files need no mask. Fully sampled files are undersampled by the mask, seeded
    by their names. Volumes that are there already are skipped, so that the same command continues
    after an interruption.

    Args:
        data_path: Folder of fastMRI's files, such as DATA/singlecoil_test.
        output_path: Folder of the submission files.
        checkpoint: Name of weights of the package (python -m fastmri_clgnet weights), checkpoint of
            train_clgnet, what export made of one, or fastMRI's published weights of its U-Net or
            E2E-VarNet. In Python also a module, which is copied and not changed.
        model: Which model, where the checkpoint does not say it; zero_filled needs no checkpoint.
        challenge: Kind of data. None is what the first file holds.
        mask: How fully sampled files are undersampled.
        device: cpu, cuda, cuda:1, ...; auto is a GPU where there is one.
        batch_size: Slices at a time.
        precision: Lightning's names; 16-mixed is for GPUs.
        num_workers: Loader processes.
        num_processes: Processes that share the volumes; with device cuda they go to all GPUs in
            turn.
        overwrite: Whether to make again what is there already; "different" makes again only what
            was made with other settings or of other data.

    Returns:
        The files.

    Raises:
        InputError: If something cannot be used; every volume that is there then is complete.
    """
    from fastmri.data import SliceDataset

    from fastmri_clgnet.data.data_module import make_transform

    data_path, output_path = Path(data_path), Path(output_path)
    for name, value in (("batch_size", batch_size), ("num_processes", num_processes)):
        if value < 1:
            raise InputError(f"{name} {value}: expected 1 or more")
    challenge = challenge or challenge_of(data_path)
    place = choose_device(device, precision)
    volumes = inspect_folder(data_path, challenge, masked=mask is None, references=False)
    if output_path.resolve() == data_path.resolve():
        raise InputError(f"{output_path}: the data is there; give another --output_path")
    module = load_module(checkpoint, model)
    path = Path(checkpoint) if isinstance(checkpoint, Path | str) else None
    settings = describe(module, path, challenge, mask, precision)
    make_folder(output_path)
    todo = _missing(volumes, output_path, settings, overwrite)
    names = [volume.path.name for volume in todo]
    if todo:
        transform = make_transform(challenge, mask and mask.make(), takes_kspace(module))
        # the host's own filter, which takes all slices, too, cannot be pickled
        dataset = SliceDataset(data_path, challenge, transform, raw_sample_filter=bool)
        worker = _Worker(
            module, dataset, data_path, output_path, settings, batch_size, precision, num_workers
        )
        n_slices = sum(volume.kspace_shape[0] for volume in todo)
        with tqdm(total=n_slices, desc="Reconstructing", unit="slice") as bar:
            if min(num_processes, len(names)) > 1:
                _share(worker, names, place, min(num_processes, len(names)), bar.update)
            else:
                worker.run(names, place, bar.update)
    paths = [output_path / volume.path.name for volume in volumes]
    return Reconstructed(
        output_path,
        [path for path in paths if path.name in names],
        [path for path in paths if path.name not in names],
    )


def choose_device(name: str, precision: Precision) -> torch.device:
    """The device of a name, which computes in that precision; auto is a GPU where there is one."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {name}: cannot be used here ({str(error).splitlines()[0]}); expected auto, "
            "cpu, or cuda or cuda:1 on a machine with such a GPU"
        ) from error
    if precision == "16-mixed" and device.type == "cpu":
        raise InputError("precision 16-mixed: is for GPUs; on the CPU there is bf16-mixed")
    return device


def load_module(checkpoint: Path | str | MriModule | None, model: str | None) -> MriModule:
    """The model in evaluation mode, loaded or copied; see `reconstruct`."""
    from fastmri.pl_modules import MriModule

    from fastmri_clgnet.inference.loading import build, find_weights, read_model

    if model not in (None, *MODELS):
        raise InputError(f"model {model}: expected one of {', '.join(MODELS)}")
    if isinstance(checkpoint, Path | str):
        module = build(read_model(find_weights(checkpoint), model))
        for name in ("in_chans", "out_chans"):
            if module.hparams.get(name, 1) != 1:
                raise InputError(
                    f"{checkpoint}: a network with {name} {module.hparams[name]}; expected one "
                    "that takes and gives one magnitude image"
                )
        return module
    if checkpoint is not None:
        if not isinstance(checkpoint, MriModule):
            raise InputError(
                f"weights of type {type(checkpoint).__name__}: expected a file, or a Lightning "
                "module such as load gives or CLGNetModule (not the network in it)"
            )
        return copy.deepcopy(checkpoint).cpu().eval()
    if model is None:
        raise InputError("no weights: give a checkpoint (--checkpoint)")
    module = MODELS[model].module(**MODELS[model].fixed).eval()
    if any(True for _ in module.parameters()):
        raise InputError(f"model {model} is trained: give a checkpoint of it (--checkpoint)")
    return module


def _missing(
    volumes: Sequence[VolumeInfo],
    output_path: Path,
    settings: Mapping[str, Any],
    overwrite: bool | Literal["different"],
) -> list[VolumeInfo]:
    """Decide which volumes are still to be reconstructed; what is there must be made just so."""
    todo = []
    for volume in volumes:
        path = output_path / volume.path.name
        if overwrite is True or not path.exists():
            todo.append(volume)
            continue
        theirs = read_settings(path)
        ours = {**settings, "data": data_digest(volume.path)}
        # the weights say which checkpoint it is, wherever it lies now
        different = [
            key for key in ours if key != "checkpoint" and (theirs or {}).get(key) != ours[key]
        ]
        if overwrite == "different":
            todo += [volume] if different else []
        elif theirs is None:
            raise InputError(
                f"{path}: was not written by this command; give another --output_path, or "
                "--overwrite to replace it"
            )
        elif different:
            differences = "; ".join(
                f"{key} was {theirs.get(key)}, is {ours[key]}" for key in different
            )
            raise InputError(
                f"{path}: was made with other settings ({differences}); give another "
                "--output_path, or --overwrite to replace it"
            )
    return todo


@dataclass
class _Worker:
    """What a process needs: the model, the data, and how to write; other processes get a copy."""

    module: MriModule
    dataset: SliceDataset
    data_path: Path
    output_path: Path
    settings: dict[str, Any]
    batch_size: int
    precision: Precision
    num_workers: int

    def run(
        self, names: Sequence[str], device: torch.device, progress: Callable[[int], object]
    ) -> None:
        """Reconstruct volumes by the model's test step; `progress` is told each batch's slices."""
        import torch
        from torch.utils.data import DataLoader

        from fastmri_clgnet.precision import autocast

        slices: dict[str, list[int]] = {name: [] for name in names}  # places in the data set
        for index, sample in enumerate(self.dataset.raw_samples):
            if sample.fname.name in slices:
                slices[sample.fname.name].append(index)
        loader = DataLoader(
            self.dataset,
            # batches end with their volume, so that memory holds one volume at a time
            batch_sampler=[
                of_volume[start : start + self.batch_size]
                for of_volume in slices.values()
                for start in range(0, len(of_volume), self.batch_size)
            ],
            num_workers=self.num_workers,
            pin_memory=device.type == "cuda",
        )
        module = self.module.to(device)
        images: list[np.ndarray] = []
        with torch.inference_mode():
            for batch in loader:
                moved = module.transfer_batch_to_device(batch, device, 0)
                with autocast(device, self.precision):
                    result = module.test_step(moved, 0)
                images.extend(result["output"])
                name = result["fname"][0]
                if len(images) == len(slices[name]):
                    settings = {**self.settings, "data": data_digest(self.data_path / name)}
                    path = self.output_path / plain_name(name)
                    save_reconstruction(path, np.stack(images), settings)
                    images = []
                progress(len(result["output"]))


def _share(
    worker: _Worker,
    names: Sequence[str],
    device: torch.device,
    num_processes: int,
    progress: Callable[[int], object],
) -> None:
    """Reconstruct volumes in several processes, each of which has the model."""
    import torch

    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // num_processes)
    # as bytes: torch would otherwise share each tensor by a file descriptor of its own
    arguments = (pickle.dumps(worker), context.Value("q", 0), threads, device)
    with ProcessPoolExecutor(num_processes, context, _start, arguments) as pool:
        try:
            for future in as_completed([pool.submit(_work, name) for name in names]):
                progress(future.result())
        except BrokenProcessPool as error:
            raise InputError(
                "a process died (out of memory?); what is complete is written and the same "
                "command continues; try fewer --num_processes"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_worker: _Worker  # of each process of the pool
_device: torch.device


def _start(worker: bytes, started: Synchronized[int], threads: int, device: torch.device) -> None:
    """Prepare a process of the pool: its share of the cores, its device, its model."""
    global _worker, _device
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    torch.set_num_threads(threads)
    with started.get_lock():
        rank = int(started.value)
        started.value += 1
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", rank % torch.cuda.device_count())
    _worker, _device = pickle.loads(worker), device


def _work(name: str) -> int:
    """Reconstruct one volume, and count its slices."""
    counts: list[int] = []
    _worker.run([name], _device, counts.append)
    return sum(counts)
