"""Axes and centre of k-space: what is refused, and what must not be."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri_clgnet import example_slice, read_scan
from fastmri_clgnet.data.folders import inspect_folder
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.header import HeaderInfo, ismrmrd_header
from fastmri_clgnet.formats.orientation import inspect_axes, refuse_wrong_axes
from tests.conversion.host import blobs, fft2c

ROWS, COLUMNS = 64, 48
ROW, COLUMN = np.ogrid[:ROWS, :COLUMNS]
# every second row and column
REGULAR = (ROW % 2 == 0) & (COLUMN % 2 == 0)
CENTRAL_ROWS, CENTRAL_COLUMNS = abs(ROW - 32) < 6, abs(COLUMN - 24) < 6
ELLIPSE = (ROW - 32) ** 2 / 32**2 + (COLUMN - 24) ** 2 / 24**2 < 1
LINES = (COLUMN % 4 == 0) | CENTRAL_COLUMNS
ALL = np.ones((ROWS, COLUMNS), bool)
RANDOM = np.random.default_rng(0).random((ROWS, COLUMNS))


def data(rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """Three coils with noise, complex64."""
    kspace = fft2c(blobs(0, 3, rows, columns))
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, *kspace.shape)) * np.abs(kspace).max() / 100
    return (kspace + noise[0] + 1j * noise[1]).astype(np.complex64)


def header(
    encoded: tuple[int, int],
    recon: tuple[int, int] | None = None,
    acquired: tuple[int, int] | None = None,
) -> HeaderInfo:
    return HeaderInfo(encoded, recon or encoded, acquired or (0, encoded[1]), None)


@pytest.mark.parametrize("encoded", [(640, 368), (640, 213), (768, 396), (512, 256), (320, 320)])
def test_fastmris_own_matrices(encoded: tuple[int, int]) -> None:
    """Narrower than the image, and square ones; without oversampling, too."""
    kspace = data(*encoded)
    for recon in ((320, 320), (encoded[0] // 2, encoded[0] // 2)):
        assert inspect_axes(kspace, header(encoded, recon)) is None
        half = kspace[:, encoded[0] // 4 : -encoded[0] // 4]
        assert inspect_axes(half, header(encoded, recon)) is None


@pytest.mark.parametrize(
    "mask",
    [
        ALL, LINES, COLUMN % 4 == 2, (COLUMN > 14) & ALL, (ROW > 20) & ALL, (COLUMN > 14) & LINES,
        (ROW > 20) & LINES, (abs(ROW - 32) < 20) & ALL, (abs(COLUMN - 24) < 15) & ALL, ELLIPSE,
        ~CENTRAL_COLUMNS & ALL, RANDOM > 0.02, (abs(COLUMN - 24) < 2) & ALL,
    ],
)  # fmt: skip
def test_sampling_of_columns_and_zero_filled_edges(mask: np.ndarray) -> None:
    for kspace in (data() * mask, data()[0] * mask):
        assert inspect_axes(kspace, header((ROWS, COLUMNS))) is None
        assert inspect_axes(kspace) is None


def test_noise_and_small_sizes_and_rounded_values() -> None:
    rng = np.random.default_rng(2)
    for seed in range(50):
        rows, columns = (int(n) for n in rng.integers(1, 70, size=2))
        noise = rng.normal(size=(2, 1 + seed % 3, rows, columns))
        assert inspect_axes(noise[0] + 1j * noise[1]) is None
        if min(rows, columns) > 15:
            assert inspect_axes(np.round(0.6 * noise[0]) + 1j * np.round(0.6 * noise[1])) is None
        assert inspect_axes(fft2c(blobs(seed, 1, rows, columns)), header((rows, columns))) is None
    assert inspect_axes(np.zeros((3, ROWS, COLUMNS), complex)) is None
    assert inspect_axes(np.full((3, ROWS, COLUMNS), np.nan + 0j)) is None


def test_rows_in_the_place_of_columns() -> None:
    """By sizes, by a header whose columns are empty rows, and by rows that are left out."""
    turned = data().swapaxes(-1, -2)
    for recon in ((64, 48), (32, 48), (48, 48)):
        said = inspect_axes(turned, header((64, 48), recon))
        assert said is not None and "48 rows and 64 columns, but the header's matrix has 64" in said
    said = inspect_axes(data()[:, 16:48].swapaxes(-1, -2), header((64, 48), (32, 48)))
    assert said is not None and "swap the two last axes" in said

    square = data(64, 64)
    square[:, :24] = 0
    said = inspect_axes(square, header((64, 64), None, (24, 64)))
    assert said is not None and "only columns 24 to 63 of 64 were measured" in said
    assert inspect_axes(square.swapaxes(-1, -2), header((64, 64), None, (24, 64))) is None
    for mask in (ROW % 2 == 0, (ROW % 4 == 0) | CENTRAL_ROWS):
        said = inspect_axes(data() * (mask & ALL))
        assert said is not None and "of 64 rows are sampled, but all columns" in said


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (3, 2, 1, 0)])
def test_axes_in_another_order(order: tuple[int, ...], tmp_path: Path) -> None:
    """Coils last, and MATLAB's order, by the header; a scan and a folder say the same."""
    folder = tmp_path / "multicoil_test"
    folder.mkdir()
    kspace = np.broadcast_to(data(), (2, *data().shape))
    with h5py.File(folder / "a.h5", "w") as file:
        file["kspace"] = kspace.transpose(order)
        file["ismrmrd_header"] = ismrmrd_header((ROWS, COLUMNS), (ROWS, COLUMNS))
    said = r"a\.h5: k-space of shape .*, but the header's matrix has 64 rows and 48 columns"
    with pytest.raises(InputError, match=said):
        read_scan(folder / "a.h5")
    with pytest.raises(InputError, match=said):
        inspect_folder(folder, "multicoil", masked=True)


