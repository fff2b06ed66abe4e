"""One scan through trained weights: from Python, by the command, to every kind of file."""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pydicom
import pytest
import torch

from fastmri_clgnet import (
    CLGNet,
    example_slice,
    load,
    read_scan,
    reconstruct_scan,
    show,
    undersample,
)
from fastmri_clgnet.data import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Scan
from fastmri_clgnet.inference.export import export
from fastmri_clgnet.inference.folder import reconstruct
from fastmri_clgnet.inference.image_files import write_images
from fastmri_clgnet.inference.scan import OutOfDomain, out_of_domain
from fastmri_clgnet.inference.submission import read_settings
from fastmri_clgnet.pl_modules import CLGNetModule, ZeroFilledModule
from fastmri_clgnet.pl_modules.clgvarnet_module import CLGVarNetModule
from fastmri_clgnet.reconstruct import main
from tests.conversion.host import blobs, fft2c
from tests.formats.twix_files import COLUMNS, ROWS, lines, write
from tests.helpers import MASK
from tests.test_readme import python_block

AXIAL = np.array([[0, 2, 0, -9], [-3, 0, 0, 8], [0, 0, 5, 7], [0, 0, 0, 1]], float)


@pytest.fixture(scope="module")
def checkpoint(small_run: Path) -> Path:
    """Of CLGNet, trained on simulated single-coil data at 4x."""
    return small_run / "checkpoints" / "best.ckpt"


@pytest.fixture
def twix(tmp_path: Path) -> Path:
    """A scan of two slices and two coils, fully sampled."""
    write(tmp_path / "meas.dat", lines(fft2c(1e-4 * blobs(0, 2, 2, ROWS, COLUMNS))))
    return tmp_path / "meas.dat"


def volume(**changes: Any) -> Scan:
    """Two slices of one coil."""
    kspace = fft2c(blobs(0, 2, 32, 20)).astype(np.complex64)
    return Scan(kspace, (16, 20), acquired=(0, 20), name="a")._replace(**changes)


def test_the_same_numbers_as_the_folder_form(
    checkpoint: Path, small_dataset: Path, tmp_path: Path
) -> None:
    """An undersampled file as it is, and a fully sampled one under a mask of its name."""
    undersampled, full = small_dataset / "singlecoil_test", small_dataset / "singlecoil_val"
    reconstruct(undersampled, tmp_path / "a", checkpoint, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfDomain)
        ours = reconstruct_scan(undersampled / "e.h5", checkpoint, device="cpu", batch_size=2)
    with h5py.File(tmp_path / "a" / "e.h5") as file:
        np.testing.assert_allclose(ours, file["reconstruction"][()], rtol=1e-5, atol=1e-12)
    assert ours.dtype == np.float32 and ours.shape == (3, 32, 32)

    mask = Mask("equispaced_fraction", (4,), (0.08,))
    reconstruct(full, tmp_path / "b", checkpoint, device="cpu", mask=mask)
    scan = undersample(read_scan(full / "c.h5"), mask)
    ours = reconstruct_scan(scan, load(checkpoint), device="cpu")
    with h5py.File(tmp_path / "b" / "c.h5") as file:
        np.testing.assert_allclose(ours, file["reconstruction"][()], rtol=1e-4, atol=1e-9)
    assert scan.reference is not None
    with h5py.File(full / "c.h5") as file:
        np.testing.assert_allclose(scan.reference, file["reconstruction_esc"][()], rtol=1e-5)


def test_kspace_networks_get_the_acquired_mask(small_dataset: Path, tmp_path: Path) -> None:
    """CLGVarNet on multicoil data, where only the central lines settle its coil maps."""
    torch.manual_seed(0)
    module = CLGVarNetModule(
        num_cascades=1, chans=4, num_groups=1, num_blocks=1, sens_chans=2, sens_pools=1
    ).eval()
    data = small_dataset / "multicoil_test"
    reconstruct(data, tmp_path, module, device="cpu")
    ours = reconstruct_scan(data / "e.h5", module, device="cpu")
    with h5py.File(tmp_path / "e.h5") as file:
        np.testing.assert_allclose(ours, file["reconstruction"][()], rtol=1e-4, atol=1e-9)


