"""Files of flags that would make Python objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from banding import train_banding
from fastmri_clgnet import train_clgnet
from fastmri_clgnet.pl_modules.registry import MODELS
from fastmri_clgnet.train_clgnet import build_parser

COMMANDS = {
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
def test_classes_in_yaml_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(f"{name}: {{class_path: os.mkdir, init_args: {{path: exploded}}}}")
    with pytest.raises(SystemExit) as status:
        train_clgnet.main(["--config", "run.yaml"])
    assert status.value.code == 2
    assert "error: " in capsys.readouterr().err
    assert not Path("exploded").exists()


def test_no_flag_takes_a_class() -> None:
    parsers: list[ArgumentParser] = [build_parser(model) for model in MODELS]
    for parser in [*parsers, train_banding.build_parser()]:
        for action in parser._actions:
            kind = str(getattr(action, "_typehint", None) or action.type)
            for part in ("Callable", "Type[", "type[", "torch.", "pytorch_lightning", "fastmri"):
                assert part not in kind, action.dest
