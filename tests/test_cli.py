"""Commands that are made from functions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import yaml

from fastmri_clgnet import cli
from fastmri_clgnet.__main__ import COMMANDS
from fastmri_clgnet.benchmark import BENCHMARKS
from fastmri_clgnet.benchmark import main as benchmark
from fastmri_clgnet.convert import READERS
from fastmri_clgnet.data import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.train_clgnet import build_parser

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Outcome:
    """What the function was called with, and what went wrong."""

    values: dict[str, Any]
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """A line."""
        return "an outcome"


def measure(
    paths: list[Path],
    out: Path,
    *,
    kind: Literal["good", "bad"] = "good",
    mask: Mask = Mask(),
    val_mask: Mask | None = None,
    split: tuple[float, float, float] = (0.8, 0.1, 0.1),
    labels: list[str] | None = None,
    count: int | None = None,
    zero_filled: bool = True,
    overwrite: bool = False,
    image: Path | Tensor | None = None,
    hooks: Sequence[Tensor] = (),
) -> Outcome:
    """Measure something.

    At 50 % of the cost.

    Args:
        paths: Folders.
        out: Where to.
        kind: Which way.
        mask: Of the training.
        val_mask: Of the validation.
        split: Fractions.
        labels: Names.
        count: How many.
        zero_filled: Whether to add them.
        overwrite: Whether to replace files.
        image: A file, or what is in it.
        hooks: For callers in Python.
    """
    if kind == "bad":
        raise InputError("kind bad: expected good")
    values = dict(locals())
    return Outcome(values, ["broken.h5: no HDF5 file"] if count == 13 else [])


def outcome(*argv: str, positional: tuple[str, ...] = ("paths", "out")) -> dict[str, Any]:
    """What the function gets for a command line."""
    kept: list[Outcome] = []

    def keep(result: Outcome) -> int:
        kept.append(result)
        return 0

    assert cli.run(measure, argv, positional, then=keep) == 0
    return kept[0].values


def test_defaults_are_the_functions() -> None:
    values = outcome("a", "b", "c")
    assert values == {**measure([Path("a"), Path("b")], Path("c")).values}


def test_flags_give_typed_values_however_they_are_spelled() -> None:
    values = outcome(
        "a", "c", "--accelerations", "4", "8", "--center-fractions", "0.08", "0.04",
        "--val_mask_type=magic", "--val-accelerations", "6", "--val_center_fractions", "0.05",
        "--split", "1", "0", "0", "--labels", "x", "y", "--count", "3", "--no-zero-filled",
        "--overwrite", "--image", "i.png",
    )  # fmt: skip
    assert values["mask"] == Mask("random", (4, 8), (0.08, 0.04))
    assert values["val_mask"] == Mask("magic", (6,), (0.05,))
    assert values["split"] == (1.0, 0.0, 0.0)
    assert values["labels"] == ["x", "y"]
    assert (values["count"], values["zero_filled"], values["overwrite"]) == (3, False, True)
    assert values["image"] == Path("i.png")
    # a switch in front of a word that is none of its values
    assert outcome("--overwrite", "a", "c")["overwrite"] is True
    assert outcome("--overwrite", "false", "a", "c")["overwrite"] is False
    flags = ("--paths", "a", "--out=c")
    assert outcome(*flags, positional=())["paths"] == [Path("a")]


def test_config_gives_flags(tmp_path: Path) -> None:
    path = tmp_path / "flags.yaml"
    path.write_text(yaml.dump({"accelerations": [8], "center_fractions": [0.04], "count": 4}))
    values = outcome("a", "c", "--config", str(path), "--count", "5")
    assert values["mask"] == Mask("random", (8,), (0.04,))
    assert values["count"] == 5


def hand_on(
    steps: int,
    *,
    sizes: Sequence[int] = (4, 8),
    own: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> tuple[Any, ...]:
    """Hand flags on.

    Args:
        steps: How many.
        sizes: How large.
        own: Of one.
        flags: Of all.
    """
    return steps, list(sizes), own, flags


def test_flags_that_are_not_listed_are_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    kept: list[tuple[Any, ...]] = []

    def keep(result: tuple[Any, ...]) -> None:
        kept.append(result)

    def given(*argv: str) -> tuple[Any, ...]:
        assert cli.run(hand_on, argv, rest="flags", then=keep) == 0
        return kept.pop()

    assert given("--steps", "2") == (2, [4, 8], None, [])
    assert given(
        "--lr", "1e-3", "--sizes", "2", "6", "--config", "a.yaml", "--own", "a", "--x 1 --y=2",
        "--limit=3", "--betas", "1", "2", "--own", "b", " --z=5", "--steps=3", "--skip",
    ) == (
        3,
        [2, 6],
        {"a": "--x 1 --y=2", "b": " --z=5"},
        ["--lr", "1e-3", "--config", "a.yaml", "--limit=3", "--betas", "1", "2", "--skip"],
    )  # fmt: skip
    for bad in (["--lr", "2"], ["--steps", "x"], ["--steps", "2", "--own", "a"]):
        with pytest.raises(SystemExit) as error:
            given(*bad)
        assert error.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        given("--help")
    printed = capsys.readouterr().out
    assert "--own NAME VALUE" in printed
    assert "--flags" not in printed
    assert "--config" not in printed


@dataclass(frozen=True)
class Left:
    """Reads left.

    Args:
        depth: How deep.
    """

    depth: int = 1


@dataclass(frozen=True)
class Right:
    """Reads right.

    Args:
        height: How high.
        strict: Whether to stop.
    """

    height: float
    strict: bool = False


def read(reader: Left | Right, out: Path) -> Left | Right:
    """Read.

    Args:
        reader: How.
        out: Where to.
    """
    return reader


def test_a_flag_picks_one_of_several_dataclasses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choices = {"reader": ("from", {"left": Left, "right": Right})}

    def status(*argv: str) -> int:
        return cli.run(read, ["o", *argv], ["out"], choices=choices)

    assert status("--from", "left", "--depth", "3") == 0
    assert status("--from=right", "--height", "3", "--strict") == 0
    (tmp_path / "c.yaml").write_text("from: left\ndepth: 7\n")
    assert status("--config", str(tmp_path / "c.yaml")) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(Left(3)), str(Right(3.0, True)), str(Left(7)),
    ]  # fmt: skip
    for bad in ([], ["--from", "up"], ["--from", "right"], ["--from", "left", "--height", "1"]):
        with pytest.raises(SystemExit) as error:
            status(*bad)
        assert error.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        status("--help")
    assert "left: Reads left; right: Reads right; --from NAME --help" in " ".join(
        capsys.readouterr().out.split()
    )


def test_results_are_printed_and_failures_give_the_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    positional = ("paths", "out")
    assert cli.run(measure, ["a", "c"], positional) == 0
    assert cli.run(measure, ["a", "c", "--count", "13"], positional) == 1
    printed = capsys.readouterr()
    assert printed.out == "an outcome\nan outcome\n"
    assert printed.err == "error: broken.h5: no HDF5 file\n"

    def then(result: Outcome, json: Path | None = None) -> int:
        print(json)
        return 3

    assert cli.run(measure, ["a", "c", "--json", "x"], positional, then=then) == 3
    assert capsys.readouterr().out == "x\n"


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    positional = ("paths", "out")
    assert cli.run(measure, ["a", "c", "--kind", "bad"], positional) == 1
    assert capsys.readouterr().err == "error: kind bad: expected good\n"
    with pytest.raises(InputError, match="kind bad"):
        cli.run(measure, ["a", "c", "--kind", "bad", "--debug"], positional)
    assert cli.run(measure, ["a", "c", "--val_accelerations", "4"], positional) == 1
    error = capsys.readouterr().err
    assert "belong together: give --val_mask_type and --val_center_fractions, too" in error
    for bad in (["--nothing"], ["--count", "x"], ["--kind", "worse"], ["--hooks", "x"]):
        with pytest.raises(SystemExit) as raised:
            cli.run(measure, ["a", "c", *bad], positional)
        assert raised.value.code == 2


def test_help_says_what_the_docstring_says(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.run(measure, ["--help"], ("paths", "out"))
    assert raised.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("usage: python -m fastmri_clgnet.measure")
    assert "At 50 % of the cost." in text
    assert "--val_mask_type" in text
    assert "--hooks" not in text


def test_values_of_other_types_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With the choices, and without Python's names of types."""
    for flags, message in (
        (["--val_mask_type", "foo"], "--val_mask_type foo: expected random, equispaced, "),
        (["--accelerations", "foo"], "--accelerations foo: expected int;"),
        (["--count", "foo"], "--count foo: expected int;"),
    ):
        with pytest.raises(SystemExit):
            cli.run(measure, ["out", "in", *flags], ("paths", "out"))
        error = capsys.readouterr().err
        assert error.startswith(f"error: {message}") and error.count("\n") == 1


