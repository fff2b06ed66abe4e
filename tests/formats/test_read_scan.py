"""What a file is, by its contents; files as other programs write them; files that are refused."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from fastmri_clgnet import example_slice, read_scan, reconstruct_scan
from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import NumPy
from fastmri_clgnet.formats.hdf5 import open_hdf5
from fastmri_clgnet.formats.header import ismrmrd_header
from fastmri_clgnet.formats.numpy_arrays import Axis
from fastmri_clgnet.formats.read_scan import Reading
from fastmri_clgnet.inference.scan_file import reconstruct_file
from tests.conversion.host import blobs, fft2c

ROWS, COLUMNS = 32, 20


@pytest.fixture(scope="module")
def kspace() -> np.ndarray:
    """Two slices of three coils, complex64."""
    return fft2c(blobs(0, 2, 3, ROWS, COLUMNS)).astype(np.complex64)


def write_bart(path: Path, kspace: np.ndarray) -> Path:
    """Write `.cfl` and `.hdr` of (slices, coils, rows, columns)."""
    array = kspace.transpose(2, 3, 1, 0)[:, :, None].reshape(
        ROWS, COLUMNS, 1, kspace.shape[1], *[1] * 9, len(kspace)
    )
    sizes = " ".join(map(str, [*array.shape, 1, 1]))
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{sizes} \n", encoding="utf-8")
    array.astype("<c8").ravel(order="F").tofile(path.with_suffix(".cfl"))
    return path


def write_numpy(path: Path, kspace: np.ndarray) -> Path:
    with path.open("wb") as file:
        np.save(file, kspace)
    return path


def write_npz(path: Path, kspace: np.ndarray) -> Path:
    with path.open("wb") as file:
        np.savez(file, kspace=kspace)
    return path


def write_fastmri(path: Path, kspace: np.ndarray) -> Path:
    write_fastmri_file(path, kspace, recon_size=(16, 20), acquisition="AXT2", pixel_mm=(2, 3))
    return path


WRITERS = {
    "BART": write_bart,
    "NumPy": write_numpy,
    "NumPy archive": write_npz,
    "fastMRI": write_fastmri,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_formats_are_recognised_by_content(kind: str, tmp_path: Path, kspace: np.ndarray) -> None:
    """None of the names has a suffix that says it."""
    scan = read_scan(WRITERS[kind](tmp_path / "scan", kspace))
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert scan.kind == kind.removesuffix(" archive")
    assert scan.mask is None and "fully sampled" in str(scan)
    if kind == "fastMRI":
        assert (scan.recon_size, scan.pixel_mm, scan.acquisition) == ((16, 20), (2, 3), "AXT2")


@pytest.mark.parametrize("suffix", [".cfl", ".hdr"])
def test_either_file_of_barts_pair(suffix: str, tmp_path: Path, kspace: np.ndarray) -> None:
    write_bart(tmp_path / "scan", kspace)
    np.testing.assert_array_equal(read_scan(tmp_path / f"scan{suffix}").kspace, kspace)
    (tmp_path / "scan.hdr").unlink()
    with pytest.raises(InputError, match=r"no (such file|scan.hdr beside it)"):
        read_scan(tmp_path / f"scan{suffix}")


@pytest.mark.parametrize("channels", [1, 4])
def test_calgary_campinas(channels: int, tmp_path: Path) -> None:
    images = blobs(0, 3, channels, ROWS, COLUMNS)
    kspace = np.fft.fft2(images)
    path = tmp_path / "scan"
    if channels == 1:
        write_numpy(path, np.stack([kspace[:, 0].real, kspace[:, 0].imag], axis=-1))
    else:
        parts = np.stack([kspace.real, kspace.imag], axis=2).reshape(3, -1, ROWS, COLUMNS)
        with h5py.File(path, "w") as file:
            file["kspace"] = parts.transpose(0, 2, 3, 1).astype(np.float32)
    scan = read_scan(path)
    assert scan.kind == "Calgary-Campinas"
    centred = np.fft.fftshift(
        np.fft.ifft2(np.fft.ifftshift(scan.kspace, axes=(-2, -1)), norm="ortho"), axes=(-2, -1)
    )
    expected = np.abs(images if channels > 1 else images[:, 0])
    np.testing.assert_allclose(np.abs(centred), expected, atol=1e-5)


def test_a_mask_is_read_and_trimmed_to_what_was_acquired(
    tmp_path: Path, kspace: np.ndarray
) -> None:
    mask = np.zeros(COLUMNS, bool)
    mask[3:17:3] = mask[8:12] = True
    write_fastmri_file(tmp_path / "whole.h5", kspace * mask, mask=mask)
    with h5py.File(tmp_path / "whole.h5", "r+") as file:
        file["kspace"][:] = kspace
    whole = read_scan(tmp_path / "whole.h5")
    assert whole.notes == ("signal outside the mask is left out",)
    np.testing.assert_array_equal(whole.kspace, kspace * mask)
    write_fastmri_file(tmp_path / "a.h5", kspace * mask, mask=mask, acquired=(3, 17))
    scan = read_scan(tmp_path / "a.h5")
    np.testing.assert_array_equal(scan.sampled(), mask)
    assert "5 calibration lines" in str(scan)


def test_what_zeros_say_is_said(tmp_path: Path, kspace: np.ndarray) -> None:
    """Arrays have no other mask. Lines that were acquired and hold nothing stay sampled."""
    mask = np.zeros(COLUMNS, bool)
    mask[::3] = mask[8:12] = True
    scan = read_scan(write_numpy(tmp_path / "a.npy", kspace * mask))
    np.testing.assert_array_equal(scan.sampled(), mask)
    assert any("told by zeros" in note for note in scan.notes)
    write_fastmri_file(tmp_path / "a.h5", kspace * mask, mask=np.ones(COLUMNS, bool))
    assert read_scan(tmp_path / "a.h5").sampled().all()


def test_attributes_as_other_programs_write_them(tmp_path: Path, kspace: np.ndarray) -> None:
    """Bytes of fixed length, arrays of one element, float32, the header as an array of one."""
    header = ismrmrd_header((ROWS, COLUMNS), (16, 18), None, (2.0, 3.0))
    headers = {
        "text": header.decode(),
        "bytes": np.bytes_(header),
        "array of bytes": np.array([header]),
        "array of text": np.array([header.decode()], h5py.string_dtype()),
    }
    acquisitions = ["AXT2", np.bytes_(b"AXT2"), np.array([b"AXT2"]), np.array(b"AXT2", "S8")]
    for (name, stored), acquisition in zip(headers.items(), acquisitions, strict=True):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["kspace"], file["ismrmrd_header"] = kspace, stored
            file["mask"] = np.ones((1, COLUMNS, 1), np.float32)
            file.attrs["acquisition"] = acquisition
            file.attrs["max"] = np.array([1e-4], np.float32)
        scan = read_scan(tmp_path / f"{name}.h5")
        assert (scan.recon_size, scan.pixel_mm) == ((16, 18), (2.0, 3.0)), name
        assert scan.acquisition == "AXT2", name
        np.testing.assert_array_equal(scan.kspace, kspace)


def test_without_a_header_the_image_is_as_large_as_the_kspace(
    tmp_path: Path, kspace: np.ndarray
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = kspace
    scan = read_scan(tmp_path / "a.h5")
    assert scan.recon_size == (ROWS, COLUMNS)
    assert any("no ismrmrd_header" in note for note in scan.notes)


COMPRESS = """
import h5py, hdf5plugin, numpy, sys
for name in ("Blosc", "Bitshuffle"):
    with h5py.File(f"{sys.argv[1]}/{name}.h5", "w") as file:
        options = getattr(hdf5plugin, name)()
        file.create_dataset("kspace", data=numpy.ones((2, 32, 20), "c8"), chunks=True, **options)
