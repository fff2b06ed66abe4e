"""CLGNet for fastMRI.

Importing this package registers CLGNet and CLGVarNet in `fastmri.models`, and CLGNetModule and
CLGVarNetModule in `fastmri.pl_modules`; nothing that fastMRI has itself is changed or shadowed.
"""

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from fastmri_clgnet.lazy import lazy

if TYPE_CHECKING:
    from fastmri_clgnet.formats.example import example_slice
    from fastmri_clgnet.formats.read_scan import read_scan
    from fastmri_clgnet.inference.loading import load
    from fastmri_clgnet.inference.picture import show
    from fastmri_clgnet.inference.scan import reconstruct_scan, undersample
    from fastmri_clgnet.models import CLGNet, CLGVarNet
    from fastmri_clgnet.pl_modules import CLGNetModule, CLGVarNetModule, Lightning2Mixin

try:
    __version__ = version("fastmri_clgnet")
except PackageNotFoundError:  # imported from a checkout that is not installed
    __version__ = "unknown"

__all__ = [
    "CLGNet",
    "CLGNetModule",
    "CLGVarNet",
    "CLGVarNetModule",
    "Lightning2Mixin",
    "example_slice",
    "load",
    "read_scan",
    "reconstruct_scan",
    "show",
    "undersample",
]

__getattr__ = lazy(
    __name__,
    {
        "CLGNet": "models",
        "CLGNetModule": "pl_modules",
        "CLGVarNet": "models",
        "CLGVarNetModule": "pl_modules",
        "Lightning2Mixin": "pl_modules",
        "example_slice": "formats.example",
        "load": "inference.loading",
        "read_scan": "formats.read_scan",
        "reconstruct_scan": "inference.scan",
        "show": "inference.picture",
        "undersample": "inference.scan",
    },
)


def _runs_command() -> bool:
    """Whether this is the import with which a command begins.

    `python -m fastmri_clgnet.COMMAND`: while Python looks for that module, argv[0] is "-m". The
    console script is known by its name. Importing torch, Lightning and fastMRI takes seconds, which
    --help need not wait for; the command does it (`cli.run`).
    """
    if sys.argv[:1] and Path(sys.argv[0]).stem == "fastmri-clgnet":
        return True
    words = [word.removeprefix("-m").partition(".")[0] for word in sys.orig_argv]
    return sys.argv[:1] == ["-m"] and not {"fastmri_clgnet", "banding"}.isdisjoint(words)


if not _runs_command():
    importlib.import_module("fastmri_clgnet.registration")
