"""The report command: what stands in the page, for runs and folders; errors."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from fastmri_clgnet.reconstruct import main as reconstruct
from fastmri_clgnet.reconstruct import read_settings
from fastmri_clgnet.report.__main__ import main
from fastmri_clgnet.report.curves import read_curves
from fastmri_clgnet.report.panels import make_frames
from fastmri_clgnet.report.slices import Choice, Volume
from tests.helpers import MASK
from tests.report.conftest import HOSTILE, Folders

CPU = ["--device", "cpu"]


class Texts(HTMLParser):
    """Collects headings, addresses and tags of a page."""

    def __init__(self, page: str) -> None:
        """Parse."""
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note tag and addresses."""
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data


def test_report_of_a_run_in_an_empty_folder(
    small_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    assert main([str(run), "--figure", "figures/f.pdf", *CPU]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"run", "report.html", "figures"}
    assert Path("figures/f.pdf").read_bytes().startswith(b"%PDF")
    page = Texts(Path("report.html").read_text(encoding="utf-8"))
    assert not [a for a in page.addresses if not a.startswith(("data:", "#"))]
    for heading in ("Training curves", "Metrics", "Worst: ", "Median: ", "Best: "):
        assert heading in page.text
    assert f"python -m fastmri_clgnet.train_clgnet --config {run}/config.yaml" in page.text
    assert f"python -m fastmri_clgnet.report {run} --figure" in page.text
    # the numbers are the run's own validation
    logged = json.loads((run / "metrics.json").read_text())
    for method in ("zero-filled", "CLGNet"):
        assert f"{logged[method]['ssim']:.4f} [" in page.text
    # the second report makes nothing again
    made = run / "validation_reconstructions" / "c.h5"
    time = made.stat().st_mtime_ns
    assert main([str(run), *CPU]) == 0
    assert made.stat().st_mtime_ns == time
    assert "Report: report.html" in capsys.readouterr().out


def test_a_run_shows_its_checkpoint_and_not_other_files(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the volumes' names in reconstructions/, and an earlier checkpoint's, are not it."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    for name in ("c.h5", "d.h5"):
        shutil.copy(run / "reconstructions" / "e.h5", run / "reconstructions" / name)
    command = [str(run), "--no-zero-filled", *CPU]
    assert main(command) == 0
    ssim = json.loads((run / "metrics.json").read_text())["CLGNet"]["ssim"]
    assert f"{ssim:.4f} [" in Path("report.html").read_text(encoding="utf-8")
    # the training goes on
    best = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(best, weights_only=False)
    for values in checkpoint["state_dict"].values():
        if values.is_floating_point():
            values.mul_(1.5)
    torch.save(checkpoint, best)
    made = run / "validation_reconstructions" / "c.h5"
    before = read_settings(made)
    assert main(command) == 0
    after = read_settings(made)
    assert before is not None
    assert after is not None
    assert before["weights"] != after["weights"]
    assert f"{ssim:.4f} [" not in Path("report.html").read_text(encoding="utf-8")


def test_a_run_without_a_checkpoint_shows_its_reconstructions(
    small_run: Path, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    shutil.rmtree(run / "checkpoints")
    command = [str(run), "--output", str(tmp_path / "page.html"), "--no-zero-filled", *CPU]
    assert main(command) == 1
    assert "nor a checkpoint" in capsys.readouterr().err
    for name in ("c.h5", "d.h5"):
        with (
            h5py.File(small_dataset / "singlecoil_val" / name) as file,
            h5py.File(run / "reconstructions" / name, "w") as out,
        ):
            out["reconstruction"] = file["reconstruction_esc"][()] * 1.1
    assert main(command) == 0
    assert not (run / "validation_reconstructions").exists()


def test_report_of_folders_names_what_is_wrong(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reconstructions say their mask, so that zero-filled images can stand beside them."""
    targets, noisy = small_dataset / "multicoil_val", tmp_path / "noisy"
    noisy.mkdir()
    for name in ("c.h5", "d.h5"):
        with h5py.File(targets / name) as file, h5py.File(noisy / name, "w") as out:
            out["reconstruction"] = file["reconstruction_rss"][()] * 1.1
    own = tmp_path / "own"
    command = ["--model", "zero_filled", "--data_path", str(targets), "--output_path", str(own)]
    assert reconstruct([*command, *MASK, "--precision", "bf16-mixed"]) == 0
    (noisy / "d.h5").unlink()
    output = tmp_path / "a" / "page.html"
    flags = ["--target-path", str(targets), "--output", str(output), *CPU]
    assert main([str(noisy), str(own), *flags]) == 1
    assert "noisy/d.h5: no such file" in capsys.readouterr().err
    page = Texts(output.read_text(encoding="utf-8"))
    assert "noisy/d.h5: no such file" in page.text
    assert "--model zero_filled --mask_type random --accelerations 4" in page.text
    assert "--center_fractions 0.08 --precision bf16-mixed" in page.text
    assert "Paired differences: method - noisy" in page.text


def test_names_are_text_and_not_markup(folders: Folders, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    flags = ["--target-path", str(folders.targets), "--output", str(output), "--title", HOSTILE]
    assert main([str(folders.good), *flags, "--labels", HOSTILE]) == 0
    text = output.read_text(encoding="utf-8")
    page = Texts(text)
    assert page.tags.count("script") == 2
    assert "<img src=x" not in text
    assert "throw 1" in page.text
    assert f"{HOSTILE}.h5" in page.text
    assert "do not say their mask" in page.text


def test_a_run_without_its_data_shows_curves_and_settings(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data_path"] = "nowhere"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    output = tmp_path / "page.html"
    for flag in (["--figure", str(tmp_path / "f.png")], ["--slices", "c.h5:0"]):
        assert main([str(run), "--output", str(output), *flag, *CPU]) == 1
        assert "give --target-path, the folder of its fully" in capsys.readouterr().err
        assert not output.exists()
    assert main([str(run), "--output", str(output), *CPU]) == 0
    page = Texts(output.read_text(encoding="utf-8"))
    assert "is not where its settings say" in page.text
    assert "validation at the end of the training" in page.text
    assert "Training curves" in page.text


def test_names_in_tensorboard_are_stable(small_run: Path) -> None:
    curves = read_curves(small_run / "tensorboard")
    assert curves.keys() == {
        "train_loss", "train_loss/l1", "validation_loss", "val_metrics/nmse", "val_metrics/psnr",
        "val_metrics/ssim", "lr-Adam", "epoch",
    }  # fmt: skip
    steps, values = curves["validation_loss"]
    assert steps.tolist() == [2, 5]
    assert np.isfinite(values).all()


def test_pages_stay_small(tmp_path: Path) -> None:
    """Volumes that are too large for the page are thinned out, the chosen slices are kept."""
    rng = np.random.default_rng(0)
    target = rng.random((40, 64, 64), dtype=np.float32)
    noisy = target + 0.1 * rng.standard_normal(target.shape).astype(np.float32)
    volume = Volume(target, {"a": noisy, "b": noisy}, 1.0, 0.3)
    choices = [Choice("worst", "v.h5", 7), Choice("best", "v.h5", 39)]
    sizes, counts = [], []
    for limit in (10**7, 3 * 10**5, 5 * 10**4):
        frames, panels = make_frames(choices, {"v.h5": volume}, limit)
        assert {7, 39} <= frames["v.h5"].keys()
        assert [panel["choice"] for panel in panels] == choices
        counts.append(len(frames["v.h5"]))
        sizes.append(len(json.dumps([frames, [panel["frame"] for panel in panels]])))
        assert sizes[-1] < 1.05 * limit
    assert counts[0] == 40 > counts[1] > counts[2] == 2


ERRORS = {
    "neither": ([], "expected a run folder of train_clgnet"),
    "no target": (["FOLDER"], "folders of reconstructions need --target-path"),
    "no such target": (["FOLDER", "--target-path", "nowhere"], "nowhere: no such folder"),
    "slice": (["FOLDER", "TARGETS", "--slices", "plain.h5:8"], "--slices plain.h5:8: expected"),
    "zoom": (["FOLDER", "TARGETS", "--figure", "f.png", "--zoom", "30", "0", "9"], "--zoom 30 0 9"),
    "figure": (["FOLDER", "TARGETS", "--figure", "f.gif"], "ending in .png or .pdf"),
    "other data": (["TARGETS_ALONE", "TARGETS"], "nothing of"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_is_one_error(
    name: str,
    folders: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words, message = ERRORS[name]
    places = {
        "FOLDER": [str(folders.good)],
        "TARGETS": ["--target-path", str(folders.targets)],
        "TARGETS_ALONE": [str(folders.targets)],
    }
    arguments = [each for word in words or ["."] for each in places.get(word, [word])]
    assert main([*arguments, *CPU]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_holds_the_pages_parts(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    copy = tmp_path / "checkout"
    names = ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")
    shutil.copytree(root / "fastmri_clgnet", copy / "fastmri_clgnet")
    for name in names:
        shutil.copy(root / name, copy)
    program = "import setuptools.build_meta as b; b.build_wheel('.')"
    run = subprocess.run([sys.executable, "-c", program], cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (wheel,) = copy.glob("*.whl")
    parts = {path.name for path in (root / "fastmri_clgnet" / "report").glob("*.[hcj]*")}
    assert {"template.html", "style.css", "viewer.js"} <= parts
    for part in ("template.html", "style.css", "viewer.js"):
        assert f"fastmri_clgnet/report/{part}" in zipfile.ZipFile(wheel).namelist()


def test_script_is_the_one_that_the_policy_allows(folders: Folders, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    flags = ["--target-path", str(folders.targets), "--output", str(output)]
    assert main([str(folders.good), *flags]) == 0
    text = output.read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
