"""Documented import paths of version 0.1.0 that have moved since.

They keep working for one version, with a DeprecationWarning that gives the new path. They are
listed only in this file; the next version removes it.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

from fastmri_clgnet.registration import offer

# by module, then by name: the new module, and the new name if that has changed
FORMER: dict[str, dict[str, str]] = {
    "fastmri_clgnet.scan": {
        "OutOfDomain": "fastmri_clgnet.inference",
        "Reading": "fastmri_clgnet.formats.read_scan",
        "example_slice": "fastmri_clgnet.formats.example",
        "read_scan": "fastmri_clgnet.formats.read_scan",
        "reconstruct_scan": "fastmri_clgnet.inference",
        "show": "fastmri_clgnet.inference.picture",
        "undersample": "fastmri_clgnet.inference",
    },
    "fastmri_clgnet.loading": {"load": "fastmri_clgnet.inference.loading"},
    "fastmri_clgnet.benchmark": {"count_macs": "fastmri_clgnet.benchmarks.macs"},
    "fastmri_clgnet.convert": {
        **dict.fromkeys(
            ("CC359", "Bart", "IsmrmrdRaw", "Nifti", "NumPy", "Reader", "Twix"),
            "fastmri_clgnet.formats",
        ),
        "Volume": "fastmri_clgnet.formats:Scan",
        "Conversion": "fastmri_clgnet.conversion",
        "convert": "fastmri_clgnet.conversion",
    },
    "fastmri_clgnet.pl_modules": {
        "ReconstructionModule": "fastmri_clgnet.pl_modules:ComparisonModule",
    },
}
_GONE = ("fastmri_clgnet.scan", "fastmri_clgnet.loading")  # removed modules


def keep() -> None:
    """Make the former paths work."""
    for path in _GONE:
        module = ModuleType(path, f"Names that have moved; see {__name__}.")
        sys.modules[path] = module
        package, _, name = path.rpartition(".")
        setattr(sys.modules[package], name, module)
    for path, homes in FORMER.items():
        offer(path, homes, _find)


def _find(home: str, name: str) -> Any:
    """Import a moved name, and warn with its new path."""
    module, _, renamed = home.partition(":")
    found = getattr(import_module(module), renamed or name)
    text = f"{name} has moved: from {module} import {renamed or name}"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return found
