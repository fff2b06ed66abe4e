"""CLGNet for fastMRI.

Importing this package registers CLGNet and CLGVarNet in `fastmri.models`, and CLGNetModule and
CLGVarNetModule in `fastmri.pl_modules`. Nothing of fastMRI's own is changed or shadowed.
fastMRI and torch are imported only when something that needs them is used.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fastmri_clgnet import former_names, registration

if TYPE_CHECKING:  # for type checkers and editors; the table below says the same
    from fastmri_clgnet.data import Data, Mask
    from fastmri_clgnet.errors import InputError
    from fastmri_clgnet.formats.example import example_slice
    from fastmri_clgnet.formats.read_scan import read_scan
    from fastmri_clgnet.inference import reconstruct_scan, undersample
    from fastmri_clgnet.inference.loading import load
    from fastmri_clgnet.inference.picture import show
    from fastmri_clgnet.models import CLGNet, CLGVarNet
    from fastmri_clgnet.pl_modules import CLGNetModule, CLGVarNetModule, Lightning2Mixin
    from fastmri_clgnet.training.train import train

try:
    __version__ = version("fastmri_clgnet")
except PackageNotFoundError:  # imported from a checkout that is not installed
    __version__ = "unknown"

__all__ = [
    "CLGNet",
    "CLGNetModule",
    "CLGVarNet",
    "CLGVarNetModule",
    "Data",
    "InputError",
    "Lightning2Mixin",
    "Mask",
    "example_slice",
    "load",
    "read_scan",
    "reconstruct_scan",
    "show",
    "train",
    "undersample",
]

_HOMES = {
    "CLGNet": "models",
    "CLGNetModule": "pl_modules",
    "CLGVarNet": "models",
    "CLGVarNetModule": "pl_modules",
    "Data": "data",
    "InputError": "errors",
    "Lightning2Mixin": "pl_modules",
    "Mask": "data",
    "example_slice": "formats.example",
    "load": "inference.loading",
    "read_scan": "formats.read_scan",
    "reconstruct_scan": "inference",
    "show": "inference.picture",
    "train": "training",
    "undersample": "inference",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


registration.register()
former_names.keep()
