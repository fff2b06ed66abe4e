"""Loads what is called of SigPy where it is first needed: it is optional, and takes seconds."""

from __future__ import annotations

from types import ModuleType


def load_sigpy_methods() -> ModuleType:
    """Give the module `sigpy_methods`.

    Raises:
        InputError: If SigPy is missing, or does not go with the NumPy that is there.
    """
    from fastmri_clgnet.formats import sigpy_methods

    return sigpy_methods
