"""Commands made from functions."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

import pytest
import yaml

from fastmri_clgnet import cli
from fastmri_clgnet.__main__ import COMMANDS
from fastmri_clgnet.__main__ import main as console_script
from fastmri_clgnet.benchmark import main as benchmark
from fastmri_clgnet.data import Mask
from fastmri_clgnet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Outcome:
    """The arguments of the call, and its failures."""

    values: dict[str, Any]
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """A line."""
        return "an outcome"


def measure(
    paths: list[Path],
    *,
    kind: Literal["good", "bad"] = "good",
    mask: Mask = Mask(),
    val_mask: Mask | None = None,
    split: tuple[float, float, float] = (0.8, 0.1, 0.1),
    labels: list[str] | None = None,
    count: int | None = None,
    zero_filled: bool = True,
    overwrite: bool | Literal["different"] = False,
    image: Path | Tensor | None = None,
) -> Outcome:
    """Measure something.

    At 50 % of the cost.

    Args:
        paths: Folders.
        kind: Which way.
        mask: Of the training.
        val_mask: Of the validation.
        split: Fractions.
        labels: Names.
        count: How many.
        zero_filled: Whether to add them.
        overwrite: Whether to replace files.
        image: A file, or what is in it.
    """
    if kind == "bad":
        raise InputError("kind bad: expected good")
    values = dict(locals())
    return Outcome(values, ["broken.h5: no HDF5 file"] if count == 13 else [])


MEASURE = partial(cli.run, measure, positional=["paths"])


def measured(*argv: str) -> dict[str, Any]:
    """Return the function's arguments for a command line."""
    kept: list[Outcome] = []
    assert MEASURE(argv, then=lambda result: kept.append(result)) == 0
    return kept[0].values


def test_defaults_are_the_functions() -> None:
    assert measured("a", "b") == measure([Path("a"), Path("b")]).values


def test_flags_give_typed_values_however_they_are_spelled() -> None:
    values = measured(
        "a", "--accelerations", "4", "8", "--center-fractions", "0.08", "0.04",
        "--val_mask_type=magic", "--val-accelerations", "6", "--val_center_fractions=0.05",
        "--split", "1", "0", "0", "--labels", "x", "y", "--count", "2", "--count", "3",
        "--no-zero-filled", "--overwrite", "--image=i j.png",
    )  # fmt: skip
    assert values["mask"] == Mask("random", (4, 8), (0.08, 0.04))
    assert values["val_mask"] == Mask("magic", (6,), (0.05,))
    assert values["split"] == (1.0, 0.0, 0.0)
    assert values["labels"] == ["x", "y"]
    assert (values["count"], values["zero_filled"], values["overwrite"]) == (3, False, True)
    assert values["image"] == Path("i j.png")
    assert measured("a", "--count", "2", "--count", "null")["count"] is None
    assert measured("a", "--labels=[old] run", "[x")["labels"] == ["[old] run", "[x"]


def limit(batches: Union[float, int, None] = None) -> object:  # noqa: UP007
    """Limit."""
    return repr(batches)


def test_whole_numbers_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("1", "1.0", "null"):
        assert cli.run(limit, ["--batches", word]) == 0
    assert capsys.readouterr().out.split() == ["1", "1.0", "None"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--overwrite", "a"], True),  # a switch before a word that is not one of its values
        (["--overwrite", "false", "a"], False),
        (["--overwrite=True", "a"], True),
        (["a", "--overwrite", "different"], "different"),
        (["a", "--overwrite", "--no_overwrite"], False),
    ],
)
def test_switches(words: list[str], value: object) -> None:
    values = measured(*words)
    assert (values["overwrite"], values["paths"]) == (value, [Path("a")])


def test_a_file_gives_flags_and_the_command_line_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "flags.yaml"
    flags = {"accelerations": [8], "center_fractions": [0.04], "count": 4, "zero_filled": False}
    path.write_text(yaml.dump({**flags, "labels": ["a b", "c"], "val_mask_type": None}))
    values = measured("a", "--config", str(path), "--count", "5")
    assert values["mask"] == Mask("random", (8,), (0.04,))
    assert (values["count"], values["zero_filled"]) == (5, False)
    assert values["labels"] == ["a b", "c"]
    assert values["val_mask"] is None
    # the printed text can be read again
    with pytest.raises(SystemExit) as raised:
        MEASURE(["a", "--config", str(path), "--print_config"])
    assert raised.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert "paths" not in printed  # the words without a flag stay on the command line
    path.write_text(yaml.dump(printed))
    assert measured("a", "--config", str(path)) == {**values, "count": 4}


