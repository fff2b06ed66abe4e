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
) -> tuple[list[Found], bool]:
    """Find the volumes of a source and settle the split of each.

    Args:
        source: Holds folders train, val or validation, and test, in upper or lower case; or files
            to distribute; or is one file.
        suffixes: Endings of the files to take, lower case.
        fractions: As in `assign_splits`, for a source without such folders.
        by: As in `assign_splits`.
        seed: As in `assign_splits`.

    Returns:
        The volumes, sorted by split and name; and whether the splits were drawn.

    Raises:
        InputError: If there are none, two would get the same name, or some lie beside the folders
            of the source's own splits.
    """
    names = _files(source, suffixes)
    if not names:
        raise InputError(f"{source}: no files ending in {words(suffixes)}")
    own = {
        name: split
        for name in names
        if len(name.parts) > 1 and (split := _split_of(name.parts[0])) is not None
    }
    outside = [name for name in names if name not in own]
    if own and outside:
        raise InputError(
            f"{source}: has folders {words(sorted({name.parts[0] for name in own}))}, and "
            f"{len(outside)} file(s) outside them, such as {words(outside[:3])}; sort all "
            "files into folders train, val and test, or none"
        )
    found = []
    for name, split in (own or assign_splits(names, fractions, by, seed)).items():
        ending = next(ending for ending in suffixes if name.name.lower().endswith(ending))
        stem = "_".join(name.parts[bool(own) :])[: -len(ending)]
        found.append(
            Found(source.parent / name if source.is_file() else source / name, stem, split)
        )
    for (stem, split), count in Counter((one.name, one.split) for one in found).items():
        if count > 1:
            raise InputError(f"{source}: {count} files would be {split}/{stem}.h5; rename them")
    return sorted(found, key=lambda one: (one.split, one.name)), not own


def _files(source: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files with one of the endings, relative to the source, hidden ones left out."""
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if source.is_file():
        base, found = source.parent, [source]
    else:
        # rglob follows no links, but a split's folder may be one
        links = [each for each in source.iterdir() if each.is_symlink() and _split_of(each.name)]
        base, found = source, [path for folder in [source, *links] for path in folder.rglob("*")]
    return [
        path
        for path in sorted(path.relative_to(base) for path in found if path.is_file())
        if path.name.lower().endswith(suffixes)
        and not any(part.startswith(".") for part in path.parts)
    ]


def _split_of(folder: str) -> str | None:
    """The split that a folder of this name holds, if any."""
    return {"validation": "val", **{split: split for split in SPLITS}}.get(folder.lower())


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
