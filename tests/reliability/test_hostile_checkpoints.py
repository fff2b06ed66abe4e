"""Untrusted checkpoints: no code runs, and an error names the file."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from banding import train_banding
from fastmri_clgnet import export, reconstruct, train_clgnet
from fastmri_clgnet.convert import main as convert
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.safe_loading import load_tensors
from tests.helpers import MASK, QUIET, SMALL


class Bomb:
    """Something that runs when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Create a folder."""
        return os.mkdir, ("exploded",)


@pytest.fixture
def good(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A good checkpoint's contents; the working folder is empty."""
    monkeypatch.chdir(tmp_path)
    contents: dict[str, Any] = torch.load(small_run / "checkpoints" / "last.ckpt")
    return contents


def with_arguments(contents: dict[str, Any], **arguments: object) -> dict[str, Any]:
    """The checkpoint with other arguments of its model's constructor."""
    return {**contents, "hyper_parameters": {**contents["hyper_parameters"], **arguments}}


def truncated(path: Path, contents: dict[str, Any]) -> None:
    """Half a file."""
    torch.save(contents, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


Writer = Callable[[Path, dict[str, Any]], object]
HOSTILE: dict[str, Writer] = {
    "code": lambda path, good: torch.save({**good, "callbacks": Bomb()}, path),
    "code in a legacy file": lambda path, good: torch.save(
        {**good, "callbacks": Bomb()}, path, _use_new_zipfile_serialization=False
    ),
    "bare pickle": lambda path, good: path.write_bytes(pickle.dumps(Bomb())),
    "truncated": truncated,
    "empty": lambda path, good: path.write_bytes(b""),
    "list": lambda path, good: torch.save([1, 2], path),
    "picture": lambda path, good: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "zip of something": lambda path, good: (
        shutil.make_archive(str(path), "zip", ".") and Path(f"{path}.zip").rename(path)
    ),
}
# these have this library's form, and a model would be made from them
HOSTILE_MODELS: dict[str, Writer] = {
    "no tensors": lambda path, good: torch.save({**good, "state_dict": {"x": "y"}}, path),
    "other sizes": lambda path, good: torch.save(with_arguments(good, chans=8), path),
    "class": lambda path, good: torch.save(
        with_arguments(good, loss={"class_path": "os.mkdir", "init_args": {"path": "x"}}), path
    ),
    "unknown model": lambda path, good: torch.save(
        {**good, "fastmri_clgnet_model": "os.system"}, path
    ),
}


@pytest.fixture
def commands(small_dataset: Path) -> dict[str, Callable[[str], int]]:
    """Every command that accepts a checkpoint."""
    data = ["--data_path", str(small_dataset), *QUIET]
    training = [*data, *SMALL, "--max_epochs", "1"]
    volumes = ["--data_path", str(small_dataset / "singlecoil_val"), "--output_path", "out"]

    def resume(path: str) -> int:
        folder = Path("clgnet/singlecoil/checkpoints")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "last.ckpt")
        status = train_clgnet.main(training)
        (folder / "last.ckpt").unlink()  # so that the others start without it
        return status

    return {
        "continue": lambda path: train_clgnet.main([*training, "--ckpt_path", path]),
        "resume": resume,
        "test": lambda path: train_clgnet.main(
            [*training, "--mode", "test", "--test_split", "val", "--ckpt_path", path]
        ),
        "vgg": lambda path: train_clgnet.main([*training, "--alpha", "1", "--vgg_weights", path]),
        "reconstruct": lambda path: reconstruct.main(["--checkpoint", path, *volumes, *MASK]),
        "export": lambda path: export.main([path, "weights"]),
        "banding": lambda path: train_banding.main([*data, "--checkpoint", path]),
    }


@pytest.mark.parametrize("kind", [*HOSTILE, *HOSTILE_MODELS])
def test_every_command_refuses_it_in_one_line(
    kind: str,
    good: dict[str, Any],
    commands: dict[str, Callable[[str], int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    writer = {**HOSTILE, **HOSTILE_MODELS}[kind]
    writer(Path("hostile.ckpt"), good)
    for name, command in commands.items():
        # all load in the same way; training makes the model of its flags, not the file's
        if kind != "code" and name not in (
            ("export",) if kind in HOSTILE_MODELS else ("continue", "export")
        ):
            continue
        assert command("hostile.ckpt") == 1, name
        errors = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
        assert len(errors) == 1, name
        assert ("last.ckpt" if name == "resume" else "hostile.ckpt") in errors[0], name
    assert not Path("exploded").exists()
    assert not Path("out").exists()


def test_the_message_does_not_advise_unsafe_loading(good: dict[str, Any]) -> None:
    HOSTILE["code"](Path("code.ckpt"), good)
    with pytest.raises(InputError) as error:
        load_tensors(Path("code.ckpt"), "a checkpoint")
    assert "posix.mkdir" in str(error.value)
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize("text", ["# notes", "notes", '{"a": 1}', "alpha: 0", "cnotes", ""])
def test_a_text_file_is_reported_as_no_checkpoint(text: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_tensors(path, "a checkpoint")
    reason = "not a checkpoint: empty, or not begun as torch.save begins a file"
    assert str(error.value) == f"{path}: {reason}; expected a checkpoint"


def test_exported_weights_that_do_not_fit(
    good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(good, "good.ckpt")
    assert export.main(["good.ckpt", "weights"]) == 0
    arguments = json.loads(Path("weights.json").read_text())
    for name, value in {
        "chans": 5,
        "wavelet": ["haar"],
        "num_blocks": -1,
        "in_chans": 0,
    }.items():
        text = json.dumps({**arguments, "arguments": {**arguments["arguments"], name: value}})
        Path("weights.json").write_text(text)
        assert export.main(["weights.safetensors", "again"]) == 1
        assert "error: weights.safetensors: does not fit" in capsys.readouterr().err
    save_file({"x": torch.zeros(1)}, "weights.safetensors")
    Path("weights.json").write_text(json.dumps(arguments))
    assert export.main(["weights.safetensors", "again"]) == 1
    size = (8 << 30).to_bytes(8, "little")  # of the header, says a file of 16 bytes
    Path("weights.safetensors").write_bytes(size + bytes(8))
    assert export.main(["weights.safetensors", "again"]) == 1
    assert "weights.safetensors: not a safetensors file" in capsys.readouterr().err


def test_pickles_among_arrays_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    monkeypatch.chdir(tmp_path)
    Path("arrays/train").mkdir(parents=True)
    np.save("arrays/train/a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez("arrays/train/b.npz", kspace=np.array([Bomb()], dtype=object))
    flags = ["--from", "numpy", "--axes", "slice", "row", "column"]
    assert convert(["arrays", "out", *flags]) == 1
    printed = capsys.readouterr()
    for name in ("a.npy", "b.npz"):
        assert f"{name}: not a NumPy array that can be read" in printed.err + printed.out
    assert not Path("exploded").exists()
