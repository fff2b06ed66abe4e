"""What is wrong in a data set in fastMRI's format, file by file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastmri_clgnet.data.findings import Finding, Findings, Split
from fastmri_clgnet.data.folders import list_files
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.fastmri import TARGET_KEYS, Challenge, split_names
from fastmri_clgnet.parallel import DEFAULT_WORKERS, map_files


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

    Example:
        >>> import numpy as np
        >>> from fastmri_clgnet.data import write_fastmri_file
        >>> kspace = np.zeros((2, 64, 48), np.complex64)
        >>> kspace[:, 32, 24] = 1
        >>> mask = np.ones(48, bool)
        >>> write_fastmri_file("DATA/singlecoil_test/a.h5", kspace, mask=mask, acquisition="AXT2")
        >>> print(check("DATA", num_workers=1))
        DATA/singlecoil_test
          file  k-space      image    result
          a.h5  2 x 64 x 48  64 x 48  good
        <BLANKLINE>
        1 files: 0 with errors, 0 warnings

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
    from fastmri_clgnet.data.check_file import check_file  # which needs torch

    for finding in map_files(check_file, paths, num_workers, "Checking"):
        splits[folders.index(finding.path.parent)].findings.append(finding)
    for split in splits:
        split.warnings.extend(_warnings(split.folder, split.findings))
    return Findings(splits)


def _warnings(folder: Path, findings: list[Finding]) -> Iterator[str]:
    sizes = sorted({finding.image for finding in findings if finding.image})
    if len(sizes) > 1:
        shown = ", ".join(f"{size[0]} x {size[1]}" for size in sizes)
        yield f"images of several sizes ({shown}): train with batch_size 1"
    if len(findings) == 1 and folder.name.endswith("_val"):
        yield "one volume: fastmri.evaluate ends with an error where it has no spread"
