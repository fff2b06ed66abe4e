"""The documentation: links resolve, Python compiles or runs, commands parse, examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml

import fastmri_clgnet
from banding.train_banding import parse_arguments as parse_banding
from fastmri_clgnet import cli
from fastmri_clgnet.__main__ import BANDING, COMMANDS
from fastmri_clgnet.__main__ import main as console_script
from fastmri_clgnet.benchmark import BENCHMARKS
from fastmri_clgnet.data.demo import VERSION, default_demo_dir
from fastmri_clgnet.weights import shipped
from tests.test_imports import ROOMS
from tests.test_readme import PAGES, ROOT, TEXT, command, python_block

EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_internal_links_resolve(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in slugs(target), f"{page}: {link}"


def test_every_page_is_in_the_documentation() -> None:
    """Each page's folder lists it, and README is short."""
    for page in PAGES[3:]:
        index = page.parent / "index.md"
        name = page.stem if page != index else f"{page.parent.name}/index"
        listing = index if page != index else page.parent.parent / "index.md"
        if listing.is_file():
            assert re.search(rf"^{name}$", listing.read_text(encoding="utf-8"), re.M), page
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 160


def test_commands_do_not_run_off_the_page() -> None:
    r"""They are broken by `\` at 88 characters: docs/figures/draw.py does it."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            assert [line for line in block.splitlines() if len(line) > 88] == [], page


def test_python_blocks_compile() -> None:
    blocks = [text for language, text in BLOCKS if language == "python"]
    assert len(blocks) >= 10
    for text in blocks:
        ast.parse(text)


def test_other_commands_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of banding, fastMRI and the console script; the rest is in test_readme."""
    monkeypatch.setattr(cli, "call", lambda *_, **__: None)
    lines = [line for language, text in BLOCKS if language == "bash" for line in text.splitlines()]
    found = set()
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:2] == ["python", "-m"] and words[2].startswith("banding."):
            assert words[2].removeprefix("banding.") in BANDING
            found.add(words[2])
            if words[2] == "banding.train_banding":
                parse_banding(words[3:])
            else:
                assert importlib.import_module(words[2]).main(words[3:]) == 0
        elif words[:1] == ["fastmri-clgnet"]:
            found.add(words[0])
            if "--help" in words:
                with pytest.raises(SystemExit) as raised:
                    console_script(words[1:])
                assert not raised.value.code
            else:
                assert console_script(words[1:]) == 0
        elif words[:3] == ["python", "-m", "fastmri.evaluate"]:
            flags = {word for word in words if word.startswith("--")}
            assert flags <= {"--target-path", "--predictions-path", "--challenge"}
    assert found == {f"banding.{name}" for name in BANDING} | {"fastmri-clgnet"}


DEFAULTS = re.findall(r"<!-- defaults of ([\w.]+) (.*?) -->\n\n((?:\|.*\n)+)", TEXT)


