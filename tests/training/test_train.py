"""`train` as a function, its folder, and what it leaves behind."""

from __future__ import annotations

import logging
import shutil
import signal
import threading
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from fastmri.data import SliceDataset
from filelock import FileLock

from fastmri_clgnet.data import Data, Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.folder import reconstruct
from fastmri_clgnet.inference.submission import read_settings
from fastmri_clgnet.losses import CLGNetLoss, ContrastiveLoss
from fastmri_clgnet.pl_modules import CLGNetModule, ZeroFilledModule
from fastmri_clgnet.pl_modules.unet_module import UnetModule
from fastmri_clgnet.run_folder import checkpoint_dir
from fastmri_clgnet.train_clgnet import main
from fastmri_clgnet.training import folder, train
from fastmri_clgnet.training.checkpoints import kept_checkpoint
from fastmri_clgnet.training.command import parse_arguments
from fastmri_clgnet.training.folder import config_of, sole_run
from fastmri_clgnet.training.train import test as run_test
from fastmri_clgnet.training.trainer import make_trainer
from tests.helpers import QUIET, SMALL


def test_a_second_run_says_so_and_changes_nothing(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(folder, "PATIENCE", 0.1)
    flags = [*QUIET, "--data_path", str(small_dataset), "--default_root_dir", str(tmp_path)]
    with sole_run(tmp_path, first=True):
        assert main([*SMALL, *flags]) == 1
        assert main([*flags, "--model", "zero_filled", "--mode", "test"]) == 1
    error = capsys.readouterr().err
    assert error.count(f"error: {tmp_path}: another run is writing there") == 2
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_the_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    root = tmp_path / "run"
    with pytest.raises(InputError, match="of the run"), sole_run(root, first=True):
        raise InputError("of the run")
    # the other processes of a run do not ask for it
    with FileLock(root / ".lock").acquire(timeout=0), sole_run(root, first=False):
        pass


def test_what_a_killed_run_had_not_finished_is_removed(tmp_path: Path) -> None:
    for path in (
        "checkpoints/.last.ckpt.1.tmp",
        "reconstructions/.a.h5.1.tmp",
        "checkpoints/last.ckpt",
        ".notes.tmp",
        "another_run/.lock",
        "another_run/.config.yaml.2.tmp",
        "another_run/checkpoints/.last.ckpt.2.tmp",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    with sole_run(tmp_path, first=True):
        files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    others = {"/.lock", "/.config.yaml.2.tmp", "/checkpoints/.last.ckpt.2.tmp"}
    kept = {".lock", "checkpoints/last.ckpt", ".notes.tmp"}
    assert files == kept | {f"another_run{name}" for name in others}


def test_what_the_call_changes_in_the_process_is_put_back(
    small_dataset: Path, tmp_path: Path
) -> None:
    """Warning filters, the filters of Lightning's log and signal handlers."""

    def state() -> list[Any]:
        logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        return [
            [(each[0], each[2]) for each in warnings.filters],
            list(logger.filters),
            [signal.getsignal(each) for each in signals],
            threading.excepthook,
        ]

    before = state()
    flags = [*SMALL, *QUIET, "--data_path", str(small_dataset), "--batch_size", "2"]
    flags += ["--default_root_dir", str(tmp_path), "--max_epochs", "1"]
    assert main(flags) == 0
    assert state() == before
    assert main([*flags, "--mode", "test", "--accelerator", "nonsense"]) == 1
    assert state() == before


def test_files_are_opened_no_more_often_than_needed(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host reads each validation file once for all evaluations."""
    flags = [*QUIET, "--data_path", str(small_dataset), "--batch_size", "2", "--logger", "false"]
    ours = [*flags, *SMALL, "--default_root_dir", str(tmp_path), "--max_epochs"]
    opened: Counter[str] = Counter()

    def count(owner: Any, name: str, argument: int) -> None:
        real = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            opened[Path(args[argument]).name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    assert main([*ours, "1"]) == 0
    count(torch, "load", 0)
    count(SliceDataset, "_retrieve_metadata", 1)
    assert main([*ours, "2"]) == 0
    assert opened["last.ckpt"] == 2  # to compare it with the model, and by Lightning
    assert opened["best.ckpt"] == 1
    # models on images need k-space, too, for the zero-filled baseline
    assert [opened[name] for name in ("a.h5", "c.h5", "d.h5", "e.h5")] == [1, 2, 2, 1]
    opened.clear()
    theirs = ["--model", "dccnn", "--default_root_dir", str(tmp_path / "dccnn")]
    assert main([*flags, *theirs, "--max_epochs", "1"]) == 0
    assert opened["c.h5"] == 1


def test_trains_from_python_and_the_command_reads_its_configuration(
    small_dataset: Path, tmp_path: Path
) -> None:
    module = CLGNetModule(chans=4, num_groups=1, num_blocks=1, lr=1e-3)
    data = Data(small_dataset, mask=Mask(accelerations=(2,)), batch_size=2, num_workers=0)
    trainer = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False}
    run = train(module, data, trainer=trainer, default_root_dir=tmp_path, logger=False)
    assert run.status == 0
    assert run.best == tmp_path / "checkpoints" / "best.ckpt"
    assert set(run.metrics) == {"zero-filled", "CLGNet"}
    assert f"{run.metrics['CLGNet']['psnr']:.2f}" in str(run)
    assert (tmp_path / "reconstructions" / "e.h5").is_file()
    config = ["--config", str(tmp_path / "config.yaml"), "--max_epochs", "2"]
    assert main(config) == 0
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 1
    # start over, without a validation: the best checkpoint is of the run before
    again = train(
        CLGNetModule(chans=4, num_groups=1, num_blocks=1),
        data,
        trainer={**trainer, "check_val_every_n_epoch": 2},
        default_root_dir=tmp_path,
        ckpt_path="none",
        logger=False,
    )
    assert again.best == tmp_path / "checkpoints" / "last.ckpt"


def test_the_end_of_max_steps_is_validated_amid_an_epoch(
    small_dataset: Path, tmp_path: Path
) -> None:
    """Epochs have three batches here; a cycle of the learning rate ends where the steps do."""
    module = CLGNetModule(chans=4, num_groups=1, num_blocks=1, lr=1e-3)
    data = Data(small_dataset, batch_size=2, num_workers=0)
    trainer = {"max_steps": 5, "accelerator": "cpu", "enable_progress_bar": False}
    run = train(
        module, data, trainer=trainer, default_root_dir=tmp_path, logger=False, schedule="onecycle"
    )
    assert run.best is not None
    states = [
        torch.load(path, weights_only=True) for path in (run.best, run.best.with_name("last.ckpt"))
    ]
    best = next(
        state for state in states[1]["callbacks"].values() if state.get("monitor") is not None
    )
    assert len(best["best_k_models"]) == 1
    assert states[1]["global_step"] == 5
    assert states[0]["global_step"] in (3, 5)
    assert best["current_score"] != best["best_model_score"] or states[0]["global_step"] == 5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mask": Mask(accelerations=(8,), center_fractions=(0.04,))}, r"accelerations \[4\]"),
        ({"val_mask": Mask(accelerations=(2,))}, r"val_accelerations \[4\]"),
        ({"augment": True}, "augment False"),
        ({"loss": CLGNetLoss(0.5, ContrastiveLoss(lambda each: [each], (1.0,), 1))}, "alpha 0"),
    ],
)
def test_a_run_goes_on_with_its_own_task_only_unless_that_is_said(
    changed: dict[str, Any], said: str, small_dataset: Path, tmp_path: Path
) -> None:
    def run(epochs: int, ckpt_path: str | None = None, loss: Any = None, **changes: Any) -> int:
        module = CLGNetModule(chans=4, num_groups=1, num_blocks=1, loss=loss)
        data = Data(small_dataset, batch_size=2, num_workers=0, **changes)
        trainer = {"max_epochs": epochs, "accelerator": "cpu", "enable_progress_bar": False}
        trainer |= {"limit_train_batches": 1, "num_sanity_val_steps": 0}
        return train(
            module, data, trainer=trainer, default_root_dir=tmp_path, logger=False,
            ckpt_path=ckpt_path,
        ).status  # fmt: skip

    assert run(1) == 0
    with pytest.raises(InputError, match=f"last.ckpt: trained with {said}"):
        run(2, **changed)
    assert run(2, "last", **changed) == 0


def test_of_a_former_run_the_best_checkpoint_is_not_tested(
    small_dataset: Path, tmp_path: Path
) -> None:
    """A run that started over, and was stopped before its first validation, goes on."""
    first, other = tmp_path / "run", tmp_path / "other"
    best = {"": "last", str(checkpoint_dir(first) / "best.ckpt"): "best"}
    best[str(checkpoint_dir(other) / "best.ckpt")] = "last"
    checkpoint_dir(first).mkdir(parents=True)
    for name in ("best", "last"):
        (checkpoint_dir(first) / f"{name}.ckpt").touch()
    for said, kept in best.items():
        assert kept_checkpoint(first, said) == checkpoint_dir(first) / f"{kept}.ckpt"


def test_the_demo_takes_one_device(tmp_path: Path) -> None:
    """More processes would need more validation volumes than it has."""
    assert parse_arguments(["--demo_dir", str(tmp_path)])["devices"] == 1


def test_the_hosts_cache_needs_no_test_split(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        shutil.copytree(small_dataset / f"singlecoil_{split}", tmp_path / f"singlecoil_{split}")
    data = Data(tmp_path, batch_size=2, num_workers=0, use_dataset_cache_file=True)
    samples = data.module(on_kspace=False)
    samples.prepare_data()
    assert samples.test_path is None
    assert len(samples.val_dataloader()) == 3


def test_the_configuration_names_the_objective(tmp_path: Path) -> None:
    part = ContrastiveLoss(lambda images: [images], (1.0,), num_negatives=3, negatives="both")
    module = CLGNetModule(loss=CLGNetLoss(0.5, part))
    found = config_of(module, Data(tmp_path), tmp_path, {})
    assert (found["alpha"], found["num_negatives"], found["negatives"]) == (0.5, 3, "both")
    assert config_of(CLGNetModule(), Data(tmp_path), tmp_path, {})["alpha"] == 0
    module = CLGNetModule(loss=lambda output, target, undersampled: {"loss": output.mean()})
    assert "alpha" not in config_of(module, Data(tmp_path), tmp_path, {})


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({}, 50), ({"max_epochs": None, "max_steps": -1, "max_time": None}, 50),
        ({"max_epochs": 3, "max_steps": 9}, 3), ({"max_steps": 9}, -1),
        ({"max_epochs": None, "max_time": "00:01:00:00"}, -1), ({"max_epochs": -1}, -1),
    ],
)  # fmt: skip
def test_fifty_epochs_where_nothing_else_ends_the_training(
    settings: dict[str, Any], epochs: int, tmp_path: Path
) -> None:
    found = make_trainer(tmp_path, {"accelerator": "cpu", **settings}).max_epochs
    assert (-1 if found is None else found) == epochs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed -1"),
        ({"trainer": {"callbacks": []}}, "trainer: callbacks cannot be set here"),
        ({"trainer": {"nonsense": 1}}, "nonsense"),
        ({"data": Data(Path("nowhere"))}, "nowhere/singlecoil_train: no such folder"),
    ],
)
def test_bad_calls_are_input_errors(arguments: dict[str, Any], message: str) -> None:
    arguments = {"data": Data(Path("nowhere")), **arguments}
    with pytest.raises(InputError, match=message):
        train(ZeroFilledModule(0), **arguments)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", "-1"], "seed -1: expected 0 to"),
        (["--devices", "[0,"], "--devices [0,: not JSON"),
        (["--in_chans", "2"], "in_chans 2: the data has one magnitude image"),
    ],
)
def test_bad_flags_are_one_line(
    flags: list[str], message: str, small_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data_path", str(small_dataset), *SMALL, *QUIET, *flags]) == 1
    assert message in capsys.readouterr().err


def test_the_objective_is_made_once_flags_and_files_have_been_checked(
    small_dataset: Path, tmp_path: Path
) -> None:
    """It may have to download VGG19's weights; without them nothing is written."""

    def download() -> CLGNetLoss:
        raise InputError("no internet")

    module = CLGNetModule(chans=4, num_groups=1, num_blocks=1)
    cpu = {"accelerator": "cpu"}
    for data, trainer, message in (
        (Data("nowhere"), {"devices": -3}, "argument of the trainer"),
        (Data("nowhere"), cpu, "nowhere"),
        (Data(small_dataset, num_workers=0), cpu, "no internet"),
    ):
        with pytest.raises(InputError, match=message):
            train(module, data, trainer=trainer, objective=download, default_root_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_module_of_fastmris_kind_is_trained_by_its_class_name(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(UnetModule):
        """A module that no command knows."""

    monkeypatch.chdir(tmp_path)
    trainer = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False}
    data = Data(small_dataset, batch_size=2, num_workers=0)
    run = train(Own(chans=4, num_pool_layers=2), data, trainer=trainer, logger=False)
    assert run.root == Path("Own/singlecoil")
    assert set(run.metrics) == {"zero-filled", "Own"}


def test_submission_files_say_how_they_were_made(small_run: Path, small_dataset: Path) -> None:
    """As those of `reconstruct`, which can go on from them."""
    output = small_run / "reconstructions"
    settings = read_settings(output / "e.h5")
    assert settings is not None and settings["model"] == "clgnet" and settings["mask"] is None
    made = reconstruct(
        small_dataset / "singlecoil_test", output, small_run / "checkpoints" / "best.ckpt",
        device="cpu",
    )  # fmt: skip
    assert [path.name for path in made.kept] == ["e.h5"]
    assert made.written == []


def test_ctrl_c_outside_of_the_training(
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Lightning ends the process itself then, with status 1."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ZeroFilledModule, "test_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    trainer = {"accelerator": "cpu", "enable_progress_bar": False}
    try:
        with pytest.raises(SystemExit) as raised:
            run_test(
                ZeroFilledModule(), Data(small_dataset, num_workers=0), trainer=trainer,
                default_root_dir=tmp_path,
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, handler)
    assert raised.value.code == 130
    assert (
        "Stopped outside of the training. The same command does this again"
        in capsys.readouterr().out
    )
