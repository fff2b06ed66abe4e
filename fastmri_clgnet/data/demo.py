"""The demo data set: simulated heads in fastMRI's format, made on first use."""

from __future__ import annotations

import shutil
from pathlib import Path

import platformdirs
from filelock import FileLock
from tqdm import tqdm

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import make_folder
from fastmri_clgnet.formats.fastmri import SPLITS, TARGET_KEYS, Challenge

VERSION = 1  # of the data: a change of it, or of `demo_volume`, makes a new folder
VOLUMES = {"train": (8, 6), "val": (2, 6), "test": (2, 6)}  # by split; the slices of each


def default_demo_dir() -> Path:
    """The folder that demo data is cached in: the operating system's, for this user."""
    return platformdirs.user_cache_path("fastmri_clgnet") / "demo"


def make_demo_dataset(challenge: Challenge, demo_dir: Path | None = None) -> Path:
    """Return the folder of the demo data set, making it where it is missing.

    It is made under a temporary name and renamed when complete, so that an interrupted call leaves
    nothing that looks like a data set. Of several processes at once one makes it, the others wait.

    Args:
        challenge: "singlecoil" or "multicoil".
        demo_dir: Folder to hold it; by default a cache folder of the user.

    Returns:
        A folder with {challenge}_train, {challenge}_val and {challenge}_test.

    Example:
        >>> folder = Path(f"demo/singlecoil_v{VERSION}")
        >>> folder.mkdir(parents=True)  # in place of a first call, which takes half a minute
        >>> make_demo_dataset("singlecoil", Path("demo")) == folder
        True

    Raises:
        InputError: If there is no such challenge.
    """
    if challenge not in TARGET_KEYS:
        raise InputError(f"challenge {challenge!r}: expected one of {words(TARGET_KEYS)}")
    root = (default_demo_dir() if demo_dir is None else demo_dir) / f"{challenge}_v{VERSION}"
    if root.is_dir():
        return root
    make_folder(root.parent)
    with FileLock(root.parent / f".{root.name}.lock"):
        if not root.is_dir():
            temporary = root.with_name(f".{root.name}.tmp")
            shutil.rmtree(temporary, ignore_errors=True)  # which a killed call left
            try:
                _write_dataset(temporary, challenge)
                temporary.rename(root)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return root


def _write_dataset(root: Path, challenge: str) -> None:
    from fastmri_clgnet.data.demo_volume import write_volume  # which needs torch

    jobs = [
        (split, index, n_slices)
        for split, (n_volumes, n_slices) in VOLUMES.items()
        for index in range(n_volumes)
    ]
    for split, index, n_slices in tqdm(jobs, "Making the demo data set", unit="volume"):
        path = root / f"{challenge}_{split}" / f"demo_{split}_{index}.h5"
        seed = (VERSION, *challenge.encode(), list(SPLITS).index(split), index)
        write_volume(path, challenge, n_slices, SPLITS[split], seed)
