"""The built distributions: their contents, and setup.cfg in them."""

from __future__ import annotations

import email
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
BUILT_FROM = ["setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"]
BUILT_FROM += ["CHANGELOG.md", "CITATION.cff", "constraints.txt"]
# files in the wheel besides Python modules
PARTS = {
    "fastmri_clgnet/py.typed",
    "fastmri_clgnet/formats/example_slice/ATTRIBUTION.txt",
    "fastmri_clgnet/formats/example_slice/t2_tse_brain.npz",
    "fastmri_clgnet/reporting/style.css",
    "fastmri_clgnet/reporting/template.html",
    "fastmri_clgnet/reporting/viewer.js",
    "fastmri_clgnet/weights/brain-4x.json",
    "fastmri_clgnet/weights/brain-4x.md",
    "fastmri_clgnet/weights/brain-4x.safetensors",
    "fastmri_clgnet/weights/brain.json",
    "fastmri_clgnet/weights/brain.md",
    "fastmri_clgnet/weights/brain.safetensors",
    "fastmri_clgnet/weights/brain-varnet.json",
    "fastmri_clgnet/weights/brain-varnet.md",
    "fastmri_clgnet/weights/brain-varnet.safetensors",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and source distribution, built from a copy with tests beside it."""
    copy = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("fastmri_clgnet", "banding", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, copy)
    program = "import setuptools.build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"
    run = subprocess.run([sys.executable, "-c", program], cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return copy / "dist"


def test_the_wheel_holds_the_modules_and_their_parts(built: Path) -> None:
    """Both packages in full, without tests, documentation or pictures."""
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in ("fastmri_clgnet", "banding")
        for path in (ROOT / package).rglob("*.py")
    }
    assert {name for name in names if ".dist-info/" not in name} == modules | PARTS
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_source_distribution_builds_the_same_and_has_no_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*BUILT_FROM, *PARTS, "fastmri_clgnet/__init__.py", "banding/__init__.py"} <= names
    assert not [name for name in names if name.startswith(("tests", "docs", "images"))]


def test_the_metadata_says_what_an_index_shows(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    message: Message = email.message_from_bytes(archive.read(name))
    assert message["Description-Content-Type"] == "text/markdown"
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert text.decode().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert message["Requires-Python"] == ">=3.10"
    assert "fastmri==0.3.0" in message.get_all("Requires-Dist", [])
    if importlib.util.find_spec("twine") is not None:
        command = [sys.executable, "-m", "twine", "check", "--strict"]
        run = subprocess.run([*command, *built.iterdir()], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout


def test_each_requirement_says_its_lowest_version() -> None:
    """Otherwise the command for the lowest versions takes a package's first release."""
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lists = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    lines = [line.strip() for text in lists for line in text.splitlines()]
    requirements = [Requirement(line) for line in lines if line and line[0] not in "#%"]
    assert len(requirements) > 20
    unbounded = [
        requirement.name
        for requirement in requirements
        if not {">=", "=="} & {specifier.operator for specifier in requirement.specifier}
    ]
    assert unbounded == []