def test_a_volume_whose_middle_is_zero_is_inspected_nevertheless() -> None:
    kspace = np.stack([data(), 0 * data(), data()])
    refuse_wrong_axes(Path("a.h5"), kspace)
    with pytest.raises(InputError, match=r"a\.h5: the centre of k-space is in row 0"):
        refuse_wrong_axes(Path("a.h5"), np.fft.ifftshift(kspace, axes=-2))


@pytest.mark.parametrize(
    "mask",
    [
        REGULAR,
        REGULAR | (CENTRAL_ROWS & CENTRAL_COLUMNS),
        REGULAR | CENTRAL_ROWS,
        REGULAR | CENTRAL_COLUMNS,
        (ROW + COLUMN) % 2 == 0,
        ((ROW + COLUMN) % 2 == 0) | (CENTRAL_ROWS & CENTRAL_COLUMNS),
        (ROW % 3 == 0) & LINES,
        RANDOM < 0.25,
        (RANDOM < 0.7) & ELLIPSE,
        (RANDOM < 0.3) | CENTRAL_ROWS,
    ],
)
def test_undersampling_in_two_dimensions(mask: np.ndarray) -> None:
    said = inspect_axes(data() * mask)
    assert said is not None
    assert "in two dimensions" in said and "elsewhere (mrpro, sigpy, torchkbnufft)" in said


@pytest.mark.parametrize(
    ("axes", "place"), [((-2, -1), (0, 0)), ((-2,), (0, 24)), ((-1,), (32, 0))]
)
def test_the_centre_in_the_corner(axes: tuple[int, ...], place: tuple[int, int]) -> None:
    for mask in (ALL, LINES):
        said = inspect_axes(np.fft.ifftshift(data() * mask, axes=axes), header((ROWS, COLUMNS)))
        assert said is not None
        assert "is in row {} and column {} of 64 x 48".format(*place) in said
    brain = example_slice().kspace[0]
    assert inspect_axes(brain, header((256, 256))) is None
    assert inspect_axes(np.fft.ifftshift(brain, axes=axes)) is not None


def test_a_centre_that_is_missing_its_zeros() -> None:
    """Partial Fourier without zeros where nothing was measured; an echo a few lines off is fine."""
    said = inspect_axes(data()[..., 16:], header((64, 48), None, (16, 48)))
    assert said is not None and "row 32 and column 8 of 64 x 32" in said
    assert inspect_axes(np.roll(data(), 4, axis=-1), header((64, 48))) is None
