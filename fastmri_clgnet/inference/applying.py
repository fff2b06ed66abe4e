"""Networks applied to samples: one way for a folder's volumes and for a single scan."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from fastmri.data import SliceDataset
from torch import nn
from torch.utils.data import DataLoader

from fastmri_clgnet.data.folders import check_header_sizes, sample_size
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.data.transfer import to_device
from fastmri_clgnet.data.transforms import collate_one_size, make_transform
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import plain_name
from fastmri_clgnet.formats.fastmri_reading import VolumeInfo
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.inference.loading import load
from fastmri_clgnet.inference.network import Network
from fastmri_clgnet.inference.regularisation import Regularisation
from fastmri_clgnet.inference.submission import data_digest, save_reconstruction
from fastmri_clgnet.models.classical import CLASSICAL
from fastmri_clgnet.models.compiled import compile_network
from fastmri_clgnet.models.least_size import expect_size
from fastmri_clgnet.models.reconstructor import Reconstructor, takes_kspace
from fastmri_clgnet.models.registry import MODELS
from fastmri_clgnet.precision import Precision, autocast
from fastmri_clgnet.slice_quality import volume_quality
from fastmri_clgnet.tables import LABELS, ZERO_FILLED

Progress = Callable[[int], object]  # is told how many slices are done since the last call


def choose_device(name: str, precision: Precision) -> torch.device:
    """The device of a name, which computes in that precision; auto is a GPU where there is one."""
    if precision not in get_args(Precision):
        raise InputError(f"precision {precision}: expected {', '.join(get_args(Precision))}")
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


def ready_network(
    checkpoint: Path | str | Network | None,
    model: str | None,
    regularisation: Regularisation = Regularisation(),
    challenge: str = "multicoil",
) -> nn.Module:
    """The network in evaluation mode on the CPU, loaded or copied; see `reconstruct`."""
    if model not in (None, *MODELS):
        raise InputError(f"model {model}: expected one of {', '.join(MODELS)}")
    if regularisation != Regularisation() and (checkpoint is not None or model not in CLASSICAL):
        raise InputError(f"lamda, iterations: are of the models {', '.join(CLASSICAL)}; omit them")
    if isinstance(checkpoint, Path | str):
        network = load(checkpoint, model=model)
        for name in ("in_chans", "out_chans"):
            if network.arguments.get(name, 1) != 1:
                raise InputError(
                    f"{checkpoint}: a network with {name} {network.arguments[name]}; expected one "
                    "that takes and gives one magnitude image"
                )
        return network
    if checkpoint is not None:
        if not isinstance(checkpoint, Reconstructor) and not hasattr(checkpoint, "test_step"):
            raise InputError(
                f"checkpoint of type {type(checkpoint).__name__}: expected a file, what load "
                "gives, or a Lightning module such as CLGNetModule (not the network in it)"
            )
        given: nn.Module = copy.deepcopy(checkpoint)  # type: ignore[assignment]
        return given.cpu().eval()
    if model is None:
        raise InputError("no weights: give a checkpoint, or model zero_filled, which needs none")
    choice = MODELS[model]
    untrained = choice.reconstructor()
    try:
        settings = {"challenge": challenge, **asdict(regularisation)}
        untrained.make_network({**settings, **choice.fixed})
    except ValueError as error:
        raise InputError(str(error)) from error
    if any(True for _ in untrained.parameters()):
        raise InputError(f"model {model} is trained: give a checkpoint of it")
    return untrained.eval()


def check_samples(network: nn.Module, volumes: Sequence[VolumeInfo]) -> None:
    """Refuse volumes that are too small for a network, or cannot be cropped as it needs."""
    on_kspace = takes_kspace(network)
    for volume in volumes:
        expect_size(network, str(volume.path), sample_size(volume, on_kspace))
    if on_kspace:
        check_header_sizes(volumes)


def reconstruct_samples(
    network: nn.Module,
    batches: Iterable[Any],
    device: torch.device,
    precision: Precision,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Apply a network to batches of samples, by a Lightning module's own test step if it is one.

    Args:
        network: In evaluation mode; it is moved to the device.
        batches: Samples with a batch axis, of the transform that the network takes.
        device: Where to compute.
        precision: Lightning's names.
        progress: Is told the number of slices after each batch.

    Returns:
        Images (slices, height, width) of all batches, in the data's units.
    """
    applied: Any = network.to(device)
    images: list[npt.NDArray] = []
    for batch in batches:
        sample = to_device(batch, device)
        with torch.inference_mode(), autocast(device, precision):
            if hasattr(applied, "test_step"):
                made = applied.test_step(sample, 0)["output"]
            else:
                made = applied.reconstruct(sample).cpu().numpy()
        images.extend(made)
        if progress is not None:
            progress(len(made))
    return np.stack(images).astype(np.float32, copy=False)