def test_a_full_scan_is_not_undersampled_without_being_asked(twix: Path) -> None:
    scan = read_scan(twix)
    images = reconstruct_scan(scan, ZeroFilledModule(), device="cpu")
    whole = np.abs(np.fft.fftshift(np.fft.ifft2(
        np.fft.ifftshift(scan.kspace, axes=(-2, -1)), norm="ortho"), axes=(-2, -1)
    ))  # fmt: skip
    expected = np.sqrt((whole**2).sum(axis=1))[:, 16:48]
    np.testing.assert_allclose(scan.images(), expected, atol=1e-9)
    bright = images < 5 * images.std(axis=(1, 2), keepdims=True)  # fastMRI clips what is above
    np.testing.assert_allclose(images[bright], expected[bright], atol=1e-6 * expected.max())


def test_undersampling_keeps_what_is_acquired(twix: Path) -> None:
    scan = read_scan(twix)
    low = undersample(scan, Mask("equispaced_fraction", (4,), (0.1,)))
    assert 3 < low.acceleration() < 5 and low.challenge == "multicoil"
    np.testing.assert_array_equal(low.kspace[..., low.sampled()], scan.kspace[..., low.sampled()])
    assert not low.kspace[..., ~low.sampled()].any()
    with pytest.raises(InputError, match="is undersampled already; omit the mask, or"):
        undersample(low, Mask())


def test_one_warning_says_what_is_outside_of_the_training(checkpoint: Path) -> None:
    """Weights say it themselves, also after export."""
    scan = undersample(example_slice(), Mask("equispaced_fraction", (8,), (0.04,)))
    with pytest.warns(OutOfDomain) as caught:
        reconstruct_scan(scan, checkpoint, device="cpu")
    (warning,) = caught
    message = str(warning.message)
    assert "\n" not in message
    assert "multicoil data (trained on singlecoil)" in message
    assert "acceleration 7.7 in all, with the centre (trained on 4)" in message
    weights, _ = export(checkpoint, checkpoint.parent / "exported")
    assert out_of_domain(load(weights), scan) == message


@pytest.mark.parametrize(
    ("trained_on", "expected"),
    [
        ({}, None),
        ({"challenge": "singlecoil", "accelerations": [1], "acquisitions": ["AXT2"]}, None),
        ({"challenge": "multicoil"}, "singlecoil data (trained on multicoil)"),
        ({"accelerations": [4, 8]}, "full sampling (trained on 4 8)"),
        ({"acquisitions": ["AXT1", "AXFLAIR"]}, "contrast T2 (trained on FLAIR T1)"),
        ({"acquisitions": ["unknown"]}, None),
        ({"simulated": True}, "measured k-space (trained on simulated k-space)"),
    ],
)
def test_what_is_outside_of_the_training(
    trained_on: dict[str, object], expected: str | None
) -> None:
    module = ZeroFilledModule()
    module.__dict__["trained_on"] = trained_on
    found = out_of_domain(module, volume(acquisition="ax_t2_tse"))
    if expected is None:
        assert found is None
    else:
        assert found == f"a: outside of what the weights were trained on: {expected}"


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing-4x: no such weights; expected a checkpoint"):
        reconstruct_scan(example_slice(), "nothing-4x")
    with pytest.raises(InputError, match="batch_size 0"):
        reconstruct_scan(example_slice(), ZeroFilledModule(), batch_size=0)
    with pytest.raises(InputError, match=r"checkpoint of type CLGNet: expected .* CLGNetModule"):
        reconstruct_scan(example_slice(), CLGNet(1, 1, 4))
    array: Any = example_slice().kspace
    for call in (
        lambda: reconstruct_scan(array, ZeroFilledModule()),
        lambda: undersample(array, Mask()),
        lambda: show(array, array),
    ):
        with pytest.raises(InputError, match=r"scan: expected what read_scan .* got ndarray"):
            call()


