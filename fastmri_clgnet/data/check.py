"""What is wrong in a data set in fastMRI's format, file by file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.folders import (
    SPLITS,
    VolumeInfo,
    inspect_volume,
    list_files,
    look_at,
    read_slices,
    split_names,
)
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.fastmri import TARGET_KEYS, Challenge, reference_image
from fastmri_clgnet.parallel import DEFAULT_WORKERS, map_files
from fastmri_clgnet.tables import format_table

CENTER_TOLERANCE = 1 / 16  # of rows and columns, that the peak of k-space may be off the middle
TARGET_TOLERANCE = 0.01  # squared error of a slice's target, relative to its image's energy


class Finding(NamedTuple):
    """What was found in a file; k-space (slices, [coils,] rows, columns), () if unreadable."""

    path: Path
    kspace: tuple[int, ...]
    image: tuple[int, ...]
    errors: list[str]
    warnings: list[str]


class Split(NamedTuple):
    """What was found in the folder of a split, and in each of its files."""

    folder: Path
    findings: list[Finding]
    errors: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class Findings:
    """What was found in a data set; printed as a table, a line for each file and problem."""

    splits: list[Split]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong; warnings do not affect it."""
        return not any(
            split.errors or any(finding.errors for finding in split.findings)
            for split in self.splits
        )

    def __str__(self) -> str:
        lines: list[str] = []
        for split in self.splits:
            lines.append(f"{split.folder}")
            lines += [f"  {text}" for text in split.errors]
            lines += [f"  warning: {text}" for text in split.warnings]
            if split.findings:
                cells = [("file", "k-space", "image", "result"), *_rows(split)]
                lines += [f"  {line}" for line in format_table(cells, n_left=4).splitlines()]
            lines.append("")
        findings = [finding for split in self.splits for finding in split.findings]
        bad = sum(bool(finding.errors) for finding in findings)
        folders = sum(bool(split.errors) for split in self.splits)
        warned = sum(len(one.warnings) for one in findings)
        warned += sum(len(split.warnings) for split in self.splits)
        lines.append(
            f"{len(findings)} files: {bad} with errors, {warned} warnings"
            + (f"; {folders} folders with errors" if folders else "")
        )
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """The same as plain values, {"good": ..., "splits": {folder: {..., "files": {...}}}}."""
        return {
            "good": self.good,
            "splits": {
                str(split.folder): {
                    "errors": split.errors,
                    "warnings": split.warnings,
                    "files": {
                        path.name: dict(zip(Finding._fields[1:], found, strict=True))
                        for path, *found in split.findings
                    },
                }
                for split in self.splits
            },
        }


def _rows(split: Split) -> Iterator[tuple[str, str, str, str]]:
    for finding in split.findings:
        problems = [*finding.errors, *(f"warning: {text}" for text in finding.warnings)]
        kspace, image = (" x ".join(map(str, shape)) for shape in (finding.kspace, finding.image))
        yield finding.path.name, kspace, image, (problems or ["good"])[0]
        for problem in problems[1:]:
            yield "", "", "", problem


def check(
    data: Path | str, challenge: Challenge | None = None, *, num_workers: int = DEFAULT_WORKERS
) -> Findings:
    """Check a data set in fastMRI's format, file by file.

    Finds what fastMRI's data set and transforms would stumble on, and whether k-space, mask, header
    and target fit together. The command exits with status 1 if anything is wrong; warnings do not
    affect the status. A script that uses more than one worker needs the guard
    `if __name__ == "__main__":`.

    Args:
        data: Folder that holds singlecoil_train and so on, or one of these.
        challenge: Which kind of data to check. None checks all that there is.
        num_workers: Processes; each holds one slice in memory. By default 4, or the number of
            usable cores, if that is smaller.

    Returns:
        What was found.

    Raises:
        InputError: If there is no split, or a process died.
    """
    challenges = list(TARGET_KEYS) if challenge is None else [challenge]
    names = split_names(challenges)
    data = Path(data)
    if data.name in ("", ".."):
        data = data.resolve()  # such as ".", which has no name to know a split by
    folders = [data / name for name in names if (data / name).is_dir()]
    if data.name in names and data.is_dir():
        folders.append(data)
    if not folders:
        raise InputError(f"{data}: expected a folder that holds some of {words(names)}")
    splits = [Split(folder, [], [], []) for folder in folders]
    paths: list[Path] = []
    for split in splits:
        try:
            paths += list_files(split.folder)
        except InputError as error:
            split.errors.append(str(error).removeprefix(f"{split.folder}: "))
    for finding in map_files(_check_file, paths, num_workers, "Checking"):
        splits[folders.index(finding.path.parent)].findings.append(finding)
    for split in splits:
        split.warnings.extend(_warnings(split.folder, split.findings))
    return Findings(splits)


def _warnings(folder: Path, findings: list[Finding]) -> Iterator[str]:
    sizes = sorted({finding.image for finding in findings if finding.image})
    if len(sizes) > 1:
        shown = ", ".join(f"{size[0]} x {size[1]}" for size in sizes)
        yield f"images of several sizes ({shown}): train with --batch_size 1"
    if len(findings) == 1 and folder.name.endswith("_val"):
        yield "one volume: fastmri.evaluate ends with an error where it has no spread"


