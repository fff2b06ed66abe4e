"""Table 1: all methods under one budget, resumed, with one that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastmri_clgnet.benchmark import main
from fastmri_clgnet.benchmarks import training
from fastmri_clgnet.benchmarks.training import budget_flags
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.pl_modules import ComparisonModule
from fastmri_clgnet.run_folder import checkpoint_dir
from tests.helpers import QUIET

TINY = "--alpha 0 --chans 4 --num_groups 1 --num_blocks 1"


def _command(data: Path, out: Path, *flags: str) -> list[str]:
    return [
        "table1", "--data_path", str(data), "--output_path", str(out), "--accelerations", "4", "2",
        "--methods", "unet", "clgnet_dc", "clgnet", "--batch_size", "2", *flags, *QUIET,
    ]  # fmt: skip


def test_trains_all_and_goes_on_where_one_fails(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    tiny = ["--steps", "2", "--method_flags", "clgnet", TINY, "--method_flags", "clgnet_dc"]
    tiny.append("--chans 4 --num_groups 1 --num_blocks 1")
    # the U-Net gets a flag that it does not have
    failing = _command(small_dataset, out, *tiny, "--method_flags", "unet", "--nonsense 3")
    assert main(failing) == 1
    assert "nonsense" in capsys.readouterr().err
    rows = json.loads((out / "table1.json").read_text())["4x"]["rows"]
    assert rows["unet"] == {"failed": "yes"}
    assert rows["clgnet_dc"]["steps"] == rows["clgnet"]["steps"] == 2
    assert (out / "table1_4x.png").stat().st_size > 10_000
    metrics = json.loads((out / "table1_2x" / "clgnet_dc" / "metrics.json").read_text())

    trained: list[str] = []
    real = training.train

    def spy(flags: list[str]) -> int:
        trained.append(flags[flags.index("--model") + 1])
        return real(flags)

    monkeypatch.setattr(training, "train", spy)
    unet = ["--method_flags", "unet", "--chans 4 --num_pool_layers 2"]
    assert main(_command(small_dataset, out, *tiny, *unet)) == 0
    assert trained == ["unet", "unet"]  # once per acceleration; the others existed
    tables = json.loads((out / "table1.json").read_text())
    assert list(tables) == ["settings", "4x", "2x"]
    rows = tables["2x"]["rows"]
    assert list(rows) == ["zero_filled", "unet", "clgnet_dc", "clgnet"]
    # exactly the metrics of the host's aggregation in train_clgnet
    assert rows["clgnet_dc"]["SSIM"] == metrics["CLGNet + DC"]["ssim"]
    assert rows["zero_filled"]["PSNR (dB)"] == metrics["zero-filled"]["psnr"]
    markdown = (out / "table1.md").read_text()
    assert "4x: validation volumes after 2 steps" in markdown
    assert "| U-Net " in markdown


def test_a_classical_method_is_a_row_without_training(small_dataset: Path, tmp_path: Path) -> None:
    """A flag of training for all methods is no flag of this one."""
    command = _command(small_dataset, tmp_path / "out", "--steps", "2", "--lr", "1e-3")
    command[command.index("--methods") + 1 : command.index("--batch_size")] = ["cs_tv"]
    command.remove("2")  # one acceleration
    assert main([*command, "--method_flags", "cs_tv", "--iterations 3"]) == 0
    rows = json.loads((tmp_path / "out" / "table1.json").read_text())["4x"]["rows"]
    assert rows["cs_tv"].keys() == rows["zero_filled"].keys() == {"NMSE", "PSNR (dB)", "SSIM"}
    assert rows["cs_tv"] != rows["zero_filled"]
    assert "| CS, total variation " in (tmp_path / "out" / "table1.md").read_text()
    assert (tmp_path / "out" / "table1_4x.png").stat().st_size > 10_000


def test_a_budget_of_minutes(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = _command(small_dataset, tmp_path / "out", "--minutes", "0.05")
    command[command.index("--methods") + 1 : command.index("--batch_size")] = ["clgnet"]
    command.remove("2")  # one acceleration
    assert main([*command, "--method_flags", "clgnet", TINY]) == 0
    rows = json.loads((tmp_path / "out" / "table1.json").read_text())["4x"]["rows"]
    assert rows["clgnet"]["steps"] > 2
    assert 0.03 < rows["clgnet"]["minutes"] < 1
    assert rows["clgnet"]["lr"] == 1e-4
    assert "after 0.05 minutes" in capsys.readouterr().out


def test_the_rate_of_a_model_that_has_its_own(small_dataset: Path, tmp_path: Path) -> None:
    command = _command(small_dataset, tmp_path / "out", "--steps", "2", "--schedule", "onecycle")
    command[command.index("--methods") + 1 : command.index("--batch_size")] = ["dccnn"]
    command.remove("2")  # one acceleration
    assert main(command) == 0
    rows = json.loads((tmp_path / "out" / "table1.json").read_text())["4x"]["rows"]
    assert rows["dccnn"]["lr"] == ComparisonModule("dccnn").lr


def test_several_seeds_give_means_and_a_range(small_dataset: Path, tmp_path: Path) -> None:
    command = _command(small_dataset, tmp_path / "out", "--steps", "2", "--seeds", "0", "1")
    command[command.index("--methods") + 1 : command.index("--batch_size")] = ["clgnet"]
    command.remove("2")  # one acceleration
    assert main([*command, "--method_flags", "clgnet", TINY]) == 0
    table = json.loads((tmp_path / "out" / "table1.json").read_text())["4x"]
    assert "seeds 0, 1" in table["title"]
    row = table["rows"]["clgnet"]
    folder = tmp_path / "out" / "table1_4x" / "clgnet"
    single = [
        json.loads((folder / f"seed_{seed}" / "metrics.json").read_text())["CLGNet"]
        for seed in (0, 1)
    ]
    psnr = [each["psnr"] for each in single]
    assert psnr[0] != psnr[1]
    assert row["PSNR (dB)"] == pytest.approx(sum(psnr) / 2)
    assert [row["lowest"], row["highest"]] == sorted(psnr)
    assert row["SSIM"] == pytest.approx(sum(each["ssim"] for each in single) / 2)
    assert row["steps"] == 2
    assert (tmp_path / "out" / "table1_4x.png").is_file()


def test_interrupting_stops_the_command(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "train", lambda flags: 130)
    assert main(_command(small_dataset, tmp_path, "--steps", "2")) == 130


def test_a_checkpoint_of_a_failed_run_is_not_continued_with_other_flags(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(flags: list[str]) -> int:
        folder = checkpoint_dir(Path(flags[flags.index("--default_root_dir") + 1]))
        folder.mkdir(parents=True)
        return 1

    monkeypatch.setattr(training, "train", fail)
    root = tmp_path / "run"
    assert training.train_all({"run": ["--lr", "1"]}, tmp_path)["run"] == {"failed": "yes"}
    with pytest.raises(InputError, match=rf"{root}: a run with other flags \(--lr 1\)"):
        training.train_all({"run": ["--lr", "2"]}, tmp_path)


def test_budgets() -> None:
    assert budget_flags(7, None)[-4:-2] == ["--max_steps", "7"]
    assert budget_flags(None, 60 * 25 + 1.5)[-1] == "01:01:01:30"
    with pytest.raises(ValueError, match="steps, minutes: expected exactly one"):
        budget_flags(None, None)


def test_flags_of_an_unknown_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = _command(tmp_path, tmp_path, "--steps", "1", "--method_flags", "resnet", "--chans 4")
    assert main(command) == 1
    assert "method_flags resnet: expected one of" in capsys.readouterr().err
