"""Imports: few at first, Lightning only for training; and our names in fastMRI."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module

import pytest

import fastmri_clgnet
from fastmri_clgnet.former_names import FORMER

SLOW = {"torch", "fastmri", "pytorch_lightning", "lightning_fabric", "matplotlib", "scipy"}


def imported_by(program: str, *flags: str) -> set[str]:
    """The modules after a program has run in a separate process."""
    program += "\nimport sys; print('modules:', *sys.modules)"
    run = subprocess.run(
        [sys.executable, "-W", "error", *flags, "-c", program], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("modules: ")[2].split())


def test_the_package_and_what_commands_show_need_no_torch() -> None:
    assert not imported_by("import fastmri_clgnet") & {*SLOW, "numpy", "h5py"}
    rooms = ("data", "inference", "evaluation", "conversion", "reporting", "weights", "formats")
    benchmarks = [f"benchmarks.{name}" for name in ("ablation", "speed", "table2", "weights")]
    program = "\n".join(f"import fastmri_clgnet.{name}" for name in (*rooms, *benchmarks))
    assert not imported_by(program) & SLOW


def test_what_is_missing_is_named_before_torch_is_imported() -> None:
    program = """
from pathlib import Path
from fastmri_clgnet import InputError
from fastmri_clgnet.inference import export, reconstruct, reconstruct_file, reconstruct_scan
from fastmri_clgnet.reporting import report
for call in (
    lambda: reconstruct_scan("missing.h5", "brain-4x"),
    lambda: reconstruct_file(Path("missing.dat"), Path("x.h5"), Path("brain-4x")),
    lambda: reconstruct("missing", "out", "brain-4x"),
    lambda: reconstruct(".", "out", "missing.ckpt"),
    lambda: export("missing.ckpt", "out"),
    lambda: report(["missing"]),
):
    try:
        call()
    except InputError as error:
        assert str(error).startswith("missing"), error
    else:
        raise AssertionError
"""
    assert not imported_by(program) & SLOW


def test_reconstructing_needs_no_lightning() -> None:
    program = """
from fastmri_clgnet import example_slice, reconstruct_scan
reconstruct_scan(example_slice(), model="zero_filled")
"""
    assert not imported_by(program) & {
        "pytorch_lightning", "lightning_fabric", "lightning", "torchmetrics", "torchvision",
        "fastmri.pl_modules",
    }  # fmt: skip


REGISTERED = """
import {0}, {1}
import fastmri.models, fastmri.pl_modules
from fastmri.models import CLGNet, CLGVarNet
from fastmri.pl_modules import CLGNetModule, CLGVarNetModule
for each in (CLGNet, CLGVarNet, CLGNetModule, CLGVarNetModule):
    assert each.__module__.startswith("fastmri_clgnet."), each
for host in (fastmri.models, fastmri.pl_modules):
    assert not hasattr(host, "Nothing")
    assert "CLGNet" not in vars(host)  # looked up each time, so that fastMRI does not change
fastmri.models.CLGNet = dict  # as in a possible later fastMRI
from fastmri.models import CLGNet
assert CLGNet is dict
"""


@pytest.mark.parametrize("first", ["fastmri_clgnet", "fastmri.models, fastmri.pl_modules"])
def test_our_classes_are_in_fastmri_whichever_was_imported_first(first: str) -> None:
    other = {"fastmri_clgnet": "fastmri.models, fastmri.pl_modules"}.get(first, "fastmri_clgnet")
    imported_by(REGISTERED.format(first, other), "-W", "default")


MISMATCH = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "fastmri.pl_modules":
            raise RuntimeError("operator torchvision::nms does not exist")

sys.meta_path.insert(0, Finder())
from fastmri_clgnet import CLGNetModule
"""


def test_mismatched_torchvision_is_explained() -> None:
    run = subprocess.run([sys.executable, "-c", MISMATCH], capture_output=True, text=True)
    assert run.returncode == 1
    assert "ImportError: torchvision does not fit the installed torch" in run.stderr
    assert "pip install --force-reinstall torch torchvision" in run.stderr


def test_the_root_offers_no_name_of_a_command() -> None:
    """The last import would win."""
    for name in fastmri_clgnet.__all__:
        assert getattr(fastmri_clgnet, name).__name__ == name
    assert not {"check", "convert", "evaluate", "export", "report", "reconstruct", "weights"} & {
        *fastmri_clgnet.__all__
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fastmri_clgnet.nothing  # noqa: B018


@pytest.mark.parametrize("path", FORMER)
def test_former_import_paths_work_with_a_warning(path: str) -> None:
    module = import_module(path)
    for name in FORMER[path]:
        if name in vars(module):  # the command has it itself
            continue
        with pytest.warns(DeprecationWarning, match=f"{name} has moved: from fastmri_clgnet"):
            assert getattr(module, name) is not None
    with pytest.raises(AttributeError), warnings.catch_warnings():
        module.nothing  # noqa: B018
