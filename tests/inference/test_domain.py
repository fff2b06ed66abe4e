"""Warnings of a folder that differs from what weights were trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastmri_clgnet.data import Mask, write_fastmri_file
from fastmri_clgnet.formats.read_scan import read_scan
from fastmri_clgnet.inference import reconstruct
from fastmri_clgnet.inference.domain import out_of_domain
from fastmri_clgnet.models.reconstructor import Reconstructor
from fastmri_clgnet.models.registry import MODELS
from fastmri_clgnet.reconstruct import main
from tests.helpers import MASK, SIZE, small_volume


def network(**trained_on: object) -> Reconstructor:
    made = MODELS["unet"].reconstructor()
    made.make_network({"chans": 2, "num_pool_layers": 1})
    made.trained_on = trained_on
    return made.eval()


def test_a_folder_warns_of_what_its_volumes_would_each_warn_of(tmp_path: Path) -> None:
    """Once for each way, with the volumes that it is about."""
    mask = np.zeros(40, bool)
    mask[18:22] = mask[::4] = True
    kspace, _ = small_volume("multicoil", 0)
    names = {"a": "AXT1", "b": "AXT2", "c": "ax_t1_mprage", "d": "AXFLAIR"}
    for name, acquisition in names.items():
        write_fastmri_file(
            tmp_path / "in" / f"{name}.h5", kspace * mask, mask=mask, recon_size=(SIZE, SIZE),
            acquisition=acquisition,
        )  # fmt: skip
    trained = network(
        accelerations=[8], acquisitions=["AXT2"], challenge="singlecoil", simulated=True
    )
    made = reconstruct(tmp_path / "in", tmp_path / "out", trained, device="cpu")
    outside = "outside of what the weights were trained on"
    assert sorted(made.warnings) == [
        f"{outside}: acceleration 2.8 in all, with the centre (trained on 8): all volumes",
        f"{outside}: contrast FLAIR (trained on T2): d.h5",
        f"{outside}: contrast T1 (trained on T2): a.h5, c.h5",
        f"{outside}: measured k-space (trained on simulated k-space): all volumes",
        f"{outside}: multicoil data (trained on singlecoil): all volumes",
    ]
    assert str(made).count("warning: ") == 5
    for name in names:  # the same as of each scan
        alone = out_of_domain(trained, read_scan(tmp_path / "in" / f"{name}.h5"))
        about = {
            text.split(": ")[1]
            for text in made.warnings
            if text.endswith("all volumes") or f"{name}.h5" in text
        }
        assert alone is not None
        assert set(alone.split(f"{outside}: ")[1].split("; ")) == about
    assert reconstruct(tmp_path / "in", tmp_path / "out", trained, device="cpu").kept != []


def test_nominal_accelerations_count_and_many_volumes_are_not_all_named(tmp_path: Path) -> None:
    kspace, target = small_volume("multicoil", 0)
    for name in "abcdef":
        acquisition = "AXT2" if name == "f" else "AXT1"
        write_fastmri_file(tmp_path / "in" / f"{name}.h5", kspace, target, acquisition=acquisition)
    trained = network(accelerations=[4], acquisitions=["AXT2"], challenge="multicoil")
    mask = Mask("equispaced_fraction", (2,), (0.1,))
    made = reconstruct(tmp_path / "in", tmp_path / "out", trained, mask=mask, device="cpu")
    assert "acceleration 2 in all, with the centre (trained on 4): all volumes" in str(made)
    assert "contrast T1 (trained on T2): a.h5, b.h5, c.h5 and 2 more" in str(made)


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kspace, target = small_volume("multicoil", 0)
    write_fastmri_file(tmp_path / "in" / "a.h5", kspace, target, acquisition="knee_pd")
    flags = ["--data_path", str(tmp_path / "in"), "--output_path", str(tmp_path / "out"), *MASK]
    assert main([*flags, "--checkpoint", "brain-varnet", "--device", "cpu"]) == 0
    assert "warning: outside of what the weights were trained on" in capsys.readouterr().out
