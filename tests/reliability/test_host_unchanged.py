"""Importing this library adds its classes to fastMRI, and changes nothing else in it."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import importlib, json, pkgutil, sys
import fastmri
import pytorch_lightning

HOSTS = ("fastmri", "pytorch_lightning", "torchmetrics")
for module in pkgutil.walk_packages(fastmri.__path__, "fastmri."):
    importlib.import_module(module.name)

def attributes():
    found = {}
    for name in before_modules:
        module = sys.modules[name]
        for key, value in vars(module).items():
            found[f"{name}.{key}"] = value
            if isinstance(value, type) and value.__module__ == name:
                found.update({f"{name}.{key}.{k}": v for k, v in list(vars(value).items())})
    return found

before_modules = [name for name in sys.modules if name.split(".")[0] in HOSTS]
before = attributes()
import fastmri_clgnet
for module in pkgutil.walk_packages(fastmri_clgnet.__path__, "fastmri_clgnet."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
after = attributes()
modules = set(sys.modules)  # a submodule becomes an attribute of its package when imported
changed = sorted(name for name in before if after.get(name) is not before[name])
print(json.dumps([changed, sorted(after.keys() - before.keys() - modules)]))
"""


def test_only_two_functions_are_new() -> None:
    """In fastMRI, Lightning and torchmetrics, after importing all our modules."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    changed, new = json.loads(run.stdout.splitlines()[-1])
    assert changed == []
    assert new == ["fastmri.models.__getattr__", "fastmri.pl_modules.__getattr__"]
