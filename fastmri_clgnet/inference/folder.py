"""The volumes of a folder reconstructed by a trained model, as fastMRI's submission files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from tqdm import tqdm

from fastmri_clgnet.data.folders import challenge_of, inspect_folder, list_files
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import make_folder
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.formats.fastmri_reading import VolumeInfo
from fastmri_clgnet.inference.domain import folder_out_of_domain
from fastmri_clgnet.inference.network import Network
from fastmri_clgnet.inference.regularisation import Regularisation
from fastmri_clgnet.inference.submission import data_digest, describe, read_settings
from fastmri_clgnet.precision import Precision
from fastmri_clgnet.weights import find_weights


@dataclass(frozen=True)
class Reconstructed:
    """What became of the volumes of a folder; `str()` counts them.

    Example:
        >>> print(Reconstructed(Path("OUT"), written=[Path("OUT/a.h5")], kept=[]))
        1 volumes written to OUT
    """

    output_path: Path
    written: list[Path]
    kept: list[Path]  # made before, with the same settings of the same data
    # how the data differ from what the weights were trained on, and which volumes
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        kept = f", {len(self.kept)} were there already" if self.kept else ""
        lines = [f"{len(self.written)} volumes written to {self.output_path}{kept}"]
        return "\n".join([*lines, *(f"warning: {text}" for text in self.warnings)])


def reconstruct(
    data_path: Path | str,
    output_path: Path | str,
    checkpoint: Path | str | Network | None = None,
    *,
    model: str | None = None,
    regularisation: Regularisation = Regularisation(),
    challenge: Challenge | None = None,
    mask: Mask | None = None,
    device: str = "auto",
    batch_size: int = 1,
    precision: Precision = "32-true",
    compile: bool = False,
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
            train_clgnet, what export made of one, or published weights: of fastMRI's U-Net or
            E2E-VarNet, or of DCCNN. In Python also what `load` gives, or a Lightning module; it is
            copied and not changed.
        model: Which model, where the checkpoint does not say it; zero_filled, cs_wavelet and
            cs_tv need no checkpoint.
        regularisation: Of the models cs_wavelet and cs_tv.
        challenge: Kind of data. None is what the first file holds.
        mask: How fully sampled files are undersampled.
        device: cpu, cuda, cuda:1, ...; auto is a GPU where there is one.
        batch_size: Slices at a time.
        precision: Lightning's names; 16-mixed is for GPUs.
        compile: Whether torch compiles the blocks that the network repeats, which takes up to
            minutes first, in each process.
        num_workers: Loader processes.
        num_processes: Processes that share the volumes; with device cuda they go to all GPUs in
            turn.
        overwrite: Whether to make again what is there already; "different" makes again only what
            was made with other settings or of other data.

    Returns:
        The files.

    Example:
        >>> from fastmri_clgnet import example_slice
        >>> from fastmri_clgnet.data import write_fastmri_file
        >>> scan = example_slice()  # in place of your own files
        >>> write_fastmri_file("DATA/a.h5", scan.kspace, scan.images())
        >>> print(reconstruct("DATA", "OUT", model="zero_filled", mask=Mask()))
        1 volumes written to OUT

    Raises:
        InputError: If something cannot be used; every volume that is there then is complete.
    """
    data_path, output_path = Path(data_path), Path(output_path)
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("num_processes", num_processes, 1),
        ("num_workers", num_workers, 0),
    ):
        if value < least:
            raise InputError(f"{name} {value}: expected {least} or more")
    if challenge not in (None, *get_args(Challenge)):
        raise InputError(f"challenge {challenge}: expected {' or '.join(get_args(Challenge))}")
    path = Path(checkpoint) if isinstance(checkpoint, Path | str) else None
    # what is missing is said before torch is imported, which takes seconds
    if path is not None:
        find_weights(path)
    list_files(data_path)
    from fastmri_clgnet.inference.applying import (
        FolderWork,
        check_samples,
        choose_device,
        compile_network,
        ready_network,
    )

    challenge = challenge or challenge_of(data_path)
    place = choose_device(device, precision)
    volumes = inspect_folder(data_path, challenge, masked=mask is None, references=False)
    if output_path.resolve().is_relative_to(data_path.resolve()):
        raise InputError(
            f"{output_path}: the data is in {data_path}; give an output_path elsewhere"
        )
    network = ready_network(checkpoint, model, regularisation, challenge)
    check_samples(network, volumes)
    if compile:
        compile_network(network, place)
    settings = describe(network, path, challenge, mask, precision)
    make_folder(output_path)
    todo = _missing(volumes, output_path, settings, overwrite)
    names = [volume.path.name for volume in todo]
    if todo:
        work = FolderWork(
            network, data_path, output_path, settings, challenge, mask, batch_size, precision,
            compile, num_workers,
        )  # fmt: skip
        n_slices = sum(volume.kspace_shape[0] for volume in todo)
        with tqdm(total=n_slices, desc="Reconstructing", unit="slice") as bar:
            if min(num_processes, len(names)) > 1:
                work.share(names, place, min(num_processes, len(names)), bar.update)
            else:
                work.run(names, place, bar.update)
    paths = [output_path / volume.path.name for volume in volumes]
    return Reconstructed(
        output_path,
        [path for path in paths if path.name in names],
        [path for path in paths if path.name not in names],
        tuple(folder_out_of_domain(network, volumes, mask)),
    )


def _missing(
    volumes: Sequence[VolumeInfo],
    output_path: Path,
    settings: Mapping[str, Any],
    overwrite: bool | Literal["different"],
) -> list[VolumeInfo]:
    """Which volumes are to be reconstructed; existing files must have the same settings."""
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
                f"{path}: was not written by this command; give another output_path, or "
                "overwrite it"
            )
        elif different:
            differences = "; ".join(
                f"{key} was {theirs.get(key)}, is {ours[key]}" for key in different
            )
            raise InputError(
                f"{path}: was made with other settings ({differences}); give another "
                "output_path, or overwrite them"
            )
    return todo
