"""Volumes whose image is wider than their k-space has columns, such as fastMRI's FLAIR 203."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from fastmri.data import SliceDataset
from fastmri.data.transforms import UnetDataTransform

from fastmri_clgnet.data import Mask
from fastmri_clgnet.data.check import check
from fastmri_clgnet.data.folders import inspect_folder
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation import evaluate
from fastmri_clgnet.formats.header import ismrmrd_header
from fastmri_clgnet.formats.read_scan import read_scan
from fastmri_clgnet.inference import reconstruct, reconstruct_scan, undersample
from fastmri_clgnet.models.registry import MODELS
from fastmri_clgnet.train_clgnet import main
from tests.helpers import MASK, QUIET, SMALL, small_volume

SIZES = {
    "clgnet": {"chans": 4, "num_groups": 1, "num_blocks": 1},
    "clgnet_dc": {"chans": 4, "num_groups": 1, "num_blocks": 1},
    "clgvarnet": {"num_cascades": 1, "chans": 4, "num_groups": 1, "num_blocks": 1},
    "unet": {"chans": 4, "num_pool_layers": 2},
    "varnet": {"num_cascades": 1, "chans": 2, "pools": 2, "sens_chans": 2, "sens_pools": 2},
}


def write(path: Path, challenge: str, image: tuple[int, int], rows: int = 64) -> np.ndarray:
    """A volume of `rows` x 40 whose header asks for an image; gives its whole image."""
    kspace, _ = small_volume(challenge, 0)
    shifted = np.fft.ifft2(np.fft.ifftshift(kspace, (-2, -1)), norm="ortho")
    images = np.fft.fftshift(shifted, (-2, -1))
    top = (64 - rows) // 2
    images = images[..., top : top + rows, :]
    moved = np.fft.fft2(np.fft.ifftshift(images, (-2, -1)), norm="ortho")
    kspace = np.fft.fftshift(moved, (-2, -1)).astype(np.complex64)
    whole = np.abs(images) if challenge == "singlecoil" else np.sqrt((np.abs(images) ** 2).sum(1))
    target = np.zeros((3, *image), np.float32)
    height, left = min(rows, image[0]), (image[1] - 40) // 2
    first, top = (rows - height) // 2, (image[0] - height) // 2
    target[:, top : top + height, left : left + 40] = whole[:, first : first + height]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        file["reconstruction_rss" if challenge == "multicoil" else "reconstruction_esc"] = target
        file["ismrmrd_header"] = ismrmrd_header((rows, 40), image)
        file.attrs.update(max=float(target.max()), acquisition="AXFLAIR")
    return whole


@pytest.mark.parametrize("challenge", ["singlecoil", "multicoil"])
def test_the_image_is_the_hosts_crop_of_the_inverse_fft(challenge: str, tmp_path: Path) -> None:
    folder = tmp_path / f"{challenge}_val"
    whole = write(folder / "a.h5", challenge, (48, 48))
    expected = whole[:, 12:52]  # 40 x 40
    found = check(tmp_path, num_workers=1)
    assert found.good
    assert "fastMRI crops images to 40 x 40" in str(found)
    scan = read_scan(folder / "a.h5")
    assert scan.recon_size == (40, 40)
    np.testing.assert_allclose(scan.images(), expected, atol=1e-9)
    reconstruct(
        folder, tmp_path / "out", model="zero_filled", mask=Mask("random", (1,), (0.5,)),
        device="cpu",
    )  # fmt: skip
    with h5py.File(tmp_path / "out" / "a.h5") as file:
        np.testing.assert_allclose(file["reconstruction"][()], expected, atol=1e-9)
    host = SliceDataset(folder, challenge, UnetDataTransform(challenge))[1]
    np.testing.assert_allclose((host.image * host.std + host.mean).numpy(), expected[1], atol=1e-8)


@pytest.mark.parametrize(
    ("model", "challenge"),
    [(name, "singlecoil") for name in MODELS]
    + [(name, "multicoil") for name, choice in MODELS.items() if choice.multicoil],
)
def test_every_model_reconstructs_it(model: str, challenge: str, tmp_path: Path) -> None:
    choice = MODELS[model]
    write(tmp_path / "data" / "a.h5", challenge, (48, 48))
    network = choice.reconstructor()
    network.make_network({**SIZES.get(model, {}), **choice.fixed, "challenge": challenge})
    out = tmp_path / "out"
    reconstruct(tmp_path / "data", out, network.eval(), mask=Mask(), device="cpu", batch_size=2)
    with h5py.File(out / "a.h5") as file:
        made = file["reconstruction"][()]
    assert made.shape == (3, 40, 40)
    scan = read_scan(tmp_path / "data" / "a.h5")
    alone = reconstruct_scan(undersample(scan, Mask()), network, device="cpu")
    np.testing.assert_allclose(alone, made, atol=1e-5 * made.max())


@pytest.mark.parametrize("model", ["unet", "varnet", "dccnn"])
def test_training_takes_it_beside_others(model: str, tmp_path: Path) -> None:
    """In one folder with a volume of more columns, with batches of one, and all that follows."""
    for split in ("train", "val"):
        folder = tmp_path / f"singlecoil_{split}"
        write(folder / "a.h5", "singlecoil", (48, 48))
        write(folder / "b.h5", "singlecoil", (32, 40))
    sizes = [
        str(word) for name, size in SIZES.get(model, {}).items() for word in (f"--{name}", size)
    ]
    flags = [*QUIET, *MASK, "--data_path", str(tmp_path), "--model", model, *sizes]
    flags += ["--max_epochs", "1", "--batch_size", "1", "--logger", "false"]
    assert main([*flags, "--default_root_dir", str(tmp_path / "run"), "--test_split", "val"]) == 0
    made = tmp_path / "run" / "reconstructions_val"
    with h5py.File(made / "a.h5") as file:
        assert file["reconstruction"].shape == (3, 40, 40)
    assert (tmp_path / "run" / "comparison.png").is_file()
    found = evaluate(tmp_path / "singlecoil_val", [made], "singlecoil")
    assert [volume.file for volume in found.volumes] == []
    assert "cannot compare" in found.failures[0]


def test_what_the_host_cannot_crop_is_refused_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "singlecoil_val" / "a.h5"
    for image, rows, message in (
        ((48, 48), 36, "48 x 48 pixels does not fit into k-space of 36 x 40"),
        ((32, 48), 64, "32 x 48 pixels, which cannot be cropped to 40 x 40"),
    ):
        write(path, "singlecoil", image, rows)
        with pytest.raises(ValueError, match="Invalid shapes"):
            SliceDataset(path.parent, "singlecoil", UnetDataTransform("singlecoil"))[0]
        assert message in str(check(tmp_path, num_workers=1))
        with pytest.raises(InputError, match=message):
            inspect_folder(path.parent, "singlecoil", masked=False)
    with h5py.File(path, "r+") as file:
        del file["reconstruction_esc"]
    assert read_scan(path).recon_size == (40, 40)  # without a target the host can
    write(path, "singlecoil", (48, 48), 36)
    with pytest.raises(InputError, match="does not fit"):
        read_scan(path)
    assert main([*SMALL, *QUIET, "--data_path", str(tmp_path)]) == 1
