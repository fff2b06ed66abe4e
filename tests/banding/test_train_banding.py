"""`python -m banding.train_banding` on small data: fine-tunes, resumes, hands the model back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from banding import demo, score, train_banding
from fastmri_clgnet import train_clgnet
from tests.helpers import QUIET, SMALL

FLAGS = [*QUIET, "--batch_size", "1", "--log_every_n_steps", "1", "--adversary_chans", "4"]
NETWORKS = {
    "clgnet": SMALL,
    "unet": ["--chans", "4", "--num_pool_layers", "2"],
    "dccnn": [],
}


@pytest.mark.parametrize("model", NETWORKS)
def test_fine_tunes_resumes_and_hands_back_the_plain_model(
    model: str,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data_path", str(small_dataset), "--limit_train_batches", "2"]
    plain = ["--model", model, *NETWORKS[model], *QUIET, *data]
    assert train_clgnet.main([*plain, "--batch_size", "2", "--max_epochs", "1"]) == 0
    source = Path(model) / "singlecoil" / "checkpoints" / "last.ckpt"
    command = ["--checkpoint", str(source), *FLAGS, *data]
    assert train_banding.main([*command, "--max_epochs", "1"]) == 0
    root = Path("banding") / model / "singlecoil"
    capsys.readouterr()
    assert train_banding.main([*command, "--max_epochs", "2"]) == 0
    printed = capsys.readouterr().out
    assert "Continuing from" in printed
    assert "epoch 2" in printed and "epoch 1 " not in printed
    assert (root / "bands.png").is_file()
    # both networks step once a batch
    last = torch.load(root / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 2 * 2 * 2
    metrics = json.loads((root / "metrics.json").read_text())
    for moment in ("before", "after"):
        assert set(metrics[moment]) >= {"banding_score", "val_metrics/ssim"}
        assert f"{metrics[moment]['banding_score']:.4f}" in printed
    events = EventAccumulator(str(root / "tensorboard"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"banding_score", "adversary_accuracy", "val_metrics/ssim"} <= scalars

    # the plain model: all that the source says of it, with other weights
    written = root / "checkpoints" / "plain.ckpt"
    before = torch.load(source, weights_only=True)
    after = torch.load(written, weights_only=True)
    assert before.keys() - after.keys() == {"optimizer_states", "lr_schedulers", "callbacks"}
    assert after["hyper_parameters"] == before["hyper_parameters"]
    assert after["state_dict"].keys() == before["state_dict"].keys()
    assert any(not torch.equal(after["state_dict"][k], v) for k, v in before["state_dict"].items())
    test = ["--mode", "test", "--test_split", "val", "--ckpt_path", str(written)]
    assert train_clgnet.main([*plain, *test, "--default_root_dir", "tested"]) == 0
    target = ["--target-path", str(small_dataset / "singlecoil_val")]
    assert score.main([str(Path("tested") / "reconstructions"), *target]) == 0
    mean = float(capsys.readouterr().out.split()[-1])
    assert mean == pytest.approx(metrics["after"]["banding_score"], abs=1e-3)


def test_bad_checkpoints_are_one_error(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, "other.ckpt")
    for name, message in {
        "nowhere.ckpt": "nowhere.ckpt: no such file",
        "other.ckpt": "other.ckpt: holds no weights",
    }.items():
        flags = ["--checkpoint", name, *FLAGS, "--data_path", str(small_dataset)]
        assert train_banding.main(flags) == 1
        assert f"error: {message}" in capsys.readouterr().err
    assert not Path("banding").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bands_of_the_demo_go(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's claim: the score at most half, SSIM at most 0.005 lower (exit status 0)."""
    monkeypatch.chdir(tmp_path)
    assert demo.main(["--seed", str(seed)]) == 0
