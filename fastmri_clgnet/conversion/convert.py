"""Converts the volumes of a source, so that an interrupted run can go on."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmri_clgnet.conversion.splitting import By, split_source
from fastmri_clgnet.conversion.writing import PARTIAL, Done, Job, attempt
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import write_json
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from fastmri_clgnet.formats.preparation import Preparation
from fastmri_clgnet.formats.scan import Reader
from fastmri_clgnet.formats.single_coil_method import default_method
from fastmri_clgnet.parallel import DEFAULT_WORKERS, map_files
from fastmri_clgnet.tables import format_table

RECORD = "conversion.json"  # in the output folder
CHALLENGES = tuple(TARGET_KEYS)
SHOWN_NOTES = 8


@dataclass(frozen=True)
class Conversion:
    """What a conversion made; printed, it is a table and the commands to go on with.

    Args:
        out: The output folder.
        done: What is in it now, by volume.
        failures: What is wrong with the volumes that could not be converted; equal texts once.

    Example:
        >>> conversion = Conversion(Path("OUT"), done=[], failures=["a.npy: an empty array"])
        >>> print(conversion)
        Nothing was written to OUT.
    """

    out: Path
    done: list[Done]
    failures: list[str]

    def __str__(self) -> str:
        if not self.done:
            return f"Nothing was written to {self.out}."
        cells = [["", "volumes", "slices", "images"]]
        splits = sorted({(one.challenge, one.split) for one in self.done})
        for challenge, split in splits:
            part = [one for one in self.done if (one.challenge, one.split) == (challenge, split)]
            sizes = sorted({one.image_size for one in part})
            images = ", ".join(f"{height} x {width}" for height, width in sizes)
            n_slices = sum(one.n_slices for one in part)
            cells.append([f"{challenge}_{split}", str(len(part)), str(n_slices), images])
        lines = [format_table(cells)]
        lines += self._notes()
        out = shlex.quote(str(self.out))
        skipped = sum(one.skipped for one in self.done)
        if skipped:
            lines.append(f"({skipped} of the volumes had been converted before)")
        lines += [
            f"\nWritten to {self.out}. Check and train:",
            f"  python -m fastmri_clgnet.check {out}",
        ]
        lines += [
            f"  python -m fastmri_clgnet.train_clgnet --data_path {out} --challenge {each} "
            "--alpha 0"
            for each in CHALLENGES
            if {(each, "train"), (each, "val")} <= set(splits)
        ]
        return "\n".join(lines)

    def _notes(self) -> list[str]:
        """What is worth knowing of how volumes were read; equal notes once."""
        names: dict[str, list[str]] = {}
        for one in self.done:
            for note in one.notes:
                names.setdefault(note, []).append(one.path.name)
        lines = [
            f"note: {note} ({which[0] if len(which) == 1 else f'{len(which)} volumes'})"
            for note, which in names.items()
        ]
        more = len(lines) - SHOWN_NOTES
        more_line = f"note: {more} others, in the attribute 'notes' of the files"
        return [*lines[:SHOWN_NOTES], *([more_line] if more > 0 else [])]


def convert(
    source: Path | str,
    out: Path | str,
    reader: Reader,
    *,
    split: tuple[float, float, float] | None = None,
    by: By = "volume",
    mask: Mask = Mask(),
    preparation: Preparation = Preparation(),
    acquisition: str | None = None,
    seed: int = 42,
    num_workers: int = DEFAULT_WORKERS,
) -> Conversion:
    """Convert other data into fastMRI's format: OUT/singlecoil_train and so on, or multicoil.

    The same call continues what was interrupted, to the same bytes. A source that has folders
    train, val and test keeps its splits; otherwise they are drawn. Test volumes are undersampled by
    masks drawn by file name. Arguments that would have no effect are refused. A script that uses
    more than one worker needs the guard `if __name__ == "__main__":`; a reader that is defined in a
    notebook uses one.

    Args:
        source: Folder of the data, or one file.
        out: Folder to make.
        reader: Reads the files, such as `NumPy(("slice", "row", "column"))`.
        split: Fractions of the volumes for training, validation and test, where the source has no
            folders train, val and test; by default 0.8 0.1 0.1.
        by: What is never divided: a volume (one file); a folder of the source, such as a patient's;
            prefix: the files whose names agree up to the first '_'.
        mask: Of the test volumes.
        preparation: What is done with the coils: prewhitening, compression, one of several.
        acquisition: Name of the sequence, such as AXT2; by default what the files say, or
            'unknown'.
        seed: Of splits, and of what is simulated.
        num_workers: Processes; each holds one volume in memory. By default 4, or the number of
            usable cores, if that is smaller.

    Returns:
        What is in the output folder now, and what is wrong with the files that could not be
        converted; the others have been.

    Example:
        >>> import numpy as np
        >>> from fastmri_clgnet.formats import NumPy
        >>> Path("IN").mkdir()
        >>> for name in ("a", "b", "c"):
        ...     np.save(f"IN/{name}.npy", np.random.default_rng(0).random((2, 64, 48)))
        >>> reader = NumPy(("slice", "row", "column"), kind="image")
        >>> conversion = convert("IN", "OUT", reader, split=(0.4, 0.3, 0.3), num_workers=1)
        >>> sorted(folder.name for folder in Path("OUT").glob("singlecoil_*"))
        ['singlecoil_test', 'singlecoil_train', 'singlecoil_val']

    Raises:
        InputError: If the arguments, the source or the output folder do not fit.
    """
    source, out = Path(source), Path(out)
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed}: expected 0 to {2**32 - 1}")
    if out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{out}: lies in the source {source}; give a folder elsewhere")
    if num_workers < 0:
        raise InputError(f"num_workers {num_workers}: expected 0 or more")
    volumes = getattr(reader, "volumes", None)
    found = split_source(source, tuple(reader.suffixes), split, by, seed, volumes)
    if mask != Mask() and all(one.split != "test" for one in found):
        raise InputError(f"{mask}: masks are of test volumes, and there are none; omit it")
    settings: dict[str, Any] = {"split": split, "by": by, "acquisition": acquisition, "seed": seed}
    settings |= {"source_format": getattr(reader, "name", type(reader).__name__)}
    for each in (mask, reader):
        if dataclasses.is_dataclass(each) and not isinstance(each, type):
            settings |= dataclasses.asdict(each)
    if preparation.to is not None and preparation.coil_combination is None:  # what is installed
        preparation = dataclasses.replace(preparation, coil_combination=default_method())
    steps = dataclasses.asdict(preparation)  # records of earlier versions know of none
    settings |= {name: value for name, value in steps.items() if value not in (None, False)}
    sizes = {f"{one.split}/{one.name}": sum(map(_size, one.files or [one.path])) for one in found}
    _record(out, settings, sizes)

    interactive = not Path(getattr(sys.modules["__main__"], "__file__", "")).is_file()
    if interactive and type(reader).__module__ == "__main__":
        num_workers = 1  # other processes do not find a notebook's classes
    jobs = [Job(one, out, reader, mask, preparation, acquisition, seed) for one in found]
    try:
        results = map_files(attempt, jobs, num_workers, "Converting")
    finally:
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
    failures = dict.fromkeys(result for result in results if isinstance(result, str))
    return Conversion(out, [one for one in results if isinstance(one, Done)], list(failures))


def _size(path: Path) -> int:
    """The bytes of a file; 0 of a link that leads nowhere."""
    return path.stat().st_size if path.exists() else 0


def _record(out: Path, settings: dict[str, Any], volumes: dict[str, int]) -> None:
    """Write what the conversion is beside its files, or refuse what an earlier one contradicts."""
    path = out / RECORD
    settings = json.loads(json.dumps(settings, sort_keys=True, default=str))
    if path.is_file() and any(out.glob("*coil_*/*.h5")):
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            sizes, before = dict(earlier["volumes"]), dict(earlier["settings"])
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{path}: not the record of a conversion; give another output folder"
            ) from error
        resized = [
            name
            for name, size in sizes.items()
            if volumes.get(name) != size
            and any((out / f"{challenge}_{name}.h5").is_file() for challenge in CHALLENGES)
        ]
        difference = ", ".join(
            f"the default {key}" if before.get(key) is None else f"{key} {before[key]}"
            for key in sorted({*before, *settings})
            if before.get(key) != settings.get(key)
        )
        if sizes.keys() != volumes.keys():
            others = {Path(key).name for key in sizes} ^ {Path(key).name for key in volumes}
            named = words(sorted(others)[:3]) or "none, but in another split"
            difference = difference or f"other volumes (new or missing: {named})"
        if resized:
            difference = difference or f"files of other sizes, such as {words(resized[:3])}"
        if difference:
            raise InputError(
                f"{path}: another conversion, with {difference}; repeat that one to continue it, "
                "or give another output folder"
            )
    else:
        for folder in sorted(out.glob("*coil_*")):
            if folder.name.startswith(CHALLENGES) and any(folder.iterdir()):
                raise InputError(f"{folder}: holds files already; give another output folder")
    write_json(path, {"settings": settings, "volumes": dict(sorted(volumes.items()))})
