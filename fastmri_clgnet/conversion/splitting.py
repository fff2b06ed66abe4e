"""Which volumes a source has, and which goes to which split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from fastmri_clgnet.errors import InputError, words

DRAWN = ("train", "val", "test")  # of fastMRI's splits, in the order of the fractions
FRACTIONS = (0.8, 0.1, 0.1)  # by default
# of a source's folders, in lower case
_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
By = Literal["volume", "folder", "prefix"]


class Found(NamedTuple):
    """A volume of a source, and the split it goes to."""

    path: Path
    name: str  # of the file to write: its folders and itself joined by '_', without the ending
    split: str
    files: tuple[Path, ...] = ()  # of a volume that is several files; then `path` names them


# gives the files of each volume that some files are, by its path without an ending
Volumes = Callable[[Sequence[Path]], Mapping[Path, tuple[Path, ...]]]


def split_source(
    source: Path,
    suffixes: tuple[str, ...],
    fractions: Sequence[float] | None,
    by: By,
    seed: int,
    volumes: Volumes | None = None,
) -> list[Found]:
    """The volumes of a source by split and name; it may have splits of its own, else draw them."""
    base = source.parent if source.is_file() else source
    files = _files(source, base, suffixes)
    made: dict[Path, tuple[Path, tuple[Path, ...]]]
    if volumes is None:
        made = {name: (base / name, ()) for name in files}
    else:
        made = {}
        for path, parts in volumes([base / name for name in files]).items():
            if (name := _named(path, base)) in made:
                raise InputError(f"{path}: another volume is called {name}, too; rename one")
            made[name] = path, parts
    names = sorted(made)
    if not names:
        endings = f"files ending in {words(suffixes)}" if any(suffixes) else "files of this format"
        raise InputError(f"{source}: no {endings}")
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
    if own and (fractions is not None or by != "volume"):
        raise InputError(
            f"{source}: has folders {words(sorted({name.parts[0] for name in own}))}, whose splits "
            "are kept; omit split and by"
        )
    if by == "folder" and all(len(name.parts) == 1 for name in files):
        raise InputError(f"by folder: {source} has no folders; omit it")
    if by == "prefix" and not any("_" in name.name for name in names):
        raise InputError("by prefix: no name has a '_', which would end the prefix; omit it")
    found = []
    drawn = own or assign_splits(names, fractions or FRACTIONS, by, seed)
    for name, split in drawn.items():
        stem = "_".join(name.parts[bool(own) :])
        if volumes is None:
            ending = next((e for e in suffixes if name.name.lower().endswith(e)), name.suffix)
            stem = stem[: len(stem) - len(ending)]
        path, parts = made[name]
        found.append(Found(path, stem, split, parts))
    # whether drawn splits keep two files of a name apart is chance
    written = Counter(f"{one.split}/{one.name}" if own else one.name for one in found)
    for stem, count in written.items():
        if count > 1:
            raise InputError(f"{source}: {count} files would be {stem}.h5; rename them")
    return sorted(found, key=lambda one: (one.split, one.name))


def _named(path: Path, base: Path) -> Path:
    """A volume's path relative to the source; of a folder's own files, the folder's name."""
    name = path.relative_to(base)
    if not name.parts:
        return Path(base.resolve().name or "volume")
    return name / name if len(name.parts) == 1 and _split_of(name.name) else name


def _files(source: Path, base: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of a source with one of the endings, relative to `base`, hidden ones left out."""
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    found = [*_walk(source)] if base == source else [source]
    return [
        path
        for path in sorted(path.relative_to(base) for path in found)
        if (path.name.lower().endswith(suffixes) or base != source)  # a file that was named
        and not any(part.startswith(".") for part in path.parts)
    ]


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Files in a folder and below, through links, too; a link that leads nowhere is a file."""
    above = (*above, folder.resolve())
    try:
        paths = [*folder.iterdir()]
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); convert the folders beside it one by one"
        ) from error
    for path in paths:
        if not path.is_dir():
            if path.is_file() or path.is_symlink():
                yield path
        elif not path.name.startswith(".") and path.resolve() not in above:
            yield from _walk(path, above)


def _split_of(folder: str) -> str | None:
    """The split that a folder of this name holds, if any."""
    return next((split for split, names in _NAMES.items() if folder.lower() in names), None)


def group_of(name: Path, by: By) -> str:
    """The name of what must stay together with a volume; `name` is relative to the source."""
    if by == "prefix":
        return name.name.split(".")[0].split("_")[0]
    return name.parts[0] if by == "folder" and len(name.parts) > 1 else str(name)


def assign_splits(
    names: Sequence[Path], fractions: Sequence[float], by: By, seed: int
) -> dict[Path, str]:
    """Draw a split for each group of files; every fraction above 0 gets at least one group."""
    if not (min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6):  # nor NaN
        raise InputError(
            f"split {words(fractions)}: expected fractions for {words(DRAWN)} that add up to 1"
        )
    groups = sorted({group_of(name, by) for name in names})
    wanted = [split for split, fraction in zip(DRAWN, fractions, strict=True) if fraction > 0]
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
    drawn = np.repeat(DRAWN, counts)
    split_of = {groups[i]: str(split) for i, split in zip(order, drawn, strict=True)}
    return {name: split_of[group_of(name, by)] for name in names}
