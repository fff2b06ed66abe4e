"""The function and the command evaluate: the host's numbers, intervals, differences, files."""

from __future__ import annotations

import csv
import json
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import fastmri
import h5py
import numpy as np
import pytest
from fastmri import evaluate as host

from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluate import main
from fastmri_clgnet.evaluation import metrics
from fastmri_clgnet.evaluation.evaluate import Evaluation, evaluate, folder_labels
from fastmri_clgnet.evaluation.results import METRICS, Summary, VolumeMetrics, caution
from fastmri_clgnet.evaluation.statistics import summarise
from fastmri_clgnet.formats.fastmri import TARGET_KEYS
from tests.helpers import small_volume

ACQUISITIONS = {"a.h5": "AXT1", "b.h5": "AXT2", "c.h5": "AXT2", "d.h5": "AXT2"}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """References that are higher than wide, and two folders of predictions that are wider."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("targets").mkdir()
    for seed, (name, acquisition) in enumerate(ACQUISITIONS.items()):
        kspace, _ = small_volume("singlecoil", seed)
        image = np.fft.fftshift(
            np.abs(np.fft.ifft2(kspace, norm="ortho")).astype(np.float32), axes=(1, 2)
        )
        write_fastmri_file(
            Path("targets") / name, kspace, image[:, 12:52, 4:36], acquisition=acquisition,
            attributes={"acceleration": 4 if name < "c" else 8},
        )  # fmt: skip
        for method, noise in (("one", 0.1), ("two", 0.2)):
            noisy = image + noise * image.max() * rng.standard_normal(image.shape)
            fastmri.save_reconstructions(
                {name: noisy[:, 10:54, 2:38].astype(np.float32)}, Path("predictions") / method
            )
    return tmp_path


def command(*more: str, predictions: tuple[str, ...] = ("predictions/one",)) -> list[str]:
    return [
        "--target-path", "targets", "--predictions-path", *predictions,
        "--challenge", "singlecoil", "--json", "out/e.json", "--resamples", "200", *more,
    ]  # fmt: skip


def evaluated(*methods: str, **options: Any) -> Evaluation:
    """Call the function, with few resamples."""
    paths = [Path("predictions", method) for method in methods]
    return evaluate(Path("targets"), paths, "singlecoil", resamples=200, **options)


@pytest.mark.usefixtures("folders")
@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")  # in runstats
@pytest.mark.parametrize("only", [{}, {"acquisition": "AXT2"}, {"acceleration": 4}])
def test_same_numbers_as_the_host(
    only: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluated("two", **only).summaries["all"]["two"]
    more = [word for name, value in only.items() for word in (f"--{name}", str(value))]
    capsys.readouterr()
    # the host's own command, with enough digits
    monkeypatch.setattr(
        sys, "argv", ["evaluate", "--target-path", "targets", "--predictions-path",
                      "predictions/two", "--challenge", "singlecoil", *more]
    )  # fmt: skip
    monkeypatch.delitem(sys.modules, "fastmri.evaluate")
    names = runpy.run_module("fastmri.evaluate", run_name="__main__")
    means, stds = names["metrics"].means(), names["metrics"].stddevs()
    printed = capsys.readouterr().out
    for name, value in found.items():
        assert value.mean == pytest.approx(float(means[name]), rel=1e-6)
        assert value.std == pytest.approx(float(stds[name]), rel=1e-6)
        shown = re.search(rf"\b{name} = (\S+)", printed)
        assert shown is not None
        assert float(shown[1]) == pytest.approx(value.mean, rel=1e-3)


@pytest.mark.usefixtures("folders")
def test_volumes_acquisitions_and_differences(capsys: pytest.CaptureFixture[str]) -> None:
    both = ("predictions/one", "predictions/two")
    assert main(command("--csv", "out/e.csv", predictions=both)) == 0
    found = json.loads(Path("out/e.json").read_text())
    volumes = {(v["method"], v["file"]): v for v in found["volumes"]}
    assert len(volumes) == 8
    for (method, name), volume in volumes.items():
        with h5py.File(f"targets/{name}") as file, h5py.File(f"predictions/{method}/{name}") as p:
            target = file["reconstruction_esc"][:, 4:36]  # 40 x 32, cropped to 32 x 32
            prediction = p["reconstruction"][:, 6:38, 2:34]
        assert volume["values"]["NMSE"] == pytest.approx(float(host.nmse(target, prediction)))
        assert volume["values"]["PSNR"] == pytest.approx(float(host.psnr(target, prediction)))
        assert volume["values"]["SSIM"] == pytest.approx(float(host.ssim(target, prediction)[0]))
        assert volume["acquisition"] == ACQUISITIONS[name]
        assert len(volume["slice_ssim"]) == 3
    assert found["settings"]["predictions_path"] == list(both)
    assert found["summaries"].keys() == {"all", "AXT1", "AXT2"}
    assert found["summaries"]["AXT1"]["one"]["SSIM"]["n"] == 1
    assert found["summaries"]["AXT1"]["one"]["SSIM"]["low"] is None
    difference = found["differences"]["all"]["two"]["PSNR"]
    pairs = [
        volumes["two", name]["values"]["PSNR"] - volumes["one", name]["values"]["PSNR"]
        for name in ACQUISITIONS
    ]
    assert difference["mean"] == pytest.approx(np.mean(pairs))
    assert min(pairs) <= difference["low"] <= difference["mean"] <= difference["high"] <= max(pairs)
    assert difference["high"] < 0  # twice the noise is worse in every volume
    printed = capsys.readouterr().out
    assert printed == f"{evaluated('one', 'two')}\n"
    assert "Paired differences: method - one" in printed
    assert f"{difference['mean']:+.2f} [{difference['low']:+.2f}" in printed
    with Path("out/e.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for row in rows:
        values = volumes[row["method"], row["file"]]["values"]
        assert all(float(row[name]) == value for name, value in values.items())


@pytest.mark.usefixtures("folders")
def test_the_command_reports_errors_and_continues(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.h5", "b.h5", "c.h5"):
        Path("predictions/one", name).write_bytes(b"noise")
    assert main(command("--csv", "out/e.csv")) == 1
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert "predictions/one/c.h5: not an HDF5 file" in errors[2]
    found = json.loads(Path("out/e.json").read_text())
    assert [volume["file"] for volume in found["volumes"]] == ["d.h5"]
    assert len(found["failures"]) == 3
    assert "all      one     1" in captured.out


@pytest.mark.usefixtures("folders")
def test_unreadable_references_are_named_and_the_rest_is_evaluated() -> None:
    Path("targets/b.h5").write_bytes(b"noise")
    Path("targets/.DS_Store").write_bytes(b"stray")
    Path("targets/more").mkdir()
    found = evaluated("one")
    assert [failure.partition(",")[0] for failure in found.failures] == [
        f"targets/{name}: not an HDF5 file" for name in (".DS_Store", "b.h5", "more")
    ]
    assert [volume.file for volume in found.volumes] == ["a.h5", "c.h5", "d.h5"]
    for name in ("a.h5", "c.h5", "d.h5"):
        Path("targets", name).unlink()
    with pytest.raises(InputError, match=r"targets/\.DS_Store: not an HDF5 file"):
        evaluated("one")


@pytest.mark.usefixtures("folders")
def test_bad_predictions_are_named() -> None:
    folder = Path("predictions/one")
    with h5py.File(folder / "a.h5", "r+") as file:
        file["reconstruction"][0, 0, 0] = np.nan
    with h5py.File(folder / "b.h5", "w") as file:
        file["reconstruction_esc"] = np.zeros((3, 32, 32), np.float32)
    with h5py.File(folder / "c.h5", "w") as file:
        file["reconstruction"] = np.zeros((2, 32, 32), np.float32)
    (folder / "d.h5").unlink()
    found = evaluated("one", "two")
    nan, key, shape, absent = found.failures
    assert "a.h5: reconstruction holds NaN" in nan
    assert key.endswith(
        "b.h5: no 'reconstruction' (the file holds: reconstruction_esc); expected a submission file"
    )
    assert "c.h5: reconstruction (2, 32, 32) does not fit the reference (3, 40, 32)" in shape
    assert "d.h5: no such file; expected one file per reference, of the same name" in absent
    # the other method is evaluated, without a comparison
    assert found.summaries.keys() == {"all", "AXT1", "AXT2"}
    assert found.summaries["all"].keys() == {"two"}
    assert found.differences == {"all": {}, "AXT1": {}, "AXT2": {}}


@pytest.mark.usefixtures("folders")
def test_whatever_is_wrong_with_a_prediction_is_its_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Text in place of images; and an error that nobody expected."""
    with h5py.File("predictions/one/a.h5", "w") as file:
        file["reconstruction"] = np.full((3, 32, 32), b"text")
    original, calls = metrics.volume_metrics, iter((False, True, False))

    def failing(target: np.ndarray, prediction: np.ndarray) -> object:
        if next(calls):
            raise KeyError("window")
        return original(target, prediction)

    monkeypatch.setattr(metrics, "volume_metrics", failing)
    found = evaluated("one")
    assert found.failures == [
        "predictions/one/a.h5: expected reconstruction (slices, height, width) of real numbers, "
        "got (3, 32, 32) |S4",
        "predictions/one/c.h5: cannot be used (KeyError: 'window')",
    ]
    assert [volume.file for volume in found.volumes] == ["b.h5", "d.h5"]