def hand_on(
    steps: int,
    *,
    sizes: Sequence[int] = (4, 8),
    own: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> tuple[Any, ...]:
    """Hand flags on."""
    return steps, list(sizes), own, flags


def test_unlisted_flags_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    kept: list[tuple[Any, ...]] = []

    def given(*argv: str) -> tuple[Any, ...]:
        assert cli.run(hand_on, argv, rest="flags", then=lambda result: kept.append(result)) == 0
        return kept.pop()

    assert given("--steps", "2") == (2, [4, 8], None, [])
    assert given(
        "--lr", "1e-3", "--sizes", "2", "6", "--config", "a.yaml", "--own", "a", "--x 1 --y=2",
        "--limit=3", "--betas", "1", "null", "--own", "b", " --z=5", "--steps=3", "--skip",
    ) == (
        3,
        [2, 6],
        {"a": " --x 1 --y=2", "b": " --z=5"},
        ["--lr", "1e-3", "--config", "a.yaml", "--limit=3", "--betas", "1", "null", "--skip"],
    )  # fmt: skip
    for bad in (["--lr", "2"], ["--steps", "x"], ["--steps", "2", "--own", "a"]):
        with pytest.raises(SystemExit) as error:
            given(*bad)
        assert error.value.code == 2


@dataclass(frozen=True)
class Left:
    """Reads left.

    Args:
        depth: How deep.
    """

    depth: int = 1


@dataclass(frozen=True)
class Right:
    """Reads right."""

    height: float
    set: bool = False


def read(reader: Left | Right, out: Path) -> Left | Right:
    """Read."""
    return reader


READ = partial(
    cli.run, read, positional=["out"], choice=("reader", "from", {"left": Left, "right": Right})
)


def test_a_flag_picks_one_of_several_dataclasses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert READ(["o", "--from", "left", "--depth", "3"]) == 0
    assert READ(["o", "--from=right", "--height", "3", "--set"]) == 0
    (tmp_path / "c.yaml").write_text("from: left\ndepth: 7\n")
    assert READ(["o", "--config", str(tmp_path / "c.yaml")]) == 0
    expected = [str(Left(3)), str(Right(3.0, True)), str(Left(7))]
    assert capsys.readouterr().out.splitlines() == expected


def test_results_are_printed_and_failures_give_the_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert MEASURE(["a"]) == 0
    assert MEASURE(["a", "--count", "13"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "an outcome\nan outcome\n"
    assert printed.err == "error: broken.h5: no HDF5 file\n"

    def then(result: Outcome, json: Path | None = None) -> int:
        print(json)
        return 3

    assert MEASURE(["a", "--json", "x"], then=then) == 3
    assert capsys.readouterr().out == "x\n"


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert MEASURE(["a", "--kind", "bad"]) == 1
    assert capsys.readouterr().err == "error: kind bad: expected good\n"
    with pytest.raises(InputError, match="kind bad"):
        MEASURE(["a", "--kind", "bad", "--debug"])
    assert MEASURE(["a", "--val_accelerations", "4"]) == 1
    assert "give val_mask_type and val_center_fractions" in capsys.readouterr().err


def test_help_says_what_the_docstring_says(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        MEASURE(["--help"])
    assert raised.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: python -m fastmri_clgnet.measure")
    assert "At 50 % of the cost." in text
    assert "--val_mask_type" in text
    assert "\x1b" not in text  # no colours outside of a terminal
    with pytest.raises(SystemExit):
        READ(["--from", "left", "--help"])
    text = " ".join(re.sub("[│─╭╮╰╯]", "", capsys.readouterr().out).split())
    assert "left: Reads left. right: Reads right." in text
    assert "--depth INT How deep. (default: 1)" in text


WRONG_USAGE: dict[str, tuple[Callable[[Sequence[str]], int], str, str]] = {
    "misspelt": (MEASURE, "a --cuont 3", "--count"),
    "dashes": (MEASURE, "a --val-mask-typ=x", "--val_mask_type"),
    "in a file": (MEASURE, "a --config flags.yaml", "--count"),
    "of another type": (MEASURE, "a --count x", "--count"),
    "of another choice": (MEASURE, "a --val_mask_type foo", "equispaced_fraction"),
    "value of no flag": (MEASURE, "a --count 3 k", "k"),
    "no value": (MEASURE, "a --count", "--count"),
    "nothing": (MEASURE, "", "paths"),
    "missing flag": (READ, "o --from right", "--height"),
    "wrong choice": (READ, "o --from up", "left"),
    "flag of another": (READ, "o --from right --depth 1", "a flag of --from left"),
    "no benchmark": (benchmark, "table3", "table2"),
    "no command": (console_script, "nonsense", "reconstruct"),
}


@pytest.mark.parametrize("name", WRONG_USAGE)
def test_wrong_usage_names_what_would_be_right(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flags.yaml").write_text("cuont: 3\n")
    command, words, message = WRONG_USAGE[name]
    try:
        status: Any = command(words.split())
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert message in capsys.readouterr().err


# commands whose help needs no network: imports of torch and the like would cost time
LIGHT = [*(COMMANDS.keys() - {"train_clgnet"}), "convert --from numpy", "benchmark table1"]


@pytest.mark.parametrize("command", sorted(LIGHT))
def test_help_is_quick(command: str) -> None:
    """It does not import torch, fastMRI, Lightning or SciPy, and few modules in total."""
    name, *words = command.split()
    module = f"fastmri_clgnet.{name}"
    line = [sys.executable, "-W", "error", "-X", "importtime", "-m", module, *words, "--help"]
    run = subprocess.run(line, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("usage")
    imported = set(re.findall(r"\| +(\w+)$", run.stderr, re.M))
    assert not imported & {"torch", "fastmri", "pytorch_lightning", "scipy"}


def test_console_script_lists_and_runs_the_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = ConfigParser(interpolation=None)
    setup.read(Path(__file__).parent.parent / "setup.cfg", encoding="utf-8")
    entry = setup["options.entry_points"]["console_scripts"].strip()
    assert entry == "fastmri-clgnet = fastmri_clgnet.__main__:main"
    assert console_script([]) == 0
    printed = capsys.readouterr().out
    assert all(f"python -m fastmri_clgnet.{name}" in printed for name in COMMANDS)
    assert console_script(["check", str(tmp_path / "missing")]) == 1
    assert "missing" in capsys.readouterr().err


def test_a_reader_that_ends_early_is_no_error() -> None:
    """As `evaluate --help | head` does."""
    command = [sys.executable, "-m", "fastmri_clgnet.evaluate", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
