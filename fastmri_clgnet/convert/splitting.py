"""Which volumes a source has, and which goes to which split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from fastmri_clgnet.errors import InputError, words

SPLITS = ("train", "val", "test")
By = Literal["volume", "folder", "prefix"]


class Found(NamedTuple):
    """A volume of a source.

    Args:
        path: Its file.
        name: Of the volume, and of the file to write: the folders and the file joined by '_'.
        split: train, val or test.
    """

    path: Path
    name: str
    split: str


def find_volumes(
    source: Path, suffixes: tuple[str, ...], fractions: Sequence[float], by: By, seed: int
) -> list[Found]:
    """Find the volumes of a source and settle the split of each.

    Args:
        source: Holds folders train, val and test, or files to distribute; or is one file.
        suffixes: Endings of the files to take, lower case.
        fractions: As in `assign_splits`, for a source without such folders.
        by: As in `assign_splits`.
        seed: As in `assign_splits`.

    Returns:
        The volumes, sorted by split and name.

    Raises:
        InputError: If there are none, two would get the same name, or some lie beside the folders
            of the source's own splits.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    names = _files(source, suffixes)
    folders = own_splits(source)
    if folders:
        placed = [
            (folder, name, split)
            for split, folder in folders.items()
            for name in _files(folder, suffixes)
        ]
        inside = {folder.name for folder in folders.values()}
        outside = [name for name in names if name.parts[0] not in inside]
        if outside:
            raise InputError(
                f"{source}: has folders {words(folder.name for folder in folders.values())}, and "
                f"{len(outside)} file(s) outside them, such as {words(outside[:3])}; sort all "
                "files into folders train, val and test, or none"
            )
    else:
        base = source.parent if source.is_file() else source
        drawn = assign_splits(names, fractions, by, seed) if names else {}
        placed = [(base, name, split) for name, split in drawn.items()]
    if not placed:
        raise InputError(
            f"{source}: no files ending in {words(suffixes)} (below its folders train, val and "
            "test, if it has such)"
        )
    found = []
    for folder, relative, split in placed:
        ending = next(ending for ending in suffixes if relative.name.lower().endswith(ending))
        name = "_".join(relative.parts)[: -len(ending)]
        found.append(Found(folder / relative, name, split))
    for (name, split), count in Counter((one.name, one.split) for one in found).items():
        if count > 1:
            raise InputError(f"{source}: {count} files would be {split}/{name}.h5; rename them")
    return sorted(found, key=lambda one: (one.split, one.name))


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files with one of the endings below a folder, relative to it, hidden ones left out."""
    base = folder.parent if folder.is_file() else folder
    found = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    relative = [path.relative_to(base) for path in found if path.is_file()]
    return [
        path
        for path in relative
        if path.name.lower().endswith(suffixes)
        and not any(part.startswith(".") for part in path.parts)
    ]


def own_splits(root: Path) -> dict[str, Path]:
    """The folders of a source that is split already: train, val or validation, and test.

    Args:
        root: The source; upper and lower case are the same.

    Returns:
        The folders that there are, by split.
    """
    names = {"validation": "val", **{name: name for name in SPLITS}}
    found: dict[str, Path] = {}
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        split = names.get(folder.name.lower())
        if split is None or not folder.is_dir():
            continue
        if split in found:
            raise InputError(f"{folder}: a second folder of the {split} split; keep one")
        found[split] = folder
    return found


def group_of(name: Path, by: By) -> str:
    """What must stay together with a volume.

    Args:
        name: The file, relative to the source.
        by: volume: nothing else. folder: the volumes of its first folder, such as a patient's.
            prefix: those whose names agree up to the first '_', such as p01_s1_t2w and p01_s2_t2w.

    Returns:
        The name of its group.
    """
    if by == "prefix":
        return name.name.split(".")[0].split("_")[0]
    return name.parts[0] if by == "folder" and len(name.parts) > 1 else str(name)


def assign_splits(
    names: Sequence[Path], fractions: Sequence[float], by: By, seed: int
) -> dict[Path, str]:
    """Draw a split for each group of volumes.

    Args:
        names: Files relative to the source.
        fractions: Of the groups for training, validation and test; they add up to 1.
        by: What is drawn as one; see `group_of`.
        seed: The same seed and names give the same splits.

    Returns:
        The split of each file. Every split with a fraction above 0 has at least one group.

    Raises:
        InputError: If the fractions cannot be met.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(
            f"split {words(fractions)}: expected fractions for {words(SPLITS)} that add up to 1"
        )
    groups = sorted({group_of(name, by) for name in names})
    wanted = [split for split, fraction in zip(SPLITS, fractions, strict=True) if fraction > 0]
    if len(groups) < len(wanted):
        raise InputError(
            f"{len(groups)} {'group' if by != 'volume' else 'volume'}(s) cannot fill "
            f"{words(wanted)}; use fewer splits (such as split 1 0 0), or sort all "
            "files into folders train, val and test"
        )
    exact = np.array(fractions) * len(groups)
    counts = np.floor(exact + 1e-9).astype(int)
    for i in np.argsort(-(exact - counts), kind="stable")[: len(groups) - counts.sum()]:
        counts[i] += 1
    for i, fraction in enumerate(fractions):
        if fraction > 0 and counts[i] == 0:
            counts[np.argmax(counts)] -= 1
            counts[i] = 1
    order = np.random.default_rng(seed).permutation(len(groups))
    drawn = np.repeat(SPLITS, counts)
    split_of = {groups[i]: str(split) for i, split in zip(order, drawn, strict=True)}
    return {name: split_of[group_of(name, by)] for name in names}
