"""The reconstruct command: same numbers as the training command's, resuming, processes, errors."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import fastmri
import h5py
import numpy as np
import pytest
import torch
from fastmri.data import SliceDataset
from fastmri.data.transforms import UnetDataTransform, to_tensor
from torch.utils.data import DataLoader

from fastmri_clgnet.data import Mask, folders, write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference import loading
from fastmri_clgnet.inference.folder import reconstruct
from fastmri_clgnet.inference.loading import load
from fastmri_clgnet.inference.submission import read_settings, save_reconstruction
from fastmri_clgnet.pl_modules import ZeroFilledModule
from fastmri_clgnet.reconstruct import main
from fastmri_clgnet.train_clgnet import main as train
from tests.helpers import MASK, QUIET


def images(path: Path) -> np.ndarray:
    with h5py.File(path, "r") as file:
        found: np.ndarray = file["reconstruction"][()]
    return found


def flags(run: Path, data: Path, out: Path) -> list[str]:
    checkpoint = str(run / "checkpoints" / "best.ckpt")
    return ["--checkpoint", checkpoint, "--data_path", str(data), "--output_path", str(out),
            "--device", "cpu"]  # fmt: skip


def test_same_numbers_as_the_training_command(
    small_run: Path, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Masked test files, then fully sampled ones under the run's own mask."""
    test, val = small_dataset / "singlecoil_test", small_dataset / "singlecoil_val"
    assert main([*flags(small_run, test, tmp_path / "a"), "--batch_size", "2"]) == 0
    expected = images(small_run / "reconstructions" / "e.h5")
    np.testing.assert_allclose(images(tmp_path / "a" / "e.h5"), expected, rtol=1e-6)

    root = tmp_path / "copy"
    shutil.copytree(small_run, root)
    config = ["--config", str(root / "config.yaml"), "--default_root_dir", str(root), *QUIET]
    assert train([*config, "--mode", "test", "--test_split", "val"]) == 0
    out = tmp_path / "b"
    assert main([*flags(small_run, val, out), *MASK, "--num_workers", "1"]) == 0
    for name in ("c.h5", "d.h5"):
        expected = images(root / "reconstructions_val" / name)
        np.testing.assert_allclose(images(out / name), expected, rtol=1e-4, atol=1e-9)
    assert "2 volumes written" in capsys.readouterr().out