@pytest.mark.usefixtures("folders")
def test_the_wrong_challenge_gives_no_empty_table() -> None:
    one, other = TARGET_KEYS.values()
    for path in Path("targets").iterdir():
        with h5py.File(path, "r+") as file:
            file.move(*((one, other) if one in file else (other, one)))
    found = evaluated("one")
    assert str(found) == "No volume could be evaluated."
    assert len(found.failures) == 4
    assert all(failure.endswith("; is the challenge right?") for failure in found.failures)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--target-path", "nowhere"], "nowhere: no such folder; expected one"),
        (["--predictions-path", "nowhere"], "no such folder; expected submission files"),
        (["--predictions-path", "predictions/one", "predictions/one"], "given twice"),
        (["--acquisition", "T9"], "found: AXT1, acceleration 4; AXT2"),
        (["--labels", "a", "b"], "labels: expected a different name"),
        (["--resamples", "0"], "resamples 0"),
        (["--confidence", "95"], "a level such as 0.95"),
        (["--seed", "-1"], "seed -1: expected 0 or more"),
        (["--json", "."], ".: is a folder; expected the name of a file"),
    ],
)
@pytest.mark.usefixtures("folders")
def test_bad_flags(more: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(*more)) == 1
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("folders")
def test_several_processes_give_the_same() -> None:
    found = [evaluated("one", "two", num_processes=processes) for processes in (1, 2)]
    assert found[0].volumes == found[1].volumes
    assert found[0].summaries == found[1].summaries


