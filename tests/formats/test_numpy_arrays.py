"""NumPy arrays through the command and the host."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import NumPy
from fastmri_clgnet.formats.numpy_arrays import Axis
from fastmri_clgnet.formats.read_scan import read_scan
from tests.conversion.host import assert_good, assert_host_gives, blobs, fft2c

TRAIN = ["--split", "1", "0", "0", "--num_workers", "1", "--from", "numpy"]

PLANES: tuple[Axis, ...] = ("slice", "row", "column")


def _convert(tmp_path: Path, *flags: str) -> Path:
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN, *flags]) == 0
    assert_good(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for the arrays."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_kspace_with_named_axes_oversampled_and_multicoil(folder: Path, tmp_path: Path) -> None:
    """Axes in another order, real and imaginary part in front, twice as many rows as needed."""
    images = blobs(0, 3, 2, 32, 20)
    kspace = np.fft.fft2(images)
    stored = np.stack([kspace.real, kspace.imag]).transpose(0, 2, 4, 3, 1)
    np.savez(folder / "a.npz", kspace=stored, other=0)
    flags = ["--axes", "complex", "coil", "column", "row", "slice", "--convention", "plain"]
    out = _convert(tmp_path, *flags, "--norm", "backward", "--recon_size", "16", "20")
    rss = np.sqrt((np.abs(images) ** 2).sum(axis=1))[:, 8:24]
    assert_host_gives(out / "multicoil_train", {"a.h5": rss}, 2e-6)


def test_complex_images(folder: Path, tmp_path: Path) -> None:
    images = blobs(0, 3, 17, 20)
    np.save(folder / "a.npy", images)
    out = _convert(tmp_path, "--axes", "slice", "row", "column", "--kind", "image")
    assert_host_gives(out / "singlecoil_train", {"a.h5": np.abs(images)}, 2e-6)
    with h5py.File(out / "singlecoil_train" / "a.h5") as file:
        assert "simulated" not in file.attrs


def test_magnitude_images_are_marked_as_simulated(folder: Path, tmp_path: Path) -> None:
    np.save(folder / "a.npy", np.abs(blobs(0, 20, 16)))
    flags = ["--axes", "row", "column", "--kind", "image", "--coils", "3", "--acquisition", "AXT2"]
    out = _convert(tmp_path, *flags)
    with h5py.File(out / "multicoil_train" / "a.h5") as file:
        assert file["kspace"].shape == (1, 3, 20, 16)
        assert "coil sensitivities and noise are simulated" in file.attrs["simulated"]
        assert file.attrs["acquisition"] == "AXT2"


def test_undersampled_kspace_is_a_test_volume(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros(20, bool)
    mask[8:12] = mask[::3] = True
    np.save(folder / "a.npy", fft2c(blobs(0, 2, 16, 20)) * mask)
    axes = ["--axes", "slice", "row", "column"]
    assert main([str(folder), str(tmp_path / "out"), *TRAIN, *axes]) == 1
    assert "a.npy: acquired undersampled (10 of 20 columns)" in capsys.readouterr().err
    test = ["--split", "0", "0", "1", "--from", "numpy", *axes]
    assert main([str(folder), str(tmp_path / "test"), *test]) == 0
    assert_good(tmp_path / "test")
    with h5py.File(tmp_path / "test" / "singlecoil_test" / "a.h5") as file:
        assert np.array_equal(file["mask"], mask)
        assert "reconstruction_esc" not in file
        assert (file.attrs["acceleration"], file.attrs["num_low_frequency"]) == (2, 5)


def test_columns_that_differ_between_slices_are_refused(folder: Path) -> None:
    """Together they fill all columns, and would pass for fully sampled; empty slices count not."""
    kspace = fft2c(blobs(0, 3, 16, 20))
    kspace[0, :, 1::2] = kspace[2, :, ::2] = kspace[1] = 0
    np.save(folder / "a.npy", kspace)
    with pytest.raises(InputError, match=r"a.npy: the slices have samples in different columns"):
        NumPy(PLANES).read(folder / "a.npy", (0,))
    kspace = fft2c(blobs(0, 3, 16, 20))
    kspace[1] = 0
    np.save(folder / "a.npy", kspace)
    assert NumPy(PLANES).read(folder / "a.npy", (0,)).mask is None


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        (NumPy(PLANES, key="empty"), "an empty array, of shape .0, 16, 20"),
        (NumPy(PLANES[1:]), "has 3 axes, but axes row column names 2"),
        (NumPy(("row", "column", "row")), "each name once"),
        (NumPy(("slice", "row", "coil")), "expected row and column"),
        (NumPy(("echo", "row", "column")), "axes echo .* of slice coil row column complex"),  # type: ignore[arg-type]
        (NumPy(PLANES, key="real"), "expected complex numbers"),
        (NumPy(PLANES, recon_size=(17, 20)), "does not fit into k-space of 16 rows"),
        (NumPy(PLANES, key="nothing"), "holds the arrays kspace real .* choose one"),
        (NumPy(PLANES, kind="image", key="negative"), "which are not negative"),
        (NumPy((*PLANES, "complex"), key="real"), "names 4"),
        (NumPy(PLANES, key="pickle"), "not a NumPy array that can be read"),
    ],
)
def test_what_does_not_fit_is_one_error(reader: NumPy, message: str, folder: Path) -> None:
    kspace = fft2c(blobs(0, 2, 16, 20))
    real = kspace.real
    np.savez(
        folder / "a.npz", kspace=kspace, real=real, negative=real - 1, empty=kspace[:0],
        pickle=np.array([{}], object),
    )  # fmt: skip
    with pytest.raises(InputError, match=message):
        reader.read(folder / "a.npz", (0,))


def test_damaged_and_empty_archives(tmp_path: Path) -> None:
    """A wrong byte in the list of an archive's arrays; none at all."""
    path = tmp_path / "a.npz"
    np.savez(path, kspace=fft2c(blobs(0, 16, 20)))
    contents = bytearray(path.read_bytes())
    contents[contents.rindex(b"PK\x01\x02")] = 0
    path.write_bytes(contents)
    np.savez(tmp_path / "b.npz")
    for name, message in (("a", "not a NumPy array that can be read"), ("b", "an empty archive")):
        for read in (read_scan, lambda path: NumPy(PLANES).read(path, (0,))):
            with pytest.raises(InputError, match=rf"{name}\.npz: {message}"):
                read(tmp_path / f"{name}.npz")


