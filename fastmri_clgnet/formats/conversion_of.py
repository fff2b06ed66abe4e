"""The `convert` command for files of images, which commands that need k-space name."""

from __future__ import annotations

import shlex
from itertools import islice
from pathlib import Path

_BEGINNINGS = {
    "dicom": (b"DICM",),  # after 128 bytes
    "nifti": (b"n+1\0", b"ni1\0"),  # after 344 bytes
    "matlab": (b"MATLAB ",),
    "images": (b"\x89PNG\r\n", b"II*\0", b"MM\0*", b"\xff\xd8\xff"),
}
_OFFSETS = {"dicom": 128, "nifti": 344}
# of files whose beginnings say nothing
_ENDINGS = {
    ".mat": "matlab", ".nii": "nifti", ".nii.gz": "nifti", ".bmp": "images",
    ".dcm": "dicom", ".dicom": "dicom", ".ima": "dicom",
}  # fmt: skip
_TRIED = 200  # files and folders of a folder
NAMES = {"dicom": "DICOM", "nifti": "NIfTI", "matlab": "MATLAB", "images": "PNG, TIFF, JPEG, BMP"}


def image_format(path: Path) -> str | None:
    """The format of a file, or of a folder's first files, as `convert --from` has it, by contents.

    None if it is none of DICOM, NIfTI, MATLAB, PNG, TIFF, JPEG and BMP.
    """
    if path.is_dir():
        files = (each for each in islice(path.rglob("*"), _TRIED) if each.is_file())
        return next((found for each in files if (found := image_format(each)) is not None), None)
    try:
        with path.open("rb") as file:
            beginning = file.read(352)
    except OSError:
        return None
    for name, marks in _BEGINNINGS.items():
        if beginning[_OFFSETS.get(name, 0) :].startswith(marks):
            return name
    return next((n for ending, n in _ENDINGS.items() if path.name.lower().endswith(ending)), None)


def convert_command(path: Path, flags: str) -> str:
    """The command that simulates the k-space of images, and what to do next."""
    return (
        f"simulate it: python -m fastmri_clgnet.convert {shlex.quote(str(path))} OUT --from "
        f"{flags} --split 0 0 1 (then reconstruct OUT/singlecoil_test)"
    )


def image_hint(path: Path) -> str:
    """What to do with a file, or the files of a folder, if they are images; else empty."""
    name = image_format(path)
    if name is None:
        return ""
    return f"; images ({NAMES[name]}) hold no k-space; {convert_command(path, name)}"
