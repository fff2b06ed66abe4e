"""Writes a volume to its split: with its reference, and undersampled where it is a test volume."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.conversion.splitting import Found
from fastmri_clgnet.data.mask import Mask, mask_seed
from fastmri_clgnet.errors import InputError, NotWritten, failure
from fastmri_clgnet.files import make_folder
from fastmri_clgnet.formats.fastmri import TARGET_KEYS, write_fastmri_file
from fastmri_clgnet.formats.hdf5 import open_hdf5
from fastmri_clgnet.formats.isolate import expect_readable
from fastmri_clgnet.formats.preparation import Preparation, prepare
from fastmri_clgnet.formats.scan import Reader, Scan, acquired_columns

PARTIAL = ".partial"  # folder of files that are not whole yet, where the host does not look


class Job(NamedTuple):
    """One volume to convert, and how; see `convert`."""

    volume: Found
    out: Path
    reader: Reader
    mask: Mask
    preparation: Preparation
    acquisition: str | None
    seed: int


class Done(NamedTuple):
    """What has been written for a volume; the size is the target's, else the k-space's."""

    path: Path
    challenge: str
    split: str
    n_slices: int
    image_size: tuple[int, int]
    skipped: bool
    notes: tuple[str, ...] = ()  # of how it was read


def attempt(job: Job) -> Done | str:
    """Convert one volume, unless that has been done, or say what is wrong with it."""
    try:
        return _convert(job)
    except (Exception, SystemExit) as error:  # of whatever library reads the file
        return failure(job.volume.path, error)


def _convert(job: Job) -> Done:
    source, name, split, files = job.volume
    for challenge in TARGET_KEYS:
        path = job.out / f"{challenge}_{split}" / f"{name}.h5"
        if path.is_file():
            return _done(path, challenge, split, skipped=True)
    for file in files or [source]:
        expect_readable(file)
    seed = [job.seed, *os.fsencode(name)]
    scan = job.reader.read(files or source, seed)  # type: ignore[arg-type]
    scan = prepare(scan._replace(name=str(source)), job.preparation)
    path = job.out / f"{scan.challenge}_{split}" / f"{name}.h5"
    # whatever ends this process, no split's folder ever holds a file that is not whole
    partial = job.out / PARTIAL / split / path.name
    try:
        _write(partial, scan, job)
    except NotWritten as error:
        said = str(error).removeprefix(f"{partial}: ")
        raise InputError(f"{source}: its {path}: {said}") from error
    except InputError as error:
        raise InputError(f"{source}: {str(error).removeprefix(f'{partial}: ')}") from error
    make_folder(path.parent)
    partial.replace(path)
    return _done(path, scan.challenge, split, skipped=False)


def _done(path: Path, challenge: str, split: str, skipped: bool) -> Done:
    with open_hdf5(path) as file:
        kspace = file["kspace"]
        shown = file.get(TARGET_KEYS[challenge], kspace)
        size, notes = tuple(shown.shape[-2:]), str(file.attrs.get("notes", "")).splitlines()
        return Done(path, challenge, split, len(kspace), size, skipped, tuple(notes))


def _write(path: Path, scan: Scan, job: Job) -> None:
    """Write one volume: a test volume undersampled, with the reference of its full k-space."""
    kspace, mask, target = scan.kspace, scan.mask, None
    attributes = dict(scan.attributes)
    if scan.notes:
        attributes["notes"] = "\n".join(scan.notes)
    split = job.volume.split
    if mask is not None and split != "test":
        raise InputError(
            f"{path}: acquired undersampled ({mask.sum()} of {len(mask)} columns), so that it "
            f"has no reference for the {split} split; sort all files of the source into folders "
            "train, val and test, this one into test"
        )
    if mask is not None and job.mask != Mask():
        raise InputError(
            f"{path}: acquired undersampled, and keeps its own mask; omit the mask, or convert the "
            "fully sampled volumes by themselves"
        )
    acquired = scan.acquired or acquired_columns(kspace)
    if mask is None:
        target = scan.images()
        if split == "test":
            mask, attributes["acceleration"] = _test_mask(
                path.name, kspace.shape[-1], acquired, job
            )
            kspace[..., ~mask] = 0
    write_fastmri_file(
        path,
        kspace,
        target,
        mask,
        recon_size=scan.recon_size,
        acquired=acquired,
        pixel_mm=scan.pixel_mm,
        acquisition=job.acquisition or scan.acquisition,
        attributes=attributes,
    )


def _test_mask(
    name: str, columns: int, acquired: tuple[int, int], job: Job
) -> tuple[npt.NDArray[np.bool_], int]:
    """Draw a mask, (columns,) bool, as the host does for validation; its nominal acceleration."""
    mask, _ = job.mask.draw(name, columns)
    mask_func = job.mask.make()
    mask_func.rng.seed(mask_seed(name))
    _, acceleration = mask_func.choose_acceleration()  # as the mask did
    mask[: acquired[0]] = mask[acquired[1] :] = False
    return mask, int(acceleration)
