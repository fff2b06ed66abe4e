"""The command `python -m fastmri_clgnet.convert`: `--from` selects the reader."""

from __future__ import annotations

import sys
from functools import partial

from fastmri_clgnet import cli
from fastmri_clgnet.conversion.convert import Conversion, convert
from fastmri_clgnet.formats import (
    CC359,
    Bart,
    Dicom,
    Images,
    IsmrmrdRaw,
    Matlab,
    Nifti,
    NumPy,
    Reader,
    Scan,
    Twix,
)

__all__ = [
    "CC359",
    "Bart",
    "Conversion",
    "Dicom",
    "Images",
    "IsmrmrdRaw",
    "Matlab",
    "Nifti",
    "NumPy",
    "Reader",
    "Scan",
    "Twix",
    "convert",
]  # fmt: skip

READERS: dict[str, type] = {
    each.name: each for each in (CC359, NumPy, Matlab, Bart, IsmrmrdRaw, Twix, Nifti, Dicom, Images)
}


main = partial(cli.run, convert, positional=("source", "out"), choice=("reader", "from", READERS))


if __name__ == "__main__":
    sys.exit(main())