@pytest.mark.parametrize("n_coils", [None, 3])
def test_an_image_rolled_by_half_is_noticed(n_coils: int | None, tmp_path: Path) -> None:
    """As fftshift(fft2(image)) makes it, the centre of whose k-space is in the middle."""
    image = np.zeros((2, 64, 48), complex)
    image[:, 16:48, 12:36] = np.random.default_rng(0).random((2, 32, 24))
    coils = image if n_coils is None else np.stack([image * 1j**coil for coil in range(n_coils)], 1)
    axes: tuple[Axis, ...] = PLANES if n_coils is None else ("slice", "coil", "row", "column")
    shifted = np.fft.fftshift(np.fft.fft2(coils), axes=(-2, -1))
    np.save(tmp_path / "shifted.npy", shifted)
    np.save(tmp_path / "centred.npy", fft2c(coils))
    scan = read_scan(tmp_path / "shifted.npy", reader=NumPy(axes))
    assert any("give convention shifted" in note for note in scan.notes)
    for name, reader in (
        ("shifted.npy", NumPy(axes, convention="shifted")),
        ("centred.npy", NumPy(axes)),
    ):
        assert not read_scan(tmp_path / name, reader=reader).notes[1:]


def test_python_objects_are_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="holds Python objects; expected numbers"):
        read_scan(tmp_path / "a.npy")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_segmentations_are_no_images(dtype: type, folder: Path, tmp_path: Path) -> None:
    labels: np.ndarray = np.zeros((3, 32, 24), dtype)
    labels[:, 8:20, 8:20] = 1
    np.save(folder / "a_seg.npy", labels)
    reader = NumPy(PLANES, kind="image")
    with pytest.raises(InputError, match="holds only the values 0 1, as a segmentation"):
        reader.read(folder / "a_seg.npy", (0,))
    np.save(folder / "a.npy", labels * 0.5)  # a phantom
    reader.read(folder / "a.npy", (0,))