def reconstruct_slices(
    network: nn.Module,
    scan: Scan,
    device: str,
    batch_size: int,
    precision: Precision,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Reconstruct all slices of a scan; see `reconstruct_scan`."""
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: expected 1 or more")
    place = choose_device(device, precision)
    on_kspace = takes_kspace(network)
    rows, columns = scan.kspace.shape[-2:]
    expect_size(network, scan.name, (rows, columns) if on_kspace else scan.recon_size)
    transform = make_transform(scan.challenge, None, on_kspace)
    sampled = scan.sampled()
    first, end = np.flatnonzero(sampled)[[0, -1]] + [0, 1]
    attributes = {
        "recon_size": (*scan.recon_size, 1),
        "padding_left": int(first),
        "padding_right": int(end),
    }

    def batches() -> Iterator[Any]:
        n_slices = len(scan.kspace)
        for start in range(0, n_slices, batch_size):
            samples = [
                transform(scan.kspace[i], sampled, None, attributes, scan.name, i)
                for i in range(start, min(start + batch_size, n_slices))
            ]
            if on_kspace:
                centre = scan.num_low_frequencies
                samples = [sample._replace(num_low_frequencies=centre) for sample in samples]
            yield collate_one_size(samples)

    return reconstruct_samples(network, batches(), place, precision, progress)


def against_reference(scan: Scan, images: npt.NDArray[np.float32], label: str) -> str | None:
    """PSNR and SSIM of images, and of zero-filling beside them, where the full scan is known."""
    if scan.reference is None:
        return None
    both = {LABELS[ZERO_FILLED]: scan.images(), label: images}
    return "; ".join(
        "{} {:.2f} dB, SSIM {:.4f}".format(name, *volume_quality(scan.reference, each))
        for name, each in both.items()
    )


@dataclass
class FolderWork:
    """What a process needs to reconstruct volumes of a folder; other processes get a copy."""

    network: nn.Module
    data_path: Path
    output_path: Path
    settings: Mapping[str, Any]  # what the submission files say, see `describe`
    challenge: str
    mask: Mask | None
    batch_size: int
    precision: Precision
    compile: bool  # what other processes do; here the network is given as it is
    num_workers: int

    def __post_init__(self) -> None:
        """Open every file once, for its header."""
        mask_func = None if self.mask is None else self.mask.make()
        transform = make_transform(
            self.challenge, mask_func, takes_kspace(self.network), folder=self.data_path
        )
        # the host's own filter, which takes all slices, too, cannot be pickled
        self.dataset = SliceDataset(
            self.data_path, self.challenge, transform, raw_sample_filter=bool
        )

    def run(self, names: Sequence[str], device: torch.device, progress: Progress) -> None:
        """Reconstruct volumes and write each as it is complete."""
        slices: dict[str, list[int]] = {name: [] for name in names}  # places in the data set
        for index, sample in enumerate(self.dataset.raw_samples):
            if sample.fname.name in slices:
                slices[sample.fname.name].append(index)
        # batches end with their volume, so that memory holds one volume at a time
        batches = {
            name: [places[i : i + self.batch_size] for i in range(0, len(places), self.batch_size)]
            for name, places in slices.items()
        }
        loader = iter(
            DataLoader(
                self.dataset,
                batch_sampler=[batch for of_volume in batches.values() for batch in of_volume],
                num_workers=self.num_workers,
                pin_memory=device.type == "cuda",
            )
        )
        for name, of_volume in batches.items():
            samples = islice(loader, len(of_volume))
            images = reconstruct_samples(self.network, samples, device, self.precision, progress)
            settings = {**self.settings, "data": data_digest(self.data_path / name)}
            save_reconstruction(self.output_path / plain_name(name), images, settings)

    def share(
        self, names: Sequence[str], device: torch.device, num_processes: int, progress: Progress
    ) -> None:
        """Reconstruct volumes in several processes, each of which has the network."""
        context = multiprocessing.get_context("spawn")
        threads = max(1, torch.get_num_threads() // num_processes)
        # as bytes: torch would otherwise share each tensor by a file descriptor of its own
        arguments = (pickle.dumps(self), context.Value("q", 0), threads, device)
        with ProcessPoolExecutor(num_processes, context, _start, arguments) as pool:
            try:
                for future in as_completed([pool.submit(_reconstruct, name) for name in names]):
                    progress(future.result())
            except BrokenProcessPool as error:
                raise InputError(
                    "a process died (out of memory?); what is complete is written and the same "
                    "command continues; try a smaller num_processes"
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)


_work: FolderWork  # of each process of the pool
_device: torch.device


def _start(work: bytes, started: Synchronized[int], threads: int, device: torch.device) -> None:
    """Prepare a process of the pool: its share of the cores, its device, its network."""
    global _work, _device

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    torch.set_num_threads(threads)
    with started.get_lock():
        rank = int(started.value)
        started.value += 1
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", rank % torch.cuda.device_count())
    _work, _device = pickle.loads(work), device
    if _work.compile:  # which a copy is not
        compile_network(_work.network, device)


def _reconstruct(name: str) -> int:
    """Reconstruct one volume, and count its slices."""
    counts: list[int] = []
    _work.run([name], _device, counts.append)
    return sum(counts)