@pytest.mark.parametrize(("model", "challenge"), [("dccnn", "singlecoil"), ("unet", "multicoil")])
def test_other_models(model: str, challenge: str, small_dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "run"
    small = ["--chans", "2", "--num_pool_layers", "1"] if model == "unet" else []
    command = ["--model", model, "--challenge", challenge, "--data_path", str(small_dataset)]
    command += ["--default_root_dir", str(root), "--max_epochs", "1", "--batch_size", "2", *small]
    assert train([*command, *QUIET, "--limit_train_batches", "1", "--logger", "false"]) == 0
    data = small_dataset / f"{challenge}_test"
    assert main([*flags(root, data, tmp_path / "out"), "--batch_size", "2"]) == 0
    expected = images(root / "reconstructions" / "e.h5")
    np.testing.assert_allclose(images(tmp_path / "out" / "e.h5"), expected, rtol=1e-5, atol=1e-12)


def test_zero_filling_is_the_hosts_transform(small_dataset: Path, tmp_path: Path) -> None:
    data = small_dataset / "multicoil_test"
    command = ["--model", "zero_filled", "--data_path", str(data), "--output_path", str(tmp_path)]
    assert main(command) == 0
    with h5py.File(data / "e.h5") as file:
        sample = UnetDataTransform("multicoil")(
            file["kspace"][1], file["mask"][()], None, {"recon_size": (32, 32, 1)}, "e.h5", 1
        )
    expected = (sample.image * sample.std + sample.mean).numpy()
    np.testing.assert_allclose(images(tmp_path / "e.h5")[1], expected, rtol=1e-5)


def test_resumes_by_volume_in_several_processes(
    small_run: Path, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for split in ("train", "val"):
        for path in (small_dataset / f"singlecoil_{split}").iterdir():
            shutil.copy(path, data)
    command = [*flags(small_run, data, out), *MASK]
    assert main(command) == 0
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    expected = {name: images(out / name) for name in times}
    assert times.keys() == {"a.h5", "b.h5", "c.h5", "d.h5"}
    for name in ("b.h5", "c.h5"):
        (out / name).unlink()
    assert main([*command, "--num_processes", "2"]) == 0
    captured = capsys.readouterr()
    assert "2 volumes written" in captured.out
    assert "2 were there already" in captured.out
    assert "slice/s" in captured.err
    for path in out.iterdir():
        np.testing.assert_allclose(images(path), expected[path.name], rtol=1e-5, atol=1e-12)
        assert (path.stat().st_mtime_ns == times[path.name]) == (path.name in ("a.h5", "d.h5"))
    # other settings do not mix with what is there
    assert main([*command[:-1], "0.1"]) == 1
    assert "a.h5: was made with other settings (mask was" in capsys.readouterr().err
    assert main([*command[:-1], "0.1", "--overwrite"]) == 0
    assert read_settings(out / "a.h5")["mask"]["center_fractions"] == [0.1]  # type: ignore[index]


def test_data_of_the_same_names_do_not_mix(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other volumes of the same names and sizes, and other k-space, are told; a copy is not."""
    first, other, out = small_dataset / "singlecoil_val", tmp_path / "other", tmp_path / "out"
    other.mkdir()
    for name, source in (("c.h5", "d.h5"), ("d.h5", "c.h5")):
        shutil.copy(first / source, other / name)

    def status(data: Path) -> int:
        command = ["--model", "zero_filled", "--data_path", str(data), "--output_path", str(out)]
        return main([*command, *MASK])

    assert status(first) == 0
    changed = tmp_path / "changed"
    shutil.copytree(first, changed)
    with h5py.File(changed / "c.h5", "r+") as file:
        file["kspace"][0] *= 2
    assert status(changed) == 1
    assert "c.h5: was made with other settings (data was" in capsys.readouterr().err
    assert status(other) == 1
    assert "c.h5: was made with other settings (data was" in capsys.readouterr().err
    assert status(small_dataset / "multicoil_val") == 1
    assert "challenge was singlecoil, is multicoil" in capsys.readouterr().err
    shutil.copytree(first, tmp_path / "copy")
    assert status(tmp_path / "copy") == 0
    assert "2 were there already" in capsys.readouterr().out


def test_each_file_is_opened_once_and_the_model_is_built_once(
    small_run: Path, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    original = SliceDataset._retrieve_metadata

    def noting(dataset: SliceDataset, path: Path) -> object:
        looked_at.append(path.name)
        return original(dataset, path)

    built: list[str] = []

    def building(stored: loading.StoredModel) -> object:
        built.append(stored.model)
        return build(stored)

    build = loading.build
    monkeypatch.setattr(SliceDataset, "_retrieve_metadata", noting)
    monkeypatch.setattr(loading, "build", building)
    assert main([*flags(small_run, small_dataset / "singlecoil_val", tmp_path), *MASK]) == 0
    assert sorted(looked_at) == ["c.h5", "d.h5"]
    assert built == ["clgnet"]
    assert {path.name for path in tmp_path.iterdir()} == {"c.h5", "d.h5"}


def test_a_module_gives_what_its_checkpoint_gives_and_is_unchanged(
    small_run: Path, small_dataset: Path, tmp_path: Path
) -> None:
    data, mask = small_dataset / "singlecoil_val", Mask("random", (4,), (0.08,))
    checkpoint = small_run / "checkpoints" / "best.ckpt"
    expected = reconstruct(data, tmp_path / "a", checkpoint, mask=mask, device="cpu")
    assert (len(expected.written), expected.kept) == (2, [])
    assert str(expected) == f"2 volumes written to {tmp_path / 'a'}"
    module = load(checkpoint).train()
    made = reconstruct(data, tmp_path / "b", module, mask=mask, device="cpu")
    assert module.training
    for one, two in zip(expected.written, made.written, strict=True):
        assert np.array_equal(images(one), images(two))
        ours, theirs = read_settings(two), read_settings(one)
        assert ours == {**theirs, "checkpoint": "None"}  # type: ignore[dict-item]
    # made with the same weights, wherever they come from
    assert (
        reconstruct(data, tmp_path / "a", module, mask=mask, device="cpu").kept == expected.written
    )
    with pytest.raises(InputError, match="weights was"):
        reconstruct(data, tmp_path / "a", ZeroFilledModule(0), mask=mask, device="cpu")
    other = reconstruct(
        data, tmp_path / "a", model="zero_filled", mask=mask, device="cpu", overwrite="different"
    )
    assert other.written == expected.written
    again = reconstruct(
        data, tmp_path / "a", model="zero_filled", mask=mask, device="cpu", overwrite="different"
    )
    assert again.kept == expected.written


@pytest.mark.parametrize("method", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def test_loader_processes_may_be_spawned(
    method: str, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's data set cannot be pickled as it makes itself."""
    context = multiprocessing.get_context(method)
    monkeypatch.setattr(
        DataLoader, "multiprocessing_context", property(lambda _: context, lambda *_: None)
    )
    data = small_dataset / "singlecoil_test"
    made = reconstruct(data, tmp_path, model="zero_filled", num_workers=1, device="cpu")
    assert [path.name for path in made.written] == ["e.h5"]


def test_what_is_complete_is_written_before_an_error(
    small_run: Path,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(small_dataset / "singlecoil_val", data)
    with h5py.File(data / "d.h5", "r+") as file:
        file["kspace"][2, 0, 0] = np.nan
    said = f"error: {data / 'd.h5'}, slice 2: the k-space holds NaN"
    assert main([*flags(small_run, data, out), *MASK]) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()  # few files are read whole before
    monkeypatch.setattr(folders, "READ_WHOLE_BYTES", 0)
    assert main([*flags(small_run, data, out), *MASK]) == 1
    assert said in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["c.h5"]


def test_a_mask_for_others_to_apply_is_not_in_the_way(small_dataset: Path, tmp_path: Path) -> None:
    """A fully sampled volume that holds one is undersampled by the mask that is given."""
    data = tmp_path / "data"
    shutil.copytree(small_dataset / "singlecoil_val", data)
    for out in (tmp_path / "a", tmp_path / "b"):
        reconstruct(data, out, model="zero_filled", mask=Mask(), device="cpu")
        with h5py.File(data / "c.h5", "a") as file:
            file.require_dataset("mask", file["kspace"].shape[-1:], bool)[::3] = True
    for name in ("c.h5", "d.h5"):
        np.testing.assert_array_equal(images(tmp_path / "a" / name), images(tmp_path / "b" / name))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_workers": -1}, "num_workers -1: expected 0 or more"),
        ({"precision": "fp16"}, "precision fp16: expected 32-true, bf16-mixed, 16-mixed"),
        ({"challenge": "multi"}, "challenge multi: expected singlecoil or multicoil"),
    ],
)
def test_other_values_are_one_error(
    arguments: dict[str, Any], message: str, small_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        reconstruct(
            small_dataset / "singlecoil_test", tmp_path / "a", model="zero_filled", **arguments
        )
    assert not (tmp_path / "a").exists()


def test_bfloat16_is_close(small_run: Path, small_dataset: Path, tmp_path: Path) -> None:
    data = small_dataset / "singlecoil_test"
    for precision in ("32-true", "bf16-mixed"):
        command = [*flags(small_run, data, tmp_path / precision), "--precision", precision]
        assert main(command) == 0
    exact, rounded = (images(tmp_path / name / "e.h5") for name in ("32-true", "bf16-mixed"))
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 0.1 * np.abs(exact).max()


ERRORS = {
    "no folder": (["--data_path", "nowhere"], "nowhere: no such folder; expected one of"),
    "root": (["--data_path", "data"], "there are the folders singlecoil_test, singlecoil_val"),
    "no mask": (["--data_path", "data/singlecoil_val"], "c.h5: no 'mask'"),
    "two masks": (MASK, "e.h5: is undersampled already"),
    "half a mask": (["--accelerations", "4"], "give mask_type and center_fractions too"),
    "too dense": ([*MASK[:-1], "0.9"], "acceleration 4 with centre fraction 0.9"),
    "same folder": (["--output_path", "data/singlecoil_test"], "the data is in data/single"),
    "within": (["--output_path", "data/singlecoil_test/out"], "give an output_path elsewhere"),
    "device": (["--device", "abacus"], "device abacus: cannot be used here"),
    "half on cpu": (["--precision", "16-mixed"], "on the CPU there is bf16-mixed"),
    "batch": (["--batch_size", "0"], "batch_size 0: expected 1 or more"),
    "checkpoint": (["--checkpoint", "nowhere.ckpt"], "nowhere.ckpt: no such weights"),
    "challenge": (["--challenge", "multicoil"], "e.h5: expected multicoil k-space"),
    "a file": (["--output_path", "foreign/e.h5/out"], "foreign/e.h5: is a file, expected a folder"),
    "foreign": (["--output_path", "foreign"], "e.h5: was not written by this command"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_is_one_error(
    name: str,
    small_run: Path,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for split in ("val", "test"):
        shutil.copytree(small_dataset / f"singlecoil_{split}", f"data/singlecoil_{split}")
    Path("foreign").mkdir()
    Path("foreign/e.h5").write_text("mine")
    more, message = ERRORS[name]
    data = Path("data/singlecoil_test")
    before = (data / "e.h5").read_bytes()
    assert main([*flags(small_run, data, Path("out")), *more]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not Path("out").exists() or not list(Path("out").iterdir())
    assert (data / "e.h5").read_bytes() == before
    assert Path("foreign/e.h5").read_text() == "mine"


def test_a_model_that_is_trained_needs_a_checkpoint(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data_path", str(small_dataset / "singlecoil_test"), "--output_path", str(tmp_path)]
    assert main(data) == 1
    assert "error: no weights: give a checkpoint" in capsys.readouterr().err
    assert main([*data, "--model", "dccnn"]) == 1
    assert "model dccnn is trained: give a checkpoint of it" in capsys.readouterr().err


def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    save_reconstruction(path, np.ones((1, 2, 2), np.float32), {"model": "x"})
    with pytest.raises(TypeError):
        save_reconstruction(path, np.zeros((1, 2, 2), np.float32), {"model": object()})
    assert images(path).all()
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5"]
    assert read_settings(path) == {"model": "x"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_the_cpu(small_run: Path, small_dataset: Path, tmp_path: Path) -> None:
    data = small_dataset / "singlecoil_test"
    for device in ("cpu", "cuda"):
        command = [*flags(small_run, data, tmp_path / device), "--device", device]
        assert main(command) == 0
    np.testing.assert_allclose(
        images(tmp_path / "cuda" / "e.h5"), images(tmp_path / "cpu" / "e.h5"), rtol=1e-3, atol=1e-8
    )


def test_zero_filled_images_are_not_clipped(tmp_path: Path) -> None:
    """The host clips the images that it gives to networks at 6 standard deviations."""
    image = np.full((1, 64, 48), 1e-5, np.complex64)
    image[0, 32, 24] = 1.0  # 55 deviations
    kspace = fastmri.fft2c(to_tensor(image)).numpy().view(np.complex64)[..., 0]
    write_fastmri_file(tmp_path / "in" / "a.h5", kspace, np.abs(image))
    mask = Mask("random", (1,), (0.5,))
    reconstruct(tmp_path / "in", tmp_path / "out", model="zero_filled", mask=mask, device="cpu")
    with h5py.File(tmp_path / "out" / "a.h5") as file:
        made = file["reconstruction"][()]
    np.testing.assert_allclose(made, np.abs(image), atol=1e-6)
