"""Functions over many files, in several processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fastmri_clgnet.data import Data


def test_a_program_from_stdin_uses_one_process() -> None:
    """Other processes could not import it and would end at once."""
    program = (
        "from fastmri_clgnet.parallel import map_files\n"
        "from math import sqrt\n"
        "print(map_files(sqrt, [4.0, 9.0], 2, 'Rooting'))"
    )
    run = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[2.0, 3.0]\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_default_workers_are_no_more_than_the_cores() -> None:
    """With one core torch's DataLoader warns about two or more processes."""
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from torch.utils.data import DataLoader\n"
        "from fastmri_clgnet.data import Data\n"
        "loader = DataLoader(range(4), num_workers=Data().num_workers)\n"
        "print(loader.num_workers)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:torch.utils.data", "-c", program],
        capture_output=True,
        text=True,
    )
    assert (run.stdout, run.returncode) == ("1\n", 0), run.stderr
    assert Data().num_workers == min(4, len(os.sched_getaffinity(0)))