def test_pictures(tmp_path: Path) -> None:
    """Two images without a reference; with one error maps and metrics, too."""
    scan = example_slice()
    torch.manual_seed(0)
    module = CLGNetModule(chans=4, num_groups=1, num_blocks=1)
    figure = show(reconstruct_scan(scan, module, device="cpu"), scan, tmp_path / "a.png")
    assert [axis.get_title() for axis in figure.axes] == ["fully sampled", "reconstruction"]
    low = undersample(scan, Mask())
    image = reconstruct_scan(low, module, device="cpu")
    figure = show(image, low, tmp_path / "b.png", label="CLGNet")
    titles = [axis.get_title() for axis in figure.axes]
    assert [title for title in titles if title] == ["zero-filled", "CLGNet", "target"]
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert sum("dB, SSIM" in label for label in labels) == 2
    assert "error of CLGNet" in labels
    assert (tmp_path / "a.png").read_bytes()[:4] == (tmp_path / "b.png").read_bytes()[:4]
    with pytest.raises(InputError, match=r"slice 1: .* has slices 0 to 0"):
        show(image, low, slice=1)
    with pytest.raises(InputError, match=r"a.docx: pictures are written as .*png"):
        show(image, low, tmp_path / "a.docx")
    for other in (image[0], image[:, :10, :10]):
        with pytest.raises(InputError, match=r"of \(1, 256, 256\) as of t2_tse_brain, got"):
            show(other, low)


def test_without_a_reference_the_zero_filled_image_sets_the_greys(tmp_path: Path) -> None:
    """Whatever the network made of it; a tensor is shown as an array is."""
    scan = volume()
    figure = show(torch.full((2, 16, 20), 1e6), scan)
    white = np.percentile(scan.images()[1], 99.5)
    assert [axis.images[0].get_clim() for axis in figure.axes] == [(0, pytest.approx(white))] * 2


def test_command_and_python_give_the_same(
    checkpoint: Path, twix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out.h5"
    command = [str(twix), "--checkpoint", str(checkpoint), "--output", str(out), "--device", "cpu"]
    assert main(command) == 0
    printed = capsys.readouterr()
    first, *rest = printed.out.splitlines()
    assert first.startswith("meas.dat (Siemens TWIX, t2_tse): 2 slices, 2 coils, k-space 64 x 40")
    assert first.endswith(f"fully sampled; reconstructed by CLGNet to {out}")
    assert [line for line in rest if line.startswith("warning: ")] == rest[-1:]
    assert "2/2" in printed.err  # the progress bar
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfDomain)
        expected = reconstruct_scan(twix, str(checkpoint), device="cpu")
    with h5py.File(out) as file:
        np.testing.assert_array_equal(file["reconstruction"][()], expected)
    settings = read_settings(out)
    assert settings is not None and settings["mask"] is None

    assert main([*command, "--measurement", "2", "--overwrite"]) == 1
    assert "no measurement 2; it holds 1: noname" in capsys.readouterr().err
    assert main(command) == 1
    assert "out.h5: exists; give another output, or overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite", *MASK]) == 0
    assert "undersampled (mask random, 4x), reconstructed by" in capsys.readouterr().out


def test_the_example_needs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["example", "--model", "zero_filled", "--output", "out.h5", "--device", "cpu", *MASK]
    assert main(command) == 0
    assert "t2_tse_brain" in capsys.readouterr().out
    with h5py.File("out.h5") as file:
        expected = undersample(example_slice(), Mask("random", (4,), (0.08,))).images()
        np.testing.assert_allclose(file["reconstruction"][()], expected, rtol=1e-4, atol=1e-9)
    # a file of that name comes first
    Path("example").write_bytes(b"nothing")
    assert main([*command, "--overwrite"]) == 1


def test_nifti_has_the_scans_geometry(twix: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.nii.gz"
    assert main(["--model", "zero_filled", "--output", str(out), str(twix)]) == 0
    image, scan = nibabel.load(out), read_scan(twix)
    assert isinstance(image, nibabel.Nifti1Image) and scan.affine is None
    assert image.header.get_zooms() == (2.0, 2.0, 1.0) and int(image.header["sform_code"]) == 0

    images = np.random.default_rng(0).random((2, 16, 20), np.float32)
    write_images(out, images, volume(affine=AXIAL), "CLGNet", {})
    image = nibabel.Nifti1Image.from_filename(out)
    np.testing.assert_allclose(image.affine, AXIAL)
    assert int(image.header["sform_code"]) == 1
    assert image.header["descrip"].tobytes().rstrip(b"\0") == b"CLGNet reconstruction"
    write_images(out, images, volume(), "CLGNet", {})
    header = nibabel.Nifti1Image.from_filename(out).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    assert header.get_xyzt_units() == ("unknown", "unknown")
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), images.transpose(1, 2, 0))


