"""Hands files to what commands do with them, under limits: `python -m tests.reliability.driver`.

A process of its own, so that a crash, a hang or a large allocation is seen from outside.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fastmri.data import SliceDataset
from fastmri_clgnet.check.volume import Job, check_volume
from fastmri_clgnet.reconstruction.files import find_volumes

from fastmri_clgnet.data import apart, check_split
from fastmri_clgnet.errors import InputError

GIB = 2**30
GOOD = "good"


def _check(path: Path) -> str:
    finding = check_volume(Job(path, "singlecoil", masked=False))
    return f"{path}: {'; '.join(finding.errors)}" if finding.errors else GOOD


def _train(path: Path) -> str:
    check_split(path.parent, "singlecoil", masked=False)
    return GOOD


def _reconstruct(path: Path) -> str:
    find_volumes(path.parent, "singlecoil", undersample=True)
    return GOOD


COMMANDS: dict[str, Callable[[Path], str]] = {
    "check": _check,
    "train_clgnet": _train,
    "reconstruct": _reconstruct,
}


def _alone(path: Path) -> Path:
    """A link to the file in a folder of its own, one after the other."""
    folder = path.parent.parent / "alone" / "singlecoil_val"
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        other.unlink()
    (folder / path.name).hardlink_to(path)
    return folder / path.name


def _as_the_host_reads(path: Path, arrays: Path) -> str:
    """The file's images, which are compared from outside."""
    samples = list(SliceDataset(path.parent, "singlecoil"))
    kspace, target = (np.stack([sample[i] for sample in samples]) for i in (0, 2))
    np.savez(arrays / f"{path.stem}.npz", kspace=kspace, reconstruction_esc=target)
    return GOOD


def main() -> None:
    """Read file names from standard input; write a line of JSON for each command and file."""
    apart.CPU_SECONDS = 1
    apart.MEMORY_BYTES = GIB
    arrays = Path(sys.argv[1])
    commands = sys.argv[2:]
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + 4 * GIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        path = _alone(Path(line.strip()))
        for command in commands:
            try:
                result = COMMANDS[command](path)
            except InputError as error:
                result = str(error)
            print(json.dumps([command, path.name, result]), flush=True)
        if result == GOOD:
            _as_the_host_reads(path, arrays)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(["peak", "", str(peak)]), flush=True)


if __name__ == "__main__":
    main()
