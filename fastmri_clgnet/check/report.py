"""Walks the splits of a data set, and lays out what was found, as a table and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fastmri_clgnet.check.volume import Finding, Job, check_volume
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.parallel import map_files

# of fastMRI's layout, and whether their volumes are undersampled
SPLITS = {"train": False, "val": False, "test": True, "challenge": True}


class Split(NamedTuple):
    """What was found in the folder of a split.

    Args:
        folder: Such as DATA/singlecoil_train.
        findings: A file each.
        errors: What is wrong with the folder.
        warnings: What is worth knowing of it.
    """

    folder: Path
    findings: list[Finding]
    errors: list[str]
    warnings: list[str]


def check_data_set(root: Path, challenges: list[str], num_workers: int) -> list[Split]:
    """Check every file of a data set.

    Args:
        root: Holds folders such as singlecoil_train; or is one of them.
        challenges: Which to check.
        num_workers: Processes.

    Returns:
        The splits that there are.

    Raises:
        InputError: If there are none.
    """
    names = {
        f"{challenge}_{split}": (challenge, masked)
        for challenge in challenges
        for split, masked in SPLITS.items()
    }
    if root.name in ("", ".."):
        root = root.resolve()  # such as ".", which has no name to know a split by
    folders = [root / name for name in names if (root / name).is_dir()]
    if root.name in names and root.is_dir():
        folders.append(root)
    if not folders:
        raise InputError(f"{root}: expected a folder that holds some of {words(names)}")
    jobs = [
        Job(path, *names[folder.name]) for folder in folders for path in sorted(folder.iterdir())
    ]
    findings = map_files(check_volume, jobs, num_workers, "Checking")
    return [
        _look_at_split(folder, [one for one in findings if one.path.parent == folder])
        for folder in folders
    ]


def _look_at_split(folder: Path, findings: list[Finding]) -> Split:
    errors, warnings = [], []
    if not findings:
        errors.append("empty; expected fastMRI's HDF5 files")
    sizes = sorted({finding.image_size for finding in findings if finding.image_size})
    if len(sizes) > 1:
        shown = ", ".join(f"{size[0]} x {size[1]}" for size in sizes)
        warnings.append(f"images of several sizes ({shown}): train with --batch_size 1")
    if len(findings) == 1 and folder.name.endswith("_val"):
        warnings.append("one volume: fastmri.evaluate ends with an error where it has no spread")
    return Split(folder, findings, errors, warnings)


def is_good(splits: list[Split]) -> bool:
    """Whether nothing is wrong; warnings are not."""
    return not any(
        split.errors or any(finding.errors for finding in split.findings) for split in splits
    )


def _rows(split: Split) -> list[tuple[str, str, str, str]]:
    rows = []
    for finding in split.findings:
        problems = finding.errors + [f"warning: {text}" for text in finding.warnings]
        shapes = [" x ".join(map(str, shape)) for shape in (finding.kspace_shape,
                                                            finding.image_size)]  # fmt: skip
        rows.append((finding.path.name, shapes[0], shapes[1], (problems or ["good"])[0]))
        rows += [("", "", "", problem) for problem in problems[1:]]
    return rows


def format_table(splits: list[Split]) -> str:
    """Lay out all files, a line each and one more for each further problem.

    Args:
        splits: What `check_data_set` returned.

    Returns:
        The table, and a last line that counts.
    """
    lines: list[str] = []
    for split in splits:
        lines.append(f"{split.folder}")
        lines += [f"  {text}" for text in split.errors]
        lines += [f"  warning: {text}" for text in split.warnings]
        rows = [("file", "k-space", "image", "result"), *_rows(split)]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        for row in rows if split.findings else []:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            lines.append("  " + "  ".join([*cells, row[3]]))
        lines.append("")
    findings = [finding for split in splits for finding in split.findings]
    bad = sum(bool(finding.errors) for finding in findings)
    folders = sum(bool(split.errors) for split in splits)
    warned = sum(len(one.warnings) for one in findings) + sum(len(one.warnings) for one in splits)
    lines.append(
        f"{len(findings)} files: {bad} with errors, {warned} warnings"
        + (f"; {folders} folders with errors" if folders else "")
    )
    return "\n".join(lines)


def as_json(splits: list[Split]) -> dict[str, object]:
    """The same as plain values: {"good": ..., "splits": {folder: {..., "files": {name: ...}}}}."""
    return {
        "good": is_good(splits),
        "splits": {
            str(split.folder): {
                "errors": split.errors,
                "warnings": split.warnings,
                "files": {
                    finding.path.name: {
                        "kspace": finding.kspace_shape,
                        "image": finding.image_size,
                        "errors": finding.errors,
                        "warnings": finding.warnings,
                    }
                    for finding in split.findings
                },
            }
            for split in splits
        },
    }