READ = partial(
    cli.run, read, positional=["out"], choices={"reader": ("from", {"left": Left, "right": Right})}
)
MEASURE = partial(cli.run, measure, positional=["paths", "out"])
WRONG_USAGE: dict[str, tuple[Callable[[Sequence[str]], int], str, str]] = {
    "misspelt": (MEASURE, "a b --cuont 3 4", "--cuont: no such flag (did you mean --count?)"),
    "dashes": (MEASURE, "a b --val-mask-typ=x", "no such flag (did you mean --val_mask_type?)"),
    "negated": (MEASURE, "a b --no-zerofilled", "no such flag (did you mean --no_zero_filled?)"),
    "abbreviated": (MEASURE, "a b --cou 3", "--cou: no such flag (did you mean --count?)"),
    "like no flag": (MEASURE, "a b --xyz 3", "--xyz: no such flag"),
    "in a file": (MEASURE, "a b --config flags.yaml", "--config: --cuont: no such flag (did"),
    "value of no flag": (MEASURE, "a b --overwrite true --image i j k", "unexpected j k"),
    "no value": (MEASURE, "a b --count", "--count: expected one argument"),
    "no file of flags": (MEASURE, "a b --config no.yaml", "--config: "),
    "nothing": (MEASURE, "", "missing paths, out"),
    "missing flag": (READ, "o --from right", "missing --height"),
    "wrong choice": (READ, "o --from up", "--from: invalid choice: 'up' (choose from "),
    "of another choice": (READ, "o --from right --depth 1", "--depth: a flag of --from left only"),
    "no benchmark": (benchmark, "table3", "benchmark: invalid choice: 'table3'"),
}