def die(_: object) -> None:
    """End the process, as a system that is out of memory does."""
    os._exit(1)


@pytest.mark.slow
@pytest.mark.usefixtures("folders")
def test_a_process_that_dies_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmri_clgnet.evaluation.metrics._evaluate_one", die)
    with pytest.raises(InputError, match="a process was ended from outside"):
        evaluated("one", num_processes=2)


def test_interval_is_that_of_a_normal_mean() -> None:
    """For many volumes the bootstrap's interval is mean +- 1.96 std / sqrt(n)."""
    bootstrap = (0.95, 20_000, 0)
    values = np.random.default_rng(0).normal(30, 2, size=400)
    summary = summarise(list(values), *bootstrap)
    half = 1.96 * values.std(ddof=1) / np.sqrt(400)
    assert summary.mean == pytest.approx(values.mean())
    assert summary.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert summary.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert summarise(list(values), *bootstrap) == summary
    constant = summarise([1.0, 1.0, 1.0], *bootstrap)
    assert (constant.low, constant.high) == (1.0, 1.0)


@pytest.mark.usefixtures("folders")
def test_an_acceleration_that_is_stored_as_text_counts() -> None:
    with h5py.File("targets/a.h5", "a") as file:
        file.attrs["acceleration"] = "4"
    found = evaluated("one", acceleration=4)
    assert sorted({volume.file for volume in found.volumes}) == ["a.h5", "b.h5"]


@pytest.mark.parametrize(("n", "few"), [(1, False), (2, True), (4, True), (5, False)])
def test_intervals_over_few_volumes_come_with_a_caution(n: int, few: bool) -> None:
    """In any group; one volume has no interval."""
    of_few = summarise([float(value) for value in range(n)], 0.95, 100, 0)
    of_many = Summary(1.0, 1.0, 0.5, 1.5, 9)
    summaries = {
        "all": {"one": dict.fromkeys(METRICS, of_many)},
        "AXT2": {"one": dict.fromkeys(METRICS, of_few)},
    }
    settings = {"confidence": 0.95, "resamples": 100}
    volume = VolumeMetrics("one", "a.h5", "AXT2", {}, [])
    printed = str(Evaluation(settings, ["one"], [volume], summaries, {}, []))
    for text in (caution(summaries) or "", printed):
        assert ("fewer than 5 volumes" in text) == few
    assert ("One volume" in (caution({"all": {"one": {"nmse": of_few}}}) or "")) == (n == 1)


def test_labels_tell_folders_apart(tmp_path: Path) -> None:
    runs = [tmp_path / model / "singlecoil" / "reconstructions" for model in ("clgnet", "unet")]
    assert folder_labels(runs) == ["clgnet", "unet"]
    assert folder_labels(runs[:1]) == ["reconstructions"]
    assert folder_labels([tmp_path / "a", tmp_path / "a" / "b"]) == ["a", "b"]
    with pytest.raises(InputError, match="given twice"):
        folder_labels([tmp_path / "a", tmp_path / "b" / ".." / "a"])
