"""The report, as a function and as a command: the page's contents, for runs and folders."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from fastmri import evaluate as host
from PIL import Image

from fastmri_clgnet.data import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.folder import reconstruct
from fastmri_clgnet.inference.submission import read_settings
from fastmri_clgnet.report import main
from fastmri_clgnet.reporting.build import report
from fastmri_clgnet.reporting.curves import read_curves
from fastmri_clgnet.reporting.slices import Choice, ShownVolume, make_frames
from tests.reporting.conftest import HOSTILE, Folders

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
    printed = capsys.readouterr().out
    assert re.fullmatch(r"Figure: figures/f.pdf\nReport: report.html \(\d\.\d MB\)\n", printed)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "report.html", "figures"}
    assert Path("figures/f.pdf").read_bytes().startswith(b"%PDF")
    page = Texts(Path("report.html").read_text(encoding="utf-8"))
    assert not [a for a in page.addresses if not a.startswith(("data:", "#"))]
    for heading in ("Training curves", "Metrics", "Worst: ", "Median: ", "Best: "):
        assert heading in page.text
    assert f"python -m fastmri_clgnet.train_clgnet --config {run}/config.yaml" in page.text
    assert f"fastmri_clgnet.report {run} --figure figures/f.pdf --device cpu\n" in page.text
    # the numbers equal those of the run's validation
    logged = json.loads((run / "metrics.json").read_text())
    for method in ("zero-filled", "CLGNet"):
        assert f"{logged[method]['ssim']:.4f} [" in page.text
    assert "Intervals over fewer than 5 volumes say little" in page.text
    # the second report reconstructs nothing again
    made = run / "validation_reconstructions" / "c.h5"
    time = made.stat().st_mtime_ns
    written = report([run], device="cpu", zero_filled=False)
    assert made.stat().st_mtime_ns == time
    assert (written.path, written.failures) == (Path("report.html"), [])
    text = written.path.read_text(encoding="utf-8")
    assert written.n_bytes == len(text.encode())
    assert f"fastmri_clgnet.report {run} --no_zero_filled --device cpu\n" in text


def test_a_run_shows_its_checkpoint_and_not_other_files(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows no files with the volumes' names in reconstructions/, or by an old checkpoint."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    for name in ("c.h5", "d.h5"):
        shutil.copy(run / "reconstructions" / "e.h5", run / "reconstructions" / name)
    report([run], zero_filled=False, device="cpu")
    ssim = json.loads((run / "metrics.json").read_text())["CLGNet"]["ssim"]
    assert f"{ssim:.4f} [" in Path("report.html").read_text(encoding="utf-8")
    # the training continues
    best = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(best, weights_only=False)
    for values in checkpoint["state_dict"].values():
        if values.is_floating_point():
            values.mul_(1.5)
    torch.save(checkpoint, best)
    made = run / "validation_reconstructions" / "c.h5"
    before = read_settings(made)
    report([run], zero_filled=False, device="cpu")
    after = read_settings(made)
    assert before is not None
    assert after is not None
    assert before["weights"] != after["weights"]
    assert f"{ssim:.4f} [" not in Path("report.html").read_text(encoding="utf-8")


def test_a_run_without_a_checkpoint_is_refused(small_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(InputError, match=r"no checkpoint .* give a folder of reconstructions"):
        report([run], tmp_path / "page.html", zero_filled=False)


def test_report_of_folders_names_what_is_wrong(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reconstructions record their mask, so zero-filled images can be added."""
    targets, noisy = small_dataset / "multicoil_val", tmp_path / "noisy"
    noisy.mkdir()
    for name in ("c.h5", "d.h5"):
        with h5py.File(targets / name) as file, h5py.File(noisy / name, "w") as out:
            out["reconstruction"] = file["reconstruction_rss"][()] * 1.1
    own = tmp_path / "own"
    reconstruct(targets, own, model="zero_filled", mask=Mask(), precision="bf16-mixed")
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
    report([folders.good], output, target_path=folders.targets, title=HOSTILE, labels=[HOSTILE])
    text = output.read_text(encoding="utf-8")
    page = Texts(text)
    assert page.tags.count("script") == 2
    # the policy allows exactly this script
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "<img src=x" not in text
    assert "throw 1" in page.text
    assert f"{HOSTILE}.h5" in page.text
    assert "do not record their mask" in page.text


