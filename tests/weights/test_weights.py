"""Weights that ship with the package: by name, wherever weights are accepted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from fastmri_clgnet import example_slice, load, reconstruct_scan
from fastmri_clgnet.__main__ import main as top
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.export import export
from fastmri_clgnet.inference.loading import read_model
from fastmri_clgnet.reconstruct import main as reconstruct
from fastmri_clgnet.train_clgnet import main as train
from fastmri_clgnet.weights import shipped
from tests.helpers import QUIET, SMALL


@pytest.fixture
def named(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model named "tiny", stored as the package's own weights are."""
    folder = tmp_path / "weights"
    export(small_run / "checkpoints" / "best.ckpt", folder / "tiny", half=True)
    monkeypatch.setattr("fastmri_clgnet.weights._FOLDER", folder)
    return folder / "tiny.safetensors"


def test_half_precision_is_rounded_once(named: Path, small_run: Path, tmp_path: Path) -> None:
    checkpoint = small_run / "checkpoints" / "best.ckpt"
    full, half = read_model(checkpoint).state, read_model(named).state
    for name, values in full.items():
        assert half[name].dtype == torch.float32
        expected = values.numpy().astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(half[name].numpy(), expected)
    sizes = [export(checkpoint, tmp_path / f"{h}", half=h)[0].stat().st_size for h in (False, True)]
    n_parameters = sum(values.numel() for values in full.values())
    assert sizes[0] - sizes[1] == pytest.approx(2 * n_parameters, abs=100)


def test_weights_too_large_for_half_precision_are_refused(small_run: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(small_run / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["state_dict"]["clgnet.pre.0.weight"] += 1e5
    torch.save(checkpoint, tmp_path / "large.ckpt")
    with pytest.raises(InputError, match=r"large\.ckpt: clgnet\.pre\.0\.weight is too large"):
        export(tmp_path / "large.ckpt", tmp_path / "out", half=True)
    assert not (tmp_path / "out.safetensors").exists()


def test_taken_by_name_everywhere(
    named: Path, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = example_slice()
    with pytest.warns(UserWarning, match="outside of what the weights were trained on"):
        image = reconstruct_scan(scan, "tiny")
    with pytest.warns(UserWarning, match="outside"):
        np.testing.assert_array_equal(image, reconstruct_scan(scan, named))
    flags = ["--data_path", str(small_dataset / "singlecoil_test"), "--checkpoint", "tiny"]
    out = tmp_path / "out"
    assert reconstruct([*flags, "--output_path", str(out)]) == 0
    assert (out / "e.h5").is_file()
    flags = [*SMALL, *QUIET, "--data_path", str(small_dataset), "--init_weights", "tiny"]
    flags += ["--default_root_dir", str(tmp_path / "run"), "--max_steps", "1"]
    assert train(flags) == 0
    assert "Starting with the weights of" in capsys.readouterr().out


def test_a_file_of_that_name_comes_first(
    named: Path, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").write_bytes((small_run / "checkpoints" / "best.ckpt").read_bytes())
    full = load(small_run / "checkpoints" / "best.ckpt").state_dict()
    for name, values in load("tiny").state_dict().items():
        torch.testing.assert_close(values, full[name], rtol=0, atol=0)


def test_listed(named: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert top(["weights"]) == 0
    printed = capsys.readouterr().out
    for text in ("tiny\n", "clgnet, 3,745 parameters", "singlecoil, AXT2, 4x", "tiny.md"):
        assert text in printed
    with pytest.raises(InputError, match=r"other: no such weights; .*, or one of tiny "):
        load("other")


def test_description_of_several_accelerations() -> None:
    training = read_model(shipped()["brain-varnet"]).training
    assert training == "multicoil, AXFLAIR AXT1 AXT2, 4x 8x, simulated k-space"


def test_every_shipped_file_has_arguments_and_a_card_that_names_it() -> None:
    for name, path in shipped().items():
        model = load(name)
        assert model.trained_on.keys() >= {"acquisitions", "accelerations", "simulated"}
        # brain was trained on one coil and on several
        assert ("challenge" in model.trained_on) == (name != "brain")
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card
        assert "diagnos" in card
    assert sum(path.stat().st_size for path in shipped().values()) < 6e6