@pytest.mark.parametrize("name", WRONG_USAGE)
def test_wrong_usage_is_one_line_that_names_the_flag(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flags.yaml").write_text("cuont: 3\n")
    command, words, message = WRONG_USAGE[name]
    with pytest.raises(SystemExit) as raised:
        command(words.split())
    assert raised.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error
    assert error.endswith("; see --help\n") and error.count("\n") == 1


CALLED = (
    "fastmri_clgnet",
    *(f"fastmri_clgnet.{name}" for name in COMMANDS),
    *(f"fastmri_clgnet.benchmark {name}" for name in BENCHMARKS),
    *(f"fastmri_clgnet.convert --from {name}" for name in READERS),
    *(f"banding.{name}" for name in ("train_banding", "score", "demo")),
)


@pytest.mark.parametrize("called", CALLED)
def test_help_of_every_command_is_quick(called: str) -> None:
    """It imports neither torch nor Lightning nor fastMRI, which takes seconds; nor itself twice."""
    module, *words = called.split()
    code = (
        "import runpy, sys; sys.argv = ['-m']; sys.orig_argv = ['python', '-m', sys.argv[0]];"
        f"sys.orig_argv[2] = {module!r}\n"
        "import fastmri_clgnet\n"
        f"sys.argv = ['x', *{words}, '--help']\n"
        "try:\n"
        f"    runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit as error:\n"
        "    assert not error.code\n"
        "print(sorted({'torch', 'pytorch_lightning', 'fastmri', 'scipy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert "usage" in run.stdout or module == "fastmri_clgnet"


@pytest.mark.parametrize("model", ["clgnet", "clgvarnet", "unet", "varnet", "dccnn", "zero_filled"])
def test_help_of_a_model_shows_the_flags_that_are_parsed(model: str) -> None:
    """It is read from the constructors' source, the flags are the constructors'."""

    def flags(showing: bool) -> list[tuple[str, object, str | None]]:
        actions = build_parser(model, showing)._actions
        return [(action.dest, action.default, action.help) for action in actions]

    assert flags(showing=True) == flags(showing=False)


def test_the_package_registers_its_models_unless_it_starts_a_command() -> None:
    code = (
        "import sys; sys.argv = sys.orig_argv = ['-m', 'other.train']; import fastmri_clgnet;"
        "from fastmri.models import CLGNet; assert CLGNet is fastmri_clgnet.CLGNet"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def console_script(*words: str) -> subprocess.CompletedProcess[str]:
    """Run setup.cfg's entry point as the script that pip makes of it does."""
    setup = ConfigParser(interpolation=None)
    setup.read(Path(__file__).parent.parent / "setup.cfg", encoding="utf-8")
    entry = setup["options.entry_points"]["console_scripts"].strip()
    name, value = entry.split(" = ")
    assert name == "fastmri-clgnet"
    code = (
        f"import sys; sys.argv = ['/bin/{name}', *{words}]; sys.orig_argv = ['python', *sys.argv]\n"
        "from importlib.metadata import EntryPoint\n"
        "try:\n"
        f"    status = EntryPoint({name!r}, {value!r}, 'console_scripts').load()()\n"
        "except SystemExit as error:\n"
        "    status = error.code or 0\n"
        "print(sorted({'torch', 'pytorch_lightning', 'fastmri', 'scipy'} & set(sys.modules)))\n"
        "sys.exit(status)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_console_script_lists_the_commands() -> None:
    run = console_script()
    assert run.returncode == 0, run.stderr
    assert all(f"python -m fastmri_clgnet.{name}" in run.stdout for name in COMMANDS)
    assert run.stdout.splitlines()[-1] == "[]"
    assert console_script("nonsense").returncode == 2


@pytest.mark.parametrize("name", ["train_clgnet", "reconstruct", "convert"])
def test_help_of_the_console_script_is_quick(name: str) -> None:
    run = console_script(name, "--help")
    assert run.returncode == 0, run.stderr
    assert f"usage: python -m fastmri_clgnet.{name}" in run.stdout
    assert run.stdout.splitlines()[-1] == "[]"


def test_console_script_runs_a_command_on_the_registered_models(tmp_path: Path) -> None:
    run = console_script("check", str(tmp_path / "missing"))
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert "missing" in run.stderr
    assert "fastmri" in run.stdout.splitlines()[-1]