def test_dicom_series(tmp_path: Path) -> None:
    """DICOM and NIfTI put every pixel in the same place."""
    images = np.random.default_rng(0).random((2, 16, 20), np.float32)
    protocol = "Kopf \N{LATIN SMALL LETTER U WITH DIAERESIS}\\T2"
    scan = volume(affine=AXIAL, pixel_mm=(3.0, 2.0), acquisition=protocol)
    paths = write_images(tmp_path / "out.dcm", images, scan, "CLGNet", {"model": "clgnet"})
    assert [path.name for path in paths] == ["out_001.dcm", "out_002.dcm"]
    files = [pydicom.dcmread(path) for path in paths]
    for i, file in enumerate(files):
        assert file.SOPClassUID.name == "MR Image Storage"
        assert file.SeriesDescription == "CLGNet reconstruction"
        assert file.DerivationDescription.endswith("by CLGNet, a neural network")
        assert file.ProtocolName == protocol.replace("\\", " ")  # which would divide two values
        assert list(file.ImageType)[:3] == ["DERIVED", "SECONDARY", "M"]
        assert file.PatientName == "" and file.InstanceNumber == i + 1
        shown = file.pixel_array * float(file.RescaleSlope)
        np.testing.assert_allclose(shown, images[i], atol=images.max() / 4095)
        across, down = np.reshape([float(one) for one in file.ImageOrientationPatient], (2, 3))
        height, width = (float(one) for one in file.PixelSpacing)
        corner = np.array([float(one) for one in file.ImagePositionPatient])
        place = corner + 5 * height * down + 7 * width * across  # row 5, column 7
        np.testing.assert_allclose(place * [-1, -1, 1], (AXIAL @ [5, 7, i, 1])[:3], atol=1e-6)
    assert len({file.SOPInstanceUID for file in files}) == 2
    assert files[0].SeriesInstanceUID == files[1].SeriesInstanceUID
    settings = {"model": "zero_filled"}
    (again,) = write_images(tmp_path / "one.dcm", images[:1], volume(), "zero-filled", settings)
    other = pydicom.dcmread(again)
    assert other.DerivationDescription == "Reconstructed from raw data by zero-filled"
    assert other.SOPClassUID.name == "Secondary Capture Image Storage"
    assert "PixelSpacing" not in other
    assert other.SeriesInstanceUID != files[0].SeriesInstanceUID


def test_the_output_is_checked_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [str(tmp_path / "missing.dat"), "--model", "zero_filled", "--output"]
    assert main([*command, str(tmp_path / "a.jpg")]) == 1
    assert "ends in .h5, .nii.gz, .nii, .png, .dcm" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "a.png")]) == 1
    error = capsys.readouterr().err
    assert "missing.dat: no such file" in error and "or the word example" in error
    (tmp_path / "b.h5").mkdir()
    example = ["example", *command[1:], str(tmp_path / "b.h5"), "--overwrite"]
    assert main(example) == 1
    assert "b.h5: is a folder; expected the name of a file" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert main([*command, str(tmp_path / "a.dcm")]) == 1
    assert "pip install 'fastmri_clgnet[dicom]'" in capsys.readouterr().err


def test_a_scan_is_not_overwritten_by_its_output(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.h5"
    shutil.copy(small_dataset / "singlecoil_test" / "e.h5", path)
    before = path.read_bytes()
    assert main([str(path), "--model", "zero_filled", "--output", str(path), "--overwrite"]) == 1
    assert "is the scan itself" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_series_is_not_mixed_with_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("o_001.dcm", "o_002.dcm", "other_001.dcm"):
        (tmp_path / name).touch()
    command = ["example", "--model", "zero_filled", "--output", str(tmp_path / "o.dcm")]
    assert main([*command, "--overwrite"]) == 1
    assert "o_001.dcm: would stand among the 1 slices" in capsys.readouterr().err
    assert not (tmp_path / "o.dcm").exists()


def test_the_documentations_lines(
    twix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfDomain)
        exec(python_block("scan"), {})
    assert Path("example.png").is_file() and Path("brain.png").is_file()


def test_help_of_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    """That of folders names the other one, which needs no file."""
    texts = []
    for words in (["--help"], ["SCAN", "--help"]):
        with pytest.raises(SystemExit):
            main(words)
        texts.append(" ".join(capsys.readouterr().out.split()))
    assert "python -m fastmri_clgnet.reconstruct SCAN --help shows" in texts[0]
    assert "--measurement" in texts[1] and "--data_path" not in texts[1]
