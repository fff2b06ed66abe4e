"""Images where k-space is expected: the message's command, run as it is, converts them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import examples
from scipy.io import savemat

from fastmri_clgnet.convert import main as convert
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Matlab
from fastmri_clgnet.formats.read_scan import read_scan
from fastmri_clgnet.reconstruct import main as reconstruct

VALUES = np.random.default_rng(0).integers(1, 4000, (32, 24, 3)).astype(np.uint16)

FLOATS = np.repeat(VALUES, 8, axis=2).astype(np.float32)


def nifti(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VALUES.astype(np.float32), np.eye(4)), path)


def folder(path: Path) -> None:
    (path / "p 1").mkdir(parents=True)
    for i in range(3):
        Image.fromarray(VALUES[..., i]).save(path / "p 1" / f"{i}.png")


def matlab_7_3(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["kspace"] = VALUES.T


IMAGES: dict[str, Callable[[Path], object]] = {
    "head": lambda path: path.write_bytes(Path(examples.get_path("mr")).read_bytes()),
    "head.nii": nifti,
    "head.nii.gz": nifti,
    "two.nii": lambda path: nibabel.save(nibabel.Nifti2Image(FLOATS, np.eye(4)), path),
    "pair.hdr": lambda path: nibabel.save(nibabel.Nifti1Pair(FLOATS, np.eye(4)), path),
    "old.dcm": lambda path: path.write_bytes(Path(examples.get_path("mr")).read_bytes()[132:]),
    "png": lambda path: Image.fromarray(VALUES[..., 0]).save(path, "PNG"),
    "a b.png": lambda path: Image.fromarray(VALUES[..., 0]).save(path),
    "head.tif": lambda path: Image.fromarray(VALUES[..., 0]).save(path),
    "head.jpg": lambda path: Image.fromarray(VALUES[..., 0].astype(np.uint8)).save(path),
    "head.mat": lambda path: savemat(path, {"head": VALUES}),
    "seven.mat": matlab_7_3,
    "two.npy": lambda path: np.save(path, VALUES[..., 0]),
    "three.npy": lambda path: np.save(path, VALUES.transpose(2, 0, 1)),
    "folder": folder,
}


@pytest.mark.parametrize("name", IMAGES)
def test_the_command_to_give_is_named_and_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    IMAGES[name](Path(name))
    with pytest.raises(InputError) as error:
        read_scan(name)
    found = re.search(r"python -m fastmri_clgnet\.convert (.* --split 0 0 1)", str(error.value))
    assert str(error.value).startswith(f"{name}: ") and found is not None
    assert convert([*shlex.split(found[1]), "--num_workers", "1"]) == 0
    (made,) = Path("OUT").glob("singlecoil_test/*.h5")
    assert read_scan(made).mask is not None


def test_complex_arrays_of_matlab_may_be_read_at_once(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"k": VALUES * 1j})
    with pytest.raises(
        InputError, match=r"k is a complex array \(32, 24, 3\); name its axes"
    ) as error:
        read_scan(tmp_path / "a.mat")
    found = re.search(r"reader=(Matlab\(.*'\))\)", str(error.value))
    assert found is not None
    reader = eval(found[1], {"Matlab": Matlab})
    assert read_scan(tmp_path / "a.mat", reader=reader).n_coils == 3


def test_reconstruct_names_it_for_a_folder_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(Path("DATA"))
    command = "python -m fastmri_clgnet.convert DATA{} OUT --from images --split 0 0 1"
    volumes = ["--output_path", "RECON", "--checkpoint", "brain-4x", "--data_path"]
    for data, scan in (("DATA", ""), ("DATA/p 1", "/p 1")):
        assert reconstruct([*volumes, data]) == 1
        assert command.format(scan).replace("DATA/p 1", "'DATA/p 1'") in capsys.readouterr().err
    assert reconstruct(["DATA", "--output", "a.h5", "--checkpoint", "brain-4x"]) == 1
    assert command.format("") in capsys.readouterr().err
