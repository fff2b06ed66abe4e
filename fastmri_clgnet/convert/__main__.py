"""The command `python -m fastmri_clgnet.convert`: `--from` picks the reader."""

from __future__ import annotations

import sys
from functools import partial

from fastmri_clgnet import cli
from fastmri_clgnet.convert import CC359, Bart, IsmrmrdRaw, Nifti, NumPy, Twix, convert

READERS = {each.name: each for each in (CC359, NumPy, Bart, IsmrmrdRaw, Twix, Nifti)}


main = partial(
    cli.run, convert, positional=("source", "out"), choices={"reader": ("from", READERS)}
)


if __name__ == "__main__":
    sys.exit(main())