"""


def test_compression_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hdf5plugin the error names filter and package; with it the file is read."""
    # in another process: what hdf5plugin makes known stays known
    subprocess.run([sys.executable, "-c", COMPRESS, tmp_path], check=True)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "hdf5plugin", None)
        for name in ("Blosc", "Bitshuffle"):
            message = f"'kspace' is compressed by the filter {name.lower()} .*install hdf5plugin"
            with pytest.raises(InputError, match=message):
                read_scan(tmp_path / f"{name}.h5")
    for name in ("Blosc", "Bitshuffle"):
        np.testing.assert_array_equal(read_scan(tmp_path / f"{name}.h5").kspace, 1)


def test_a_file_that_is_open_for_writing(tmp_path: Path, kspace: np.ndarray) -> None:
    path = write_fastmri(tmp_path / "a.h5", kspace)
    program = (
        "import h5py, sys\nfile = h5py.File(sys.argv[1], 'r+'); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        for read in (read_scan, lambda path: open_hdf5(path).__enter__()):
            with pytest.raises(InputError, match="another program has it open for writing"):
                read(path)
        writer.communicate(b"")
    np.testing.assert_array_equal(read_scan(path).kspace, kspace)


def test_poisson_disc_and_2d_masks_are_refused(tmp_path: Path, kspace: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    scattered = kspace * (rng.random((ROWS, COLUMNS)) < 0.25)
    elsewhere = "reconstruct (this one|it) elsewhere .mrpro, sigpy, torchkbnufft"
    path = write_numpy(tmp_path / "a.npy", scattered)
    with pytest.raises(InputError, match=f"in two dimensions .such as Poisson-disc.*{elsewhere}"):
        read_scan(path)
    write_bart(tmp_path / "b", scattered)
    with pytest.raises(InputError, match=elsewhere):
        read_scan(tmp_path / "b.cfl")
    with pytest.raises(InputError, match=elsewhere):  # whatever the first axis is
        read_scan(write_numpy(tmp_path / "c.npy", scattered[0]))
    write_fastmri(tmp_path / "d.h5", kspace)
    with h5py.File(tmp_path / "d.h5", "r+") as file:
        file["mask"] = np.ones((ROWS, COLUMNS), bool)
    with pytest.raises(InputError, match=f"a mask .* of two dimensions.*{elsewhere}"):
        read_scan(tmp_path / "d.h5")


def test_axes_and_centre_are_inspected_in_every_format(tmp_path: Path, kspace: np.ndarray) -> None:
    """Undersampled rows, rows in the place of columns, half of the shifts."""
    path = tmp_path / "a.h5"
    write_fastmri_file(path, kspace)
    with h5py.File(path, "r+") as file:
        del file["kspace"]
        file["kspace"] = np.ascontiguousarray(kspace.swapaxes(-1, -2))
    with pytest.raises(InputError, match="20 rows and 32 columns, but the header's matrix has 32"):
        read_scan(path)
    regular = np.zeros((ROWS, COLUMNS), bool)
    regular[::2, ::2] = regular[14:18] = True
    half = np.fft.ifftshift(kspace, axes=-2)
    for wrong, message in (
        (kspace * regular, "in two dimensions"),
        (kspace * (np.arange(ROWS) % 2 == 0)[:, None], "only 16 of 32 rows are sampled"),
        (half, "the centre of k-space is in row 0 and column 10 of 32 x 20"),
    ):
        write_bart(tmp_path / "b.cfl", wrong)
        write_numpy(tmp_path / "c.npy", wrong)
        with h5py.File(tmp_path / "d.h5", "w") as file:
            file["kspace"] = wrong
        for name in ("b.cfl", "c.npy", "d.h5"):
            with pytest.raises(InputError, match=f"{name}: .*{message}"):
                read_scan(tmp_path / name)


def test_spokes_are_refused(tmp_path: Path) -> None:
    """Radial data without a trajectory: every column has the centre of k-space in its middle."""
    rng = np.random.default_rng(0)
    echo = 1 / (1 + np.abs(np.arange(64) - 32.0)) ** 2
    spokes = echo[:, None] * np.exp(2j * np.pi * rng.random((1, 1, 64, 40)))
    path = write_numpy(tmp_path / "a.npy", spokes.astype(np.complex64))
    with pytest.raises(InputError, match=r"every column holds the centre .* .mrpro, sigpy"):
        read_scan(path)
    one = spokes * (np.arange(40) == 20)  # a line is no spoke
    assert read_scan(write_numpy(path, one.astype(np.complex64))).sampled().sum() == 1


def test_axes_of_arrays(tmp_path: Path, kspace: np.ndarray) -> None:
    path = write_numpy(tmp_path / "a.npy", kspace[0])
    with pytest.raises(InputError, match="first axis may be slices or coils: name the axes"):
        read_scan(path)
    scan = read_scan(path, Reading(axes=("coil", "row", "column"), recon_size=(16, 20)))
    np.testing.assert_array_equal(scan.kspace, kspace[:1])
    assert scan.recon_size == (16, 20)
    with pytest.raises(InputError, match="recon_size 33 20 does not fit"):
        read_scan(path, Reading(axes=("coil", "row", "column"), recon_size=(33, 20)))
    one = write_numpy(tmp_path / "b.npy", kspace[0, 0])
    np.testing.assert_array_equal(read_scan(one).kspace, kspace[:1, 0])
    np.testing.assert_array_equal(
        read_scan(one, reader=NumPy(("row", "column"))).kspace, kspace[:1, 0]
    )
    images = write_numpy(tmp_path / "c.npy", np.abs(kspace))
    with pytest.raises(InputError, match="of float32; expected complex k-space"):
        read_scan(images)


def test_arrays_with_the_centre_in_the_corner(tmp_path: Path) -> None:
    """np.fft.fft2 without shifts: the image is the same, to NumPy's own scale."""
    images = blobs(0, 1, 2, ROWS, COLUMNS)
    path = write_numpy(tmp_path / "a.npy", np.fft.fft2(images, norm="ortho").astype(np.complex64))
    scan = read_scan(path)
    np.testing.assert_allclose(scan.kspace, fft2c(images), atol=1e-5)
    assert scan.kind == "NumPy, centre of k-space in the corner"
    assert "taken for np.fft.fft2(image), convention 'plain'" in scan.notes[0]


@pytest.mark.parametrize("kind", WRITERS)
def test_an_array_without_signal_or_with_nan_is_refused(
    kind: str, tmp_path: Path, kspace: np.ndarray
) -> None:
    """Before anything is guessed from it; of fastMRI's files as other programs write them."""

    def write(path: Path, kspace: np.ndarray) -> Path:
        if kind != "fastMRI":
            return WRITERS[kind](path, kspace)
        with h5py.File(path, "w") as file:
            file["kspace"] = kspace
        return path

    with pytest.raises(
        InputError, match=r"a(.cfl)?: the k-space is zero everywhere: it holds no signal"
    ):
        read_scan(write(tmp_path / "a", np.zeros_like(kspace)))
    for value in (np.nan, np.inf):
        damaged = kspace.copy()
        damaged[1, 0, 0, 0] = value
        with pytest.raises(InputError, match=r"b(.cfl)?: the k-space of slice 1 holds NaN or Inf"):
            read_scan(write(tmp_path / "b", damaged))


def test_a_pixel_size_that_is_not_said_is_unknown(tmp_path: Path, kspace: np.ndarray) -> None:
    """Also after a conversion, whose header has a field of view of 0."""
    with h5py.File(tmp_path / "without_header.h5", "w") as file:
        file["kspace"] = kspace
    write_fastmri_file(tmp_path / "converted.h5", kspace)
    write_bart(tmp_path / "bart.cfl", kspace)
    for name in ("without_header.h5", "converted.h5", "bart.cfl"):
        scan = read_scan(tmp_path / name)
        assert scan.pixel_mm is None
        assert "image 32 x 20, pixel size unknown, fully sampled" in str(scan)


def empty(path: Path) -> None:
    path.touch()


def folder(path: Path) -> None:
    path.mkdir()


def other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["image"] = np.ones(3)


def real_kspace(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["kspace"] = np.ones((2, 3, 4))


def array(*shape: int, dtype: str = "c8") -> Callable[[Path], object]:
    """Of a format that tells by the contents; the centre of k-space is in the middle."""

    def write_it(path: Path) -> None:
        with path.open("wb") as file:
            images = np.random.default_rng(0).random(shape)
            kspace = np.fft.fftshift(np.fft.fftn(images))
            np.save(file, np.abs(kspace) if dtype == "f4" else kspace.astype(dtype))

    return write_it


def channels_last(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["kspace"] = np.ones((3, 64, 48, 4), complex)


def real_pairs(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["kspace"] = np.ones((3, 64, 48, 2))


def averages(path: Path) -> None:
    """As fastMRI's prostate data: averages in front, too large to be read at once."""
    with h5py.File(path, "w") as file:
        file.create_dataset("kspace", (3, 31, 20, 640, 451), "c8")


def compound_mask(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["kspace"] = np.ones((2, 32, 20), np.complex64)
        file["mask"] = np.zeros(20, [("a", "i4"), ("b", "i4")])


def frames_of_matlab(path: Path) -> None:
    with path.open("wb") as file:
        savemat(file, {"x": np.ones((32, 24, 3, 2, 4), complex)})


def text_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.full((16, 16, 2, 2), "text"))


def changed(path: Path) -> None:
    """An archive with a wrong byte in its compressed header of an array."""
    with path.open("wb") as file:
        np.savez_compressed(file, kspace=np.ones((64, 48), complex))
    contents = bytearray(path.read_bytes())
    contents[60] ^= 0xFF
    path.write_bytes(contents)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (array(64), r"an array \(64,\); expected rows and columns"),
        (array(3, 64, 48, 4), r"\(3, 64, 48, 4\); .* no rows and columns: name the axes"),
        (array(2, 64, 48, 16), r"\(2, 64, 48, 16\); .* no rows and columns: name the axes"),
        (array(64, 48, 1, 4), r"\(64, 48, 1, 4\); .* no rows and columns: name the axes"),
        (channels_last, r"\(3, 64, 48, 4\); .* no rows and columns: transpose"),
        (array(3, 64, 48, 2, dtype="f4"), "imaginary parts, .* name the axes"),
        (real_pairs, "'kspace' .* real and imaginary part last; store it as complex"),
        (
            array(4, 2, 3, 32, 20),
            r"\(4, 2, 3, 32, 20\) of 5 axes; expected at most slice coil row column: save one",
        ),
        (averages, r"\(3, 31, 20, 640, 451\); expected .* averages that measured different"),
        (compound_mask, r"expected a mask of 20 columns, .* got \(20,\)"),
        (frames_of_matlab, "x 32x24x3x2x4 has 5 axes; expected at most row column coil slice"),
        (text_array, "an array of <U4; expected numbers"),
        (lambda path: path.write_bytes(struct.pack("<II", 1, 1) + 400 * b"\xff"), "no known"),
        (changed, "not a NumPy array that can be read"),
        (lambda path: None, "no such file"),
        (empty, "an empty file"),
        (folder, "a folder, expected the file of one scan"),
        (lambda path: path.write_bytes(b"text" * 200), "of no known format; expected Siemens"),
        (lambda path: path.write_bytes(bytes(128) + b"DICM"), "an image .DICOM., which holds no"),
        (lambda path: path.write_bytes(b"\x1f\x8b" + bytes(400)), "an image .NIfTI"),
        (lambda path: path.write_bytes(bytes(344) + b"n+1\0" + bytes(9)), "an image .NIfTI"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v"), "not a NumPy array"),
        (other_hdf5, "an HDF5 file that holds image; expected"),
        (real_kspace, "k-space of type float64; expected complex"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "HDF5 file"),
    ],
)
def test_files_that_are_no_scan(
    write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    write(tmp_path / "scan")
    with pytest.raises(InputError, match=f"scan: .*{message}"):
        read_scan(tmp_path / "scan")


def test_choices_that_a_file_does_not_have(tmp_path: Path, kspace: np.ndarray) -> None:
    path = write_fastmri(tmp_path / "a.h5", kspace)
    assert read_scan(path, Reading(measurement=1)).kspace.shape == kspace.shape
    with pytest.raises(InputError, match="holds one measurement; contrast 1 is not in it"):
        read_scan(path, Reading(contrast=1))
    axes: tuple[Axis, ...] = ("coil", "row", "column")
    with pytest.raises(InputError, match=r"a\.h5: .*its format says which axes .*; omit axes"):
        read_scan(path, Reading(axes=axes))
    np.save(tmp_path / "a.npy", kspace[0])
    with pytest.raises(InputError, match=r"a\.npy: give set axes to the reader, NumPy"):
        read_scan(tmp_path / "a.npy", Reading(set=1, axes=axes), reader=NumPy(axes))
    scan = read_scan(tmp_path / "a.npy", reader=NumPy(axes))
    with pytest.raises(InputError, match="has been read already"):
        reconstruct_scan(scan, model="zero_filled", reading=Reading(axes=axes))
    with pytest.raises(InputError, match="example: is one slice"):
        reconstruct_file(Path("example"), tmp_path / "b.h5", reading=Reading(set=1))


def test_the_example_is_a_brain() -> None:
    scan = example_slice()
    assert scan.kspace.shape == (1, 4, 256, 256) and scan.kspace.dtype == np.complex64
    assert "CC BY 4.0" in str(scan.attributes["source"])
    energy = (np.abs(scan.kspace) ** 2).sum(axis=(0, 1))
    assert np.unravel_index(energy.argmax(), energy.shape) == (128, 128)


def test_the_example_is_the_original_without_its_oversampling(test_data: Path) -> None:
    original = np.load(test_data / "brain_raw_4ch" / "t2_tse_slice.npz")["kspace"]

    def image(kspace: np.ndarray) -> np.ndarray:
        axes = (-2, -1)
        shifted = np.fft.ifftshift(kspace.astype(np.complex128), axes=axes)
        transformed: np.ndarray = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=axes)
        return transformed

    whole, ours = image(original), image(example_slice().kspace)
    np.testing.assert_allclose(ours, whole[..., 128:384, :], atol=1e-9 + 1e-6 * np.abs(ours).max())