@pytest.mark.parametrize(("name", "words", "table"), DEFAULTS, ids=[row[1] for row in DEFAULTS])
def test_tables_of_flags_have_todays_defaults(
    name: str, words: str, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `--print_config` gives them; `-` is none, `required` has none, `all` is all choices.

    `cores` follows the machine.
    """
    if name.endswith("benchmark"):
        parameters = inspect.signature(BENCHMARKS[words.split()[0]]).parameters.values()
        known = {each.name: each.default for each in parameters}
    else:
        with pytest.raises(SystemExit):
            importlib.import_module(name).main([*words.split(), "--print_config"])
        known = yaml.safe_load(capsys.readouterr().out)
    for flags, told in re.findall(r"^\| (`--.*?) \| (.*?) \|", table, re.M):
        names = re.findall(r"`--(\w+)`", flags)
        for flag, value in zip(names, told.split(", "), strict=True):
            default = known.get(flag)
            values = default if isinstance(default, list | tuple) else [default]
            texts = [f"{v:g}" if type(v) in (int, float) else str(v).lower() for v in values]
            if value not in ("required", "all", "cores"):
                assert value == ("-" if default in (None, ()) else " ".join(texts)), flag


def test_command_table_lists_every_command() -> None:
    table = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    names = [f"fastmri_clgnet.{name}" for name in COMMANDS] + [
        f"banding.{name}" for name in BANDING
    ]
    assert re.findall(r"^\| `python -m ([\w.]+)`", table, re.M) == names


@pytest.mark.filterwarnings("ignore::fastmri_clgnet.inference.scan.OutOfDomain")
def test_readme_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(python_block("picture"), {})
    assert Path("brain.png").stat().st_size > 10_000


def test_no_picture_overwrites_another() -> None:
    """The command refuses to overwrite a picture that another line of the page wrote."""
    text = (ROOT / "docs/how-to/own-data.md").read_text(encoding="utf-8")
    written = re.findall(r"(?:--output |^show\(.*)\b(\w+\.png)", text, re.M)
    assert len(written) >= 2
    assert len(set(written)) == len(written)


def test_the_house_is_as_the_page_says() -> None:
    """The tree, the rooms from the top, and every path in the instructions."""
    house = load("house")
    page = house.PAGE.read_text(encoding="utf-8")
    assert house.BLOCK.search(page)[0].endswith(f"```text\n{house.tree()}```"), "run docs/house.py"
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.M)
    assert [re.findall(r"\w+", row) for row in rows] == ROOMS[::-1]
    named = re.findall(r"`((?:fastmri_clgnet|tests|docs)/[\w/.]*)`", page)
    assert len(named) > 20
    for path in (ROOT / name for name in named):
        assert (path.parent if "NAME" in path.name else path).exists(), path


def test_the_workflow_and_the_readme_run_one_command() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert f"- run: {command('test')}\n" in workflow


@pytest.mark.skipif(sys.platform != "linux", reason="the path that is said is Linux's")
def test_demo_data_is_where_the_documentation_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    folder = (default_demo_dir() / f"singlecoil_v{VERSION}").relative_to(Path.home())
    assert set(re.findall(r"`(~/\.cache/[^`]+)`", TEXT)) == {f"~/{folder}"}


PACKAGES = ["banding", "fastmri_clgnet"] + [
    module.name
    for module in pkgutil.walk_packages(fastmri_clgnet.__path__, "fastmri_clgnet.")
    if module.ispkg
]


def exported() -> dict[str, Any]:
    """The exported classes and functions of packages, each by its first path."""
    found: dict[str, Any] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if isinstance(value, type | FunctionType) and value not in found.values():
                found[f"{package}.{name}"] = value
    return found


EXPORTED = exported()


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_names_have_an_example_that_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = sys.modules[EXPORTED[name].__module__]
    found = doctest.DocTestFinder(recurse=False).find(EXPORTED[name], name, module)
    assert [test for test in found if test.examples]
    with warnings.catch_warnings():
        for test in found:
            assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


def test_custom_network_trains(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("DATA").symlink_to(small_dataset)
    exec(python_block("extend"), {"__name__": "extend"})
    assert Path("residual/checkpoints/best.ckpt").is_file()


@pytest.mark.filterwarnings("ignore:a batch of 2 images has fewer")
def test_gradients_of_the_objective_are_compared(small_dataset: Path, tmp_path: Path) -> None:
    weight = torch.randn(64, 3, 3, 3, generator=torch.Generator().manual_seed(0)) / 5
    torch.save({"0.weight": weight, "0.bias": torch.zeros(64)}, tmp_path / "vgg.pt")
    names: dict[str, Any] = {}
    exec(python_block("gradients"), names)
    images, targets = names["read"](small_dataset / "singlecoil_train", [0, 1])
    weights = str(tmp_path / "vgg.pt")
    norm, cosine = names["gradients"](torch.nn.Identity(), images, targets, weights, (1,))
    assert norm > 0
    assert abs(cosine) <= 1


def test_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    kspace = rng.normal(size=(2, 640, 368, 2)).astype(np.float32).view(np.complex64)[..., 0]
    target = np.abs(rng.normal(size=(2, 320, 320))).astype(np.float32)
    names: dict[str, Any] = {"kspace": kspace, "target": target, "mask": np.arange(368) % 4 == 0}
    exec(python_block("write"), names)
    with h5py.File("DATA/singlecoil_train/a.h5") as file:
        np.testing.assert_array_equal(file["kspace"][()], kspace)
    with h5py.File("DATA/singlecoil_test/b.h5") as file:
        assert file["mask"][()].sum() == 92


def load(name: str) -> ModuleType:
    """A module that helps to build the documentation."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_of_commands_and_cards_are_made(tmp_path: Path) -> None:
    """They contain every command's flags and every shipped card."""
    (tmp_path / "reference").mkdir()
    load("generated").write_pages(tmp_path)
    folder = tmp_path / "reference" / "commands"
    expected = {f"fastmri_clgnet.{name}" for name in COMMANDS}
    assert {path.stem for path in folder.iterdir()} == expected | {f"banding.{n}" for n in BANDING}
    training = (folder / "fastmri_clgnet.train_clgnet.md").read_text(encoding="utf-8")
    assert "--share_weights" in training.split("## --model clgvarnet")[1]
    assert "--vgg_weights" in training
    cards = (tmp_path / "reference" / "cards.md").read_text(encoding="utf-8")
    assert cards.startswith("# Model cards")
    assert shipped() or "ships no trained weights" in cards


def test_formulas_of_docstrings_are_literal() -> None:
    lines = ["Do it.", "", "    a = b * c", "    d = |e|", "", "Args:", "    x: What.", ""]
    load("generated").literal_formulas(None, "class", "x", None, None, lines)
    assert lines[:6] == ["Do it.", "", "::", "", "    a = b * c", "    d = |e|"]
    assert lines[6:] == ["", "Args:", "    x: What.", ""]


def test_examples_end_in_a_picture_and_an_assertion() -> None:
    assert len(EXAMPLES) == 7
    for path in EXAMPLES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert isinstance(tree.body[-1], ast.Assert), path
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert names & {"show", "Figure"}, path


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    """As a user runs it, in a separate process."""
    if path.name.startswith(("plot_1_", "plot_7_")) and not shipped():
        pytest.skip("no weights ship with this version")
    run = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert list(tmp_path.iterdir()) == []
