"""The benchmark of weights, on small data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fastmri_clgnet import example_slice
from fastmri_clgnet.benchmark import main
from fastmri_clgnet.benchmarks.weights import BASELINE, CASES, weights
from fastmri_clgnet.train_clgnet import main as train
from tests.helpers import QUIET, host_evaluates


def test_reconstructs_evaluates_and_pictures_every_case(
    small_run: Path,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for case in [*CASES][1:-1]:  # two are enough
        monkeypatch.delitem(CASES, case)
    data, out = small_dataset / "singlecoil_val", tmp_path / "out"
    command = ["weights", "--data_path", str(data), "--output_path", str(out), "--device", "cpu"]
    best = str(small_run / "checkpoints" / "best.ckpt")
    np.save(tmp_path / "own.npy", example_slice().kspace)  # the package's slice once more
    command += ["--scans", str(tmp_path / "own.npy")]
    assert main([*command, "--weights", "Ours", best]) == 0
    written = json.loads((out / "weights.json").read_text())
    for case in CASES:
        rows = written[case]["rows"]
        assert list(rows) == [f"all, {BASELINE}", "all, Ours"]
        # the host's evaluation of the same files
        for method in (BASELINE, "Ours"):
            row = rows[f"all, {method}"]
            theirs = host_evaluates(data, out / case / method, "singlecoil")
            for name, column in (("NMSE", "NMSE"), ("PSNR", "PSNR (dB)"), ("SSIM", "SSIM")):
                assert row[column] == pytest.approx(theirs[name], rel=1e-3)
            assert row["PSNR from"] <= row["PSNR (dB)"] <= row["PSNR to"]
            assert row["volumes"] == 2
        for reason in ("best", "median", "worst"):
            assert (out / f"{case}_{reason}.png").is_file()
        assert (out / f"raw_slice_{case}.png").is_file()
        raw = written["raw_slice"]["rows"][f"{case}, {BASELINE}"]
        assert 20 < raw["PSNR (dB)"] < 27
        own = written["own"]["rows"][f"{case}, {BASELINE}"]  # a mask of its own, by its name
        assert own["PSNR (dB)"] == pytest.approx(raw["PSNR (dB)"], abs=2)
        assert (out / f"own_{case}.png").is_file()
    capsys.readouterr()
    # nothing is reconstructed twice
    assert main([*command, "--weights", "Ours", best]) == 0
    assert "Reconstructing" not in capsys.readouterr().err


def test_weights_of_one_coil_have_tables_without_the_raw_slice(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in [*CASES][1:]:
        monkeypatch.delitem(CASES, case)
    data, root = ["--data_path", str(small_dataset)], tmp_path / "run"
    flags = ["--model", "dccnn", *data, *QUIET, "--default_root_dir", str(root)]
    assert train([*flags, "--max_steps", "1", "--limit_val_batches", "1"]) == 0
    val, out = small_dataset / "singlecoil_val", tmp_path / "out"
    tables = weights(
        val, weights={"DCCNN": str(root / "checkpoints" / "best.ckpt")}, output_path=out,
        device="cpu",
    )  # fmt: skip
    assert list(tables) == ["4x_random", "raw_slice"]
    assert list(tables["4x_random"].rows) == ["all, zero-filled", "all, DCCNN"]
    assert list(tables["raw_slice"].rows) == ["4x_random, zero-filled"]
    assert "left out: DCCNN (" in str(tables["raw_slice"])


def test_bad_weights_are_refused(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kspace = example_slice().kspace
    whole, undersampled = tmp_path / "whole.npy", tmp_path / "half.npy"
    named_like_masks = tmp_path / "8x_random.npy"
    np.save(whole, kspace)
    np.save(named_like_masks, kspace)
    np.save(undersampled, kspace * (np.arange(256) % 2))
    command = ["weights", "--data_path", str(small_dataset / "singlecoil_val")]
    command += ["--output_path", str(tmp_path / "out")]
    for words, message in (
        (["--weights", "Ours", "nowhere.ckpt"], "nowhere.ckpt: no such weights"),
        (["--weights", BASELINE, "nowhere.ckpt"], "none of them labelled zero-filled"),
        (["--scans", "nowhere.dat"], "nowhere.dat: no such file"),
        (["--scans", str(undersampled)], "half.npy: is undersampled"),
        (["--scans", str(whole), str(whole)], "scans: expected files of different names"),
        (["--scans", str(named_like_masks)], "none of them named 4x_random"),
    ):
        assert main([*command, *words]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
