"""What a conversion is, written beside its files, so that no other one is mixed into them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fastmri_clgnet.data.fastmri_file import TARGET_KEYS, atomic_path
from fastmri_clgnet.errors import InputError, words

RECORD = "conversion.json"  # in the output folder


def record_conversion(args: argparse.Namespace, volumes: dict[str, int], drawn: bool) -> None:
    """Write what the conversion is, or compare it with what an earlier run has written.

    A volume that was not converted then may be mended or taken away. Where the splits are the
    source's own, more volumes may come, and converted ones be taken away: they stay as they are.
    Drawn splits depend on all names, which must stay the same.

    Args:
        args: All flags.
        volumes: Bytes of each volume's file, by split and name such as "train/a".
        drawn: Whether the splits were drawn.

    Raises:
        InputError: If the output folder holds another conversion, or files of other origin.
    """
    out: Path = args.out
    settings = {
        key: value
        for key, value in sorted(vars(args).items())
        if key not in ("source", "out", "num_workers")
    }
    path = out / RECORD
    if path.is_file():
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            recorded, earlier_settings = dict(earlier["volumes"]), dict(earlier["settings"])
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{path}: not the record of a conversion; give another output folder"
            ) from error
        converted = {volume: size for volume, size in recorded.items() if _is_there(out, volume)}
        difference = _other_settings(earlier_settings, settings) or _other_volumes(
            recorded if drawn else converted, converted, volumes, drawn
        )
        if difference:
            raise InputError(
                f"{path}: another conversion, with {difference}; repeat its command to continue "
                "it, or give another output folder"
            )
        volumes = converted | volumes
    else:
        for challenge in TARGET_KEYS:
            for folder in sorted(out.glob(f"{challenge}_*")):
                if any(folder.iterdir()):
                    raise InputError(f"{folder}: holds files already; give another output folder")
    out.mkdir(parents=True, exist_ok=True)
    record = {"settings": settings, "volumes": dict(sorted(volumes.items()))}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _is_there(out: Path, volume: str) -> bool:
    """Whether a volume such as "train/a" has been converted."""
    return any((out / f"{challenge}_{volume}.h5").is_file() for challenge in TARGET_KEYS)


def _other_settings(earlier: dict, settings: dict) -> str:
    """The settings of an earlier conversion that are different, in words."""
    return ", ".join(
        f"--{key} {earlier.get(key)}"
        for key in sorted({*earlier, *settings})
        if earlier.get(key) != settings.get(key)
    )


def _other_volumes(
    earlier: dict[str, int], converted: dict[str, int], volumes: dict[str, int], drawn: bool
) -> str:
    """What is different in the volumes of an earlier conversion, in words."""
    names, now = set(earlier), set(volumes)
    if names != now if drawn else not (names <= now or now <= names):
        return "other volumes"
    changed = [name for name, size in converted.items() if volumes.get(name, size) != size]
    return f"files of other sizes, such as {words(changed[:3])}" if changed else ""