def _check_file(path: Path) -> Finding:
    """Check a file of a split's folder; one whose structure is wrong is not read further."""
    try:
        return next(look_at([path], _look))
    except InputError as error:
        return Finding(path, (), (), [str(error).removeprefix(f"{path}: ")], [])


def _look(file: h5py.File, path: Path) -> Finding:
    challenge, split = path.parent.name.split("_")
    info = inspect_volume(file, path, challenge, SPLITS[split])
    errors = [*_header_problems(info), *_value_problems(file, info, challenge, SPLITS[split])]
    return Finding(path, info.kspace_shape, info.image_size, errors, list(_remarks(file, info)))


def _header_problems(info: VolumeInfo) -> Iterator[str]:
    rows, columns = info.kspace_shape[-2:]
    header = info.header
    if header.encoded != (rows, columns):
        yield (
            f"header: encoded matrix of {header.encoded[0]} x {header.encoded[1]}, but the k-space "
            f"has {rows} rows and {columns} columns"
        )
    first, end = header.acquired
    if end > columns:
        yield f"header: acquired columns {first} to {end} of {columns} (padding of masks)"


def _remarks(file: h5py.File, info: VolumeInfo) -> Iterator[str]:
    height, width = info.image_size
    if info.header.recon != info.image_size:
        yield (
            f"header: image of {info.header.recon[0]} x {info.header.recon[1]}, but the target has "
            f"{height} x {width}"
        )
    if height < width:
        yield (
            f"image of {height} x {width}, wider than high: fastmri.evaluate cuts images to "
            "squares of their width, and refuses this one; make images no wider than high"
        )
    if "acquisition" not in file.attrs:
        yield "no attribute 'acquisition', which fastmri.evaluate --acquisition asks for"


def _value_problems(
    file: h5py.File, info: VolumeInfo, challenge: str, masked: bool
) -> Iterator[str]:
    """Read slice by slice, and say what is wrong with k-space, mask and target."""
    columns = info.kspace_shape[-1]
    first, end = info.header.acquired
    outside = np.ones(columns, bool)
    outside[max(first, 0) : max(end, 0)] = False
    unsampled = file["mask"][()] == 0 if masked else np.zeros(columns, bool)

    slices = defaultdict[str, list[int]](list)  # problem: slices that have it
    energy = np.zeros(info.kspace_shape[-2:])
    largest, mismatch = -np.inf, 0.0
    for i, values, reference in read_slices(file, challenge):
        if not np.isfinite(values).all():
            slices["k-space: NaN or Inf"].append(i)
            continue
        if not values.any():
            slices["k-space: zero everywhere"].append(i)
        energy += (np.abs(values.astype(np.complex128)) ** 2).reshape(-1, *energy.shape).sum(axis=0)
        if values[..., outside].any():
            slices["k-space: signal outside the header's acquired columns"].append(i)
        if values[..., unsampled].any():
            slices["k-space: signal outside the mask"].append(i)
        if reference is None:
            continue
        if not np.isfinite(reference).all():
            slices["target: NaN or Inf"].append(i)
            continue
        largest = max(largest, float(reference.max()))
        if not masked:
            error = _target_error(values, reference)
            if error > TARGET_TOLERANCE:
                slices["target: does not match the k-space"].append(i)
                mismatch = max(mismatch, error)
    for problem, found in slices.items():
        detail = f", NMSE up to {mismatch:.3g}" if problem.startswith("target: does") else ""
        shown = words(sorted(found)[:8]) + (" ..." if len(found) > 8 else "")
        yield f"{problem} (slices {shown}{detail})"
    yield from _center_problem(energy)
    maximum = file.attrs.get("max", largest)
    if np.isfinite(largest) and not np.isclose(maximum, largest, rtol=1e-3):
        yield f"attribute max: {maximum:g}, but the largest value of the target is {largest:g}"


def _target_error(values: npt.NDArray[np.complex64], reference: npt.NDArray) -> float:
    """Squared error of a target against the image of its k-space, relative to that image."""
    rows = min(reference.shape[0], values.shape[-2])
    columns = min(reference.shape[1], values.shape[-1])
    top, left = (reference.shape[0] - rows) // 2, (reference.shape[1] - columns) // 2
    reference = reference[top : top + rows, left : left + columns].astype(np.float64)
    image = reference_image(values, (rows, columns)).astype(np.float64)
    energy = float((image**2).sum())
    difference = float(((image - reference) ** 2).sum())
    return difference / energy if energy > 0 else float(difference > 0)


def _center_problem(energy: npt.NDArray[np.float64]) -> Iterator[str]:
    """Say where the largest energy is, if that is far from the middle."""
    if not energy.any():
        return
    peak = np.unravel_index(np.argmax(energy), energy.shape)
    for p, n in zip(peak, energy.shape, strict=True):
        if abs(p - n // 2) > max(2, CENTER_TOLERANCE * n):
            rows, columns = energy.shape
            yield (
                f"k-space: its largest values are at row {peak[0]}, column {peak[1]}, not in the "
                f"middle ({rows // 2}, {columns // 2}); it is to be centred, np.fft.fftshift"
            )
            return
