"""fastMRI's own tests, with and without this library: no more fail with it.

They are not in fastMRI's wheel. Its source distribution has them:

    pip download --no-deps --no-binary fastmri fastmri==0.3.0 && tar xzf fastmri-0.3.0.tar.gz
    FASTMRI_HOST_TESTS=fastmri-0.3.0/tests python -m pytest -m slow -s tests/reliability

The copy that runs is called `host_tests`, since this repository also has a package `tests`. It
tests the installed fastmri.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

# The host's fixtures call np.product, which NumPy 2 removed: without it most tests fail there.
PLUGIN = """
import numpy

if not hasattr(numpy, "product"):
    numpy.product = numpy.prod
"""


@pytest.fixture
def host_tests(tmp_path: Path) -> Path:
    """A copy of the host's tests, in a folder without other pytest configuration."""
    if "FASTMRI_HOST_TESTS" not in os.environ:
        pytest.skip("needs FASTMRI_HOST_TESTS, the folder tests of fastmri 0.3.0's source")
    shutil.copytree(os.environ["FASTMRI_HOST_TESTS"], tmp_path / "host_tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "numpy_product.py").write_text(PLUGIN)
    return tmp_path


def outcomes(folder: Path, *plugins: str) -> dict[str, str]:
    """Outcome of each of the host's tests, in a process that imports the plugins first."""
    report = folder / f"{len(plugins)}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "host_tests", f"--junitxml={report}"]
    for plugin in ("numpy_product", *plugins):
        command += ["-p", plugin]
    path = os.pathsep.join([str(folder), *(each for each in sys.path if each)])
    run = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr  # all passed, or some failed
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[f"{case.get('classname')}::{case.get('name')}"] = kinds.pop() if kinds else "passed"
    return found


def summary(found: dict[str, str]) -> str:
    """Counts, and the names of failed tests."""
    values = list(found.values())
    counts = ", ".join(f"{values.count(kind)} {kind}" for kind in sorted(set(values)))
    bad = [name for name, kind in found.items() if kind in ("failure", "error")]
    return "\n  ".join([counts, *bad])


@pytest.mark.slow
def test_no_host_test_fails_only_with_this_library(host_tests: Path) -> None:
    without = outcomes(host_tests)
    with_us = outcomes(host_tests, "fastmri_clgnet")
    print(f"\nfastmri alone: {summary(without)}\nwith fastmri_clgnet: {summary(with_us)}")
    assert len(without) >= 70
    assert "passed" in without.values()
    assert with_us == without
