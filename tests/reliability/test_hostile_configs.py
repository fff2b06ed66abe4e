"""Files of flags that would make Python objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from banding import train_banding
from fastmri_clgnet import train_clgnet

COMMANDS: dict[str, tuple[Any, list[str]]] = {
    "train": (train_clgnet.main, []),
    "train unet": (train_clgnet.main, ["--model", "unet"]),
    "banding": (train_banding.main, ["--checkpoint", "some.ckpt"]),
}
TAGS = {
    "call": "seed: !!python/object/apply:os.mkdir [exploded]",
    "new": "model: !!python/object/new:os.mkdir [exploded]",
    "name": "seed: !!python/name:os.mkdir",
    "no flags": "- 1",
    "no YAML": "a: b: c",
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_objects_in_yaml_are_refused_in_one_line(
    command: str,
    tag: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(TAGS[tag])
    main, flags = COMMANDS[command]
    assert main([*flags, "--config", "run.yaml"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith("error: run.yaml: ")
    Path("fastmri_dirs.yaml").write_text(TAGS[tag])
    assert main(flags) == 1
    assert capsys.readouterr().err.startswith("error: fastmri_dirs.yaml: ")
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", ["plugins", "callbacks", "logger", "profiler", "strategy"])
def test_classes_in_yaml_are_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_dataset: Path
) -> None:
    """No flag takes a class, and words are never imported."""
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(f"{name}: {{class_path: os.mkdir, init_args: {{path: exploded}}}}")
    command = ["--config", "run.yaml", "--data_path", str(small_dataset), "--alpha", "0"]
    try:
        status = train_clgnet.main(command)
    except SystemExit as error:
        status = int(error.code or 0)
    assert status == (1 if name == "strategy" else 2)
    assert not Path("exploded").exists()