def test_a_run_without_its_data_shows_curves_and_settings(small_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data_path"] = "nowhere"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    output = tmp_path / "page.html"
    for asked in ({"figure": tmp_path / "f.png"}, {"slices": ["c.h5:0"]}):
        with pytest.raises(InputError, match="give target_path, the folder of its fully"):
            report([run], output, **asked)
        assert not output.exists()
    report([run], output)
    page = Texts(output.read_text(encoding="utf-8"))
    assert "is not at the path in its settings" in page.text
    assert "validation at the end of the training" in page.text
    logged = json.loads((run / "metrics.json").read_text())
    assert f"{logged['CLGNet']['psnr']:.4g}" in page.text
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


def test_captions_are_fastmris_metrics_of_the_slice(folders: Folders, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    paths = [folders.good, folders.bad]
    report(paths, output, target_path=folders.targets, slices=["plain.h5:3"])
    text = output.read_text(encoding="utf-8")
    (frames,) = re.findall(r'id="frames">(.*?)</script>', text, re.DOTALL)
    shown = json.loads(html.unescape(frames))["plain.h5"]
    with h5py.File(folders.targets / "plain.h5") as file:
        target = file["reconstruction_esc"][()]
    for index, (good, bad, _) in shown.items():
        for part, folder in ((good, folders.good), (bad, folders.bad)):
            with h5py.File(folder / "plain.h5") as file:
                image = file["reconstruction"][int(index)]
            one = target[int(index)]
            psnr = host.psnr(one, image, maxval=target.max())
            ssim = float(host.ssim(one[None], image[None], maxval=target.max())[0])
            assert part["name"] == folder.name
            assert part["caption"] == f"{psnr:.2f} dB, SSIM {ssim:.3f}"


def test_pages_stay_small(tmp_path: Path) -> None:
    """Volumes that are too large for the page lose slices, but not the chosen ones."""
    rng = np.random.default_rng(0)
    target = rng.random((40, 64, 64), dtype=np.float32)
    noisy = target + 0.1 * rng.standard_normal(target.shape).astype(np.float32)
    ssim = [0.5] * 40
    volume = ShownVolume(target, {"a": noisy, "b": noisy}, {"a": ssim, "b": ssim}, 1.0, 0.3)
    choices = [Choice("worst", "v.h5", 7), Choice("best", "v.h5", 39)]
    sizes, counts = [], []
    for limit in (10**7, 3 * 10**5, 5 * 10**4):
        frames = make_frames(choices, {"v.h5": volume}, limit)
        assert {7, 39} <= frames["v.h5"].keys()
        counts.append(len(frames["v.h5"]))
        sizes.append(len(json.dumps([frames, frames["v.h5"][7], frames["v.h5"][39]])))
        assert sizes[-1] < 1.05 * limit
    assert counts[0] == 40 > counts[1] > counts[2] == 2


ERRORS = {
    "neither": ([], "expected a run folder of train_clgnet"),
    "no target": (["FOLDER"], "folders of reconstructions need target_path"),
    "no such target": (["FOLDER", "--target-path", "nowhere"], "nowhere: no such folder"),
    "slice": (["FOLDER", "TARGETS", "--slices", "plain.h5:8"], "slices plain.h5:8: expected"),
    "zoom": (["FOLDER", "TARGETS", "--figure", "f.png", "--zoom", "30", "0", "9"], "zoom 30 0 9"),
    "blind": (["FOLDER", "TARGETS", "--blind", "key.json"], "blind: needs several reconstructions"),
    "processes": (["FOLDER", "TARGETS", "--num-processes", "0"], "num_processes 0: expected 1"),
    "output": (["FOLDER", "TARGETS", "--output", "."], "is a folder; expected the name of a file"),
    "figure": (["FOLDER", "TARGETS", "--figure", "f.gif"], "ending in .png or .pdf"),
    "other data": (["TARGETS_ALONE", "TARGETS"], "no volume could"),
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


def test_a_narrow_window_shows_the_background(folders: Folders, tmp_path: Path) -> None:
    """White is a part of the reference's 99.5th percentile; the metrics stay."""
    pages = []
    for window in (1.0, 0.15):
        path = tmp_path / f"{window}.html"
        report(
            [folders.bad, folders.good], path, target_path=folders.targets, slices=["plain.h5:3"],
            window=window,
        )  # fmt: skip
        pages.append(path.read_text(encoding="utf-8"))
    with h5py.File(folders.targets / "plain.h5") as file:
        white = float(np.percentile(file["reconstruction_esc"][()], 99.5))
    assert f"Images 0 to {white:.3g};" in pages[0]
    assert f"Images 0 to {0.15 * white:.3g};" in pages[1]
    assert "--window 0.15" in pages[1] and "--window" not in pages[0]
    with pytest.raises(InputError, match=r"window 0\.0: expected more than 0"):
        report([folders.bad], tmp_path / "a.html", target_path=folders.targets, window=0.0)


def test_a_blind_comparison_names_nothing(folders: Folders, tmp_path: Path) -> None:
    """Only the key tells which image is whose; the images are those that it says."""
    page, key = tmp_path / "blind.html", tmp_path / "key" / "key.json"
    command = [str(folders.good), str(folders.bad), "--target-path", str(folders.targets)]
    command += ["--labels", "sharp", "noisy", "--slices", "plain.h5:3"]
    assert main([*command, "--output", str(page), "--blind", str(key), "--window", "0.5"]) == 0
    text = page.read_text(encoding="utf-8")
    seen = re.sub(r"data:image[^\"&]*|<script>.*?</script>", "", text, flags=re.S)
    for revealing in ("sharp", "noisy", "good", "SSIM", "dB", "error of", "Worst", str(key)):
        assert revealing not in seen
    names = json.loads(key.read_text())
    assert names.keys() == {"plain.h5", f"{HOSTILE}.h5"}
    found = json.loads(re.search(r'id="frames">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    frame = found["plain.h5"]["3"]
    assert [part["name"] for part in frame] == ["A", "B", "target"]
    assert all(part.keys() == {"name", "caption", "image"} for part in frame)
    roughness = {}
    for part in frame[:2]:
        picture = Image.open(io.BytesIO(base64.b64decode(part["image"].partition(",")[2])))
        roughness[names["plain.h5"][part["name"]]] = np.abs(
            np.diff(np.asarray(picture, dtype=np.float64), axis=0)
        ).mean()
    assert roughness["noisy"] > 1.2 * roughness["sharp"]
    again = [*command, "--output", str(tmp_path / "b.html"), "--blind"]
    assert main([*again, str(key)]) == 1  # another order would make the first page useless
    assert names == json.loads(key.read_text())
    key = tmp_path / "other.json"
    (tmp_path / "c.html").mkdir()
    assert main([*command, "--output", str(tmp_path / "c.html"), "--blind", str(key)]) == 1
    key.unlink(missing_ok=True)
    with pytest.raises(InputError, match="blind and figure"):
        report([folders.good], tmp_path / "b.html", figure="a.png", blind=key)
    with pytest.raises(InputError, match="needs several reconstructions"):
        report([folders.good], tmp_path / "b.html", target_path=folders.targets, blind=key)
    assert not (tmp_path / "b.html").exists()
