"""Functions over many files, in several processes."""

from __future__ import annotations

import subprocess
import sys


def test_a_program_from_stdin_uses_one_process() -> None:
    """Other processes cannot import it, and would end at once."""
    program = (
        "from fastmri_clgnet.parallel import map_files\n"
        "from math import sqrt\n"
        "print(map_files(sqrt, [4.0, 9.0], 2, 'Rooting'))"
    )
    run = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[2.0, 3.0]\n"
