"""Importing the package where torchvision does not fit torch."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "fastmri.pl_modules":
            raise RuntimeError("operator torchvision::nms does not exist")

sys.meta_path.insert(0, Finder())
import fastmri_clgnet
"""


def test_mismatched_torchvision_is_explained() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert run.returncode == 1
    assert "ImportError: torchvision does not fit the installed torch" in run.stderr
    assert "pip install --force-reinstall torch torchvision" in run.stderr
