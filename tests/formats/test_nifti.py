"""NIfTI volumes through the command and the host."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Nifti
from tests.conversion.host import assert_good, assert_host_gives, blobs

TRAIN = ["--split", "1", "0", "0", "--num_workers", "1", "--from", "nifti"]


def _write(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_magnitudes_in_radiological_order(plane: str, tmp_path: Path) -> None:
    """Stored as (superior, left, anterior): the plane follows the file's orientation."""
    volume = np.abs(blobs(0, 17, 16, 18)).astype(np.float32)  # right, anterior, superior
    affine = np.zeros((4, 4))
    affine[[2, 0, 1, 3], [0, 1, 2, 3]] = 3.0, -2.0, 1.0, 1.0
    _write(tmp_path / "in" / "sub-01_T1w.nii.gz", volume[::-1].transpose(2, 0, 1), affine)
    assert (
        main(
            [str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN, "--plane", plane, "--noise", "0"]
        )
        == 0
    )
    expected = {
        "axial": volume.transpose(2, 1, 0),
        "coronal": volume.transpose(1, 2, 0),
        "sagittal": volume.transpose(0, 2, 1),
    }[plane][:, ::-1, ::-1]
    folder = tmp_path / "out" / "singlecoil_train"
    assert_host_gives(folder, {"sub-01_T1w.h5": expected.copy()}, 2e-6)
    assert_good(tmp_path / "out")


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("micron", 1e-3), ("meter", 1e3)])
def test_pixel_sizes_are_in_millimetres(unit: str, factor: float, tmp_path: Path) -> None:
    stored = nibabel.Nifti1Image(np.abs(blobs(0, 17, 16, 18)), np.diag([2.0, 3.0, 4.0, 1.0]))
    stored.header.set_xyzt_units(unit)
    nibabel.save(stored, tmp_path / "a.nii")
    scan = Nifti().read(tmp_path / "a.nii", (0,))
    assert scan.pixel_mm == pytest.approx((3 * factor, 2 * factor))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_thick_slices_of_another_plane_are_noticed(plane: str, tmp_path: Path) -> None:
    volume = np.abs(blobs(0, 17, 16, 18))
    sizes = np.diag([1.0, 2.5, 0.9, 1.0])  # in micron
    stored = nibabel.Nifti1Image(volume, 1000 * sizes)
    stored.header.set_xyzt_units("micron")
    nibabel.save(stored, tmp_path / "a.nii")
    note = "slices of 2.5 mm lie in plane coronal: give plane coronal"
    scan = Nifti(plane=plane).read(tmp_path / "a.nii", (0,))  # type: ignore[arg-type]
    assert scan.notes == (() if plane == "coronal" else (note,))
    _write(tmp_path / "b.nii", volume, np.diag([1.0, 1.4, 1.0, 1.0]))
    assert Nifti(plane=plane).read(tmp_path / "b.nii", (0,)).notes == ()  # type: ignore[arg-type]


def test_slices_of_another_plane_may_be_large_enough(tmp_path: Path) -> None:
    _write(tmp_path / "a.nii", np.ones((20, 3, 24), np.float32), np.eye(4))
    message = "axial images of 3 x 20 pixels; expected 16 x 16 or more: give plane coronal"
    with pytest.raises(InputError, match=message):
        Nifti().read(tmp_path / "a.nii", (0,))
    assert Nifti(plane="coronal").read(tmp_path / "a.nii", (0,)).kspace.shape == (3, 24, 20)


def test_simulation_is_marked_seeded_and_of_the_right_size(tmp_path: Path) -> None:
    volume = np.ones((24, 24, 3), np.float32)
    for name in ("a", "b"):
        _write(tmp_path / "in" / f"{name}.nii", volume, np.eye(4))
    for out in ("x", "y"):
        assert main([str(tmp_path / "in"), str(tmp_path / out), *TRAIN, "--noise", "0.05"]) == 0
    files = [tmp_path / "x" / "singlecoil_train" / f"{name}.h5" for name in ("a", "b")]
    with h5py.File(files[0]) as a, h5py.File(files[1]) as b:
        assert "phase and noise are simulated" in a.attrs["simulated"]
        assert a.attrs["simulated_noise"] == 0.05
        noise = a["reconstruction_esc"][()] - 1
        # of a large magnitude, noise is the real part's
        assert np.std(noise) == pytest.approx(0.05, rel=0.1)
        assert not np.array_equal(a["kspace"], b["kspace"])
        phase = np.angle(np.fft.ifft2(np.fft.ifftshift(a["kspace"][0])))
        assert np.std(phase) > 0.05
    other = tmp_path / "y" / "singlecoil_train" / "a.h5"
    assert files[0].read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((4, 4, 4, 2), np.float32), "expected one volume of magnitude images"),
        (np.full((4, 4, 4), -1, np.float32), "which are not negative"),
        (np.full((4, 4, 4), np.nan, np.float32), "NaN or Inf"),
        (np.ones((20, 20), np.float32), "expected one volume of magnitude images, got .20, 20"),
        (np.ones((8, 8, 4), np.float32), "images of 8 x 8 pixels; expected 16 x 16 or more"),
        (None, "not a NIfTI file"),
    ],
)
def test_other_files_are_refused(values: np.ndarray | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    if values is None:
        path.write_bytes(b"nothing")
    else:
        _write(path, values, np.eye(4))
    with pytest.raises(InputError, match=f"a.nii: .*{message}"):
        Nifti().read(path, (0,))


def test_a_damaged_compressed_file_is_refused(tmp_path: Path) -> None:
    """Nibabel does not read its checksum."""
    path = tmp_path / "a.nii.gz"
    _write(path, np.random.default_rng(0).random((20, 20, 3), np.float32), np.eye(4))
    Nifti().read(path, (0,))
    contents = bytearray(path.read_bytes())
    contents[-6] ^= 1  # of the checksum
    path.write_bytes(contents)
    with pytest.raises(InputError, match=r"a\.nii\.gz: .*CRC check failed"):
        Nifti().read(path, (0,))


def test_a_singular_geometry_is_that_files_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of which nibabel says so by an error of its own."""
    volume = np.ones((20, 20, 3), np.float32)
    for name in ("a", "b"):
        _write(tmp_path / "in" / f"{name}.nii", volume, np.eye(4))
    contents = bytearray((tmp_path / "in/a.nii").read_bytes())
    contents[252:256], contents[280:328] = b"\0\0\2\0", bytes(48)  # sform_code 2, of zeros
    (tmp_path / "in/a.nii").write_bytes(contents)
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]) == 1
    assert f"error: {tmp_path / 'in/a.nii'}: not a NIfTI file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("out/*/*.h5")] == ["b.h5"]
