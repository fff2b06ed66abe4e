"""The classical models through the commands: like zero_filled, they need no checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet import Mask, example_slice, load, reconstruct_scan, undersample
from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.inference.regularisation import Regularisation
from fastmri_clgnet.inference.submission import read_settings
from fastmri_clgnet.pl_modules.registry import as_module
from fastmri_clgnet.reconstruct import main
from fastmri_clgnet.reporting.sources import find_sources
from fastmri_clgnet.train_clgnet import main as train_main
from tests.formats.test_single_coil import scan_of

FEW = Regularisation(iterations=3)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two coils of 48 x 40 pixels, as validation data."""
    scan = example_slice()
    small = scan._replace(kspace=scan.kspace[:, :2, 104:152, 108:148], recon_size=(48, 40))
    folder = tmp_path / "DATA" / "multicoil_val"
    folder.mkdir(parents=True)
    write_fastmri_file(folder / "a.h5", small.kspace, small.images())
    return folder


def test_a_folder_says_how_it_was_made(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data.parent / "out"
    flags = ["--model", "cs_tv", "--data_path", str(data), "--output_path", str(out)]
    flags += ["--mask_type", "random", "--accelerations", "4", "--center_fractions", "0.2"]
    flags += ["--device", "cpu", "--iterations", "3"]
    assert main(flags) == 0
    settings = read_settings(out / "a.h5")
    assert settings is not None
    assert (settings["model"], settings["iterations"]) == ("cs_tv", 3)
    assert settings["lamda"] == load_default("cs_tv", "multicoil")
    assert main(flags) == 0
    assert "1 were there already" in capsys.readouterr().out
    assert main([*flags, "--lamda", "0.5"]) == 1
    assert "lamda was 0.002, is 0.5" in capsys.readouterr().err
    (source,) = find_sources([out], None)
    assert source.label == "CS, total variation"
    command = source.command(data)
    assert command is not None and "--model cs_tv" in command
    assert "--lamda 0.002 --iterations 3" in command and "--checkpoint" not in command


def load_default(method: str, challenge: str) -> float:
    """The weight by default."""
    from fastmri_clgnet.models.classical import CLASSICAL

    return CLASSICAL[method].lamda[challenge]


def test_training_command_tests_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the numbers of `reconstruct`; the settings of a run are those of its flags."""
    root = data.parent
    monkeypatch.chdir(root)
    flags = ["--model", "cs_wavelet", "--iterations", "3", "--challenge", "multicoil"]
    flags += ["--data_path", str(root), "--accelerations", "4", "--center_fractions", "0.2"]
    flags += ["--accelerator", "cpu", "--num_workers", "0", "--enable_progress_bar", "false"]
    flags += ["--logger", "false", "--default_root_dir", "run", "--test_split", "val"]
    (root / "multicoil_train").symlink_to(data)
    assert train_main(flags) == 0
    metrics = json.loads((root / "run" / "metrics.json").read_text())
    assert list(metrics) == ["zero-filled", "CS, wavelets"]
    written = next((root / "run").rglob("a.h5"))
    settings = read_settings(written)
    assert settings is not None and settings["lamda"] == load_default("cs_wavelet", "multicoil")
    mask = [*flags[6:10], "--mask_type", "random"]
    again = ["--model", "cs_wavelet", "--iterations", "3", "--data_path", str(data), "--device"]
    assert main([*again, "cpu", "--output_path", "again", *mask[2:], "--accelerations", "4",
                 "--center_fractions", "0.2"]) == 0  # fmt: skip
    with h5py.File(written) as one, h5py.File(root / "again" / "a.h5") as other:
        expected = other["reconstruction"][()]
        np.testing.assert_allclose(one["reconstruction"][()], expected, rtol=1e-5)


def test_a_scan_of_one_coil_and_of_several() -> None:
    rng = np.random.default_rng(0)
    scan = scan_of(rng.normal(size=(2, 3, 32, 40)) + 0j)
    for each in (scan, scan._replace(kspace=scan.kspace[:, 0])):
        few = undersample(each, Mask("random", (4,), (0.2,)))
        for model in ("cs_wavelet", "cs_tv"):
            images = reconstruct_scan(few, model=model, regularisation=FEW, device="cpu")
            assert images.shape == (2, 32, 40) and np.isfinite(images).all() and images.any()


def test_what_does_not_fit_is_refused() -> None:
    scan = example_slice()
    with pytest.raises(InputError, match="lamda, iterations: are of the models cs_wavelet, cs_tv"):
        reconstruct_scan(scan, model="zero_filled", regularisation=FEW)
    with pytest.raises(InputError, match="lamda, iterations: are of the models"):
        reconstruct_scan(scan, "brain-4x", regularisation=FEW)
    with pytest.raises(InputError, match="iterations=0: expected 1 or more"):
        reconstruct_scan(scan, model="cs_tv", regularisation=Regularisation(iterations=0))
    without = np.zeros((1, 256), bool)
    without[0, ::4] = True
    gap = scan._replace(kspace=scan.kspace * without, mask=without[0])
    with pytest.raises(InputError, match="1 central columns of k-space are sampled"):
        reconstruct_scan(gap, model="cs_tv", device="cpu")


def test_as_a_lightning_module() -> None:
    from fastmri_clgnet.inference.applying import ready_network

    network = ready_network(None, "cs_tv", Regularisation(lamda=0.3), "singlecoil")
    module = as_module(network)
    assert (module.model_name, module.settings) == ("cs_tv", {"lamda": 0.3, "iterations": 100})
    assert load("brain-4x").settings == {}
