"""Finds the volumes of a source, and converts them so that an interrupted run can go on."""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import h5py

from fastmri_clgnet.convert.record import record_conversion
from fastmri_clgnet.convert.sources import SOURCES
from fastmri_clgnet.convert.splitting import assign_splits, own_splits
from fastmri_clgnet.convert.writing import write_volume
from fastmri_clgnet.data.fastmri_file import TARGET_KEYS
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.parallel import map_files
from fastmri_clgnet.training.masks import make_mask, train_mask

PARTIAL = ".partial"  # folder of files that are not whole yet, where the host does not look


class Job(NamedTuple):
    """One volume to convert.

    Args:
        path: Its file.
        name: Of the volume, and of the file that is written.
        split: train, val or test.
        args: All flags.
    """

    path: Path
    name: str
    split: str
    args: argparse.Namespace


class Done(NamedTuple):
    """What has been written for a volume.

    Args:
        challenge: "singlecoil" or "multicoil".
        split: train, val or test.
        n_slices: Number of slices.
        image_size: Height and width of the target or, without one, of the k-space.
        skipped: Whether it was there already.
    """

    challenge: str
    split: str
    n_slices: int
    image_size: tuple[int, int]
    skipped: bool


def find_jobs(args: argparse.Namespace) -> list[Job]:
    """Find the volumes and settle the split of each.

    Args:
        args: With source, which holds train, val and test, or files that --split, --by and --seed
            distribute.

    Returns:
        The jobs, sorted by split and name.

    Raises:
        InputError: If there are none, two would get the same name, or some lie beside the folders
            of the source's own splits.
    """
    source: Path = args.source
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    folders = own_splits(source)
    suffixes = SOURCES[args.source_format].suffixes

    def files(folder: Path) -> list[Path]:
        """Files of the source's kind below a folder, relative to it."""
        found = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        base = folder.parent if folder.is_file() else folder
        relative = [path.relative_to(base) for path in found if path.is_file()]
        return [
            path
            for path in relative
            if path.name.lower().endswith(suffixes)
            and not any(part.startswith(".") for part in path.parts)
        ]

    if folders:
        placed = [
            (folder / name, name, split) for split, folder in folders.items()
            for name in files(folder)
        ]  # fmt: skip
        inside = {path for path, _, _ in placed}
        outside = [name for name in files(source) if source / name not in inside]
        if outside:
            raise InputError(
                f"{source}: has folders {words(folder.name for folder in folders.values())}, and "
                f"{len(outside)} file(s) outside them, such as {words(outside[:3])}; sort all "
                "files into folders train, val and test, or none"
            )
    else:
        base = source.parent if source.is_file() else source
        names = files(source)
        drawn = assign_splits(names, args.split, args.by, args.seed) if names else {}
        placed = [(base / name, name, drawn[name]) for name in names]
    if not placed:
        raise InputError(
            f"{source}: no files ending in {words(suffixes)} (below its folders train, val and "
            "test, if it has such)"
        )
    jobs = []
    for path, relative, split in placed:
        ending = next(ending for ending in suffixes if relative.name.lower().endswith(ending))
        name = "_".join(relative.parts)[: -len(ending)]
        jobs.append(Job(path, name, split, args))
    for (name, split), count in Counter((job.name, job.split) for job in jobs).items():
        if count > 1:
            raise InputError(f"{source}: {count} files would be {split}/{name}.h5; rename them")
    return sorted(jobs, key=lambda job: (job.split, job.name))


def convert(args: argparse.Namespace) -> tuple[list[Done], list[str]]:
    """Convert all volumes that are not there yet, those behind a bad one too.

    Args:
        args: All flags.

    Returns:
        What stands in the output folder now, by volume; and what is wrong with those that could
        not be converted, once where it is the same.

    Raises:
        InputError: If the flags, the source or the output folder do not fit.
    """
    out: Path = args.out
    if not 0 <= args.seed < 2**32:
        raise InputError(f"--seed {args.seed}: expected 0 to {2**32 - 1}")
    if out.resolve().is_relative_to(args.source.resolve()):
        raise InputError(f"{out}: lies in the source {args.source}; give a folder elsewhere")
    jobs = find_jobs(args)
    make_mask(train_mask(args), args.seed)  # refuses flags of masks that do not fit
    sizes = {f"{job.split}/{job.name}": job.path.stat().st_size for job in jobs}
    record_conversion(args, sizes, drawn=not own_splits(args.source))
    try:
        results = map_files(_attempt, jobs, args.num_workers, "Converting")
    finally:
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
    failures = dict.fromkeys(result for result in results if isinstance(result, str))
    return [result for result in results if isinstance(result, Done)], list(failures)


def _attempt(job: Job) -> Done | str:
    """Convert one volume, or say what is wrong with it."""
    try:
        return convert_one(job)
    except InputError as error:
        return str(error)


def convert_one(job: Job) -> Done:
    """Convert one volume, unless that has been done.

    Args:
        job: Which.

    Returns:
        What has been written.

    Raises:
        InputError: If it cannot be converted.
    """
    out: Path = job.args.out
    for challenge in TARGET_KEYS:
        path = out / f"{challenge}_{job.split}" / f"{job.name}.h5"
        if path.is_file():
            return _look(path, challenge, job.split, skipped=True)
    try:
        volume = SOURCES[job.args.source_format].read(job.path, job.name, job.args)
    except OSError as error:
        raise InputError(f"{job.path}: cannot be read ({error})") from error
    challenge = "singlecoil" if volume.kspace.ndim == 3 else "multicoil"
    path = out / f"{challenge}_{job.split}" / f"{job.name}.h5"
    # Whatever ends this process, no split's folder ever holds a file that is not whole
    partial = out / PARTIAL / job.split / path.name
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_volume(partial, volume, job.split, job.args)
    except InputError as error:
        raise InputError(f"{job.path}: {str(error).removeprefix(f'{partial}: ')}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(path)
    return _look(path, challenge, job.split, skipped=False)


def _look(path: Path, challenge: str, split: str, skipped: bool) -> Done:
    with h5py.File(path, "r") as file:
        kspace = file["kspace"]
        shown = file.get(TARGET_KEYS[challenge], kspace)
        return Done(challenge, split, len(kspace), tuple(shown.shape[-2:]), skipped)


def summary(done: list[Done]) -> str:
    """Lay out what was converted, a line a split.

    Args:
        done: What `convert` returned.

    Returns:
        A table.
    """
    lines = [f"{'':17}{'volumes':>8}{'slices':>8}  images"]
    for challenge, split in sorted({(one.challenge, one.split) for one in done}):
        part = [one for one in done if (one.challenge, one.split) == (challenge, split)]
        sizes = sorted({one.image_size for one in part})
        images = ", ".join(f"{height} x {width}" for height, width in sizes)
        lines.append(
            f"{challenge + '_' + split:17}{len(part):8}{sum(one.n_slices for one in part):8}  "
            f"{images}"
        )
    skipped = sum(one.skipped for one in done)
    if skipped:
        lines.append(f"({skipped} of the volumes had been converted before)")
    return "\n".join(lines)
