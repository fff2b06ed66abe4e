"""Files of real scanners, against inverse FFTs done by hand."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import twixtools

from fastmri_clgnet import read_scan, reconstruct_scan
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.read_scan import Reading
from fastmri_clgnet.pl_modules import ZeroFilledModule
from fastmri_clgnet.reconstruct import main


def by_hand(kspace: np.ndarray) -> np.ndarray:
    """Root sum of squares of (coils, readout, phase encoding), its centre in the middle."""
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2))), axes=(1, 2))
    rss: np.ndarray = np.sqrt((np.abs(image) ** 2).sum(axis=0))
    return rss


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def raw_lines(path: Path) -> np.ndarray:
    """Lines by their counters, (coils, readout, phase encoding), all as they are."""
    blocks = twixtools.read_twix(str(path), verbose=False, parse_pmu=False)[-1]["mdb"]
    coils, samples = blocks[0].data.shape
    kspace = np.zeros((coils, samples, len(blocks)), complex)
    for block in blocks:
        kspace[:, :, block.cLin] = block.data
    return kspace


@pytest.mark.parametrize(
    ("name", "shape", "rows", "coils"),
    [
        ("twix_gre_2coils.dat", (160, 160), slice(80, 240), 2),
        ("twix_pulseq_gre.dat", (256, 256), slice(None), 1),
    ],
)
def test_phantoms_are_where_they_should_be(
    name: str,
    shape: tuple[int, int],
    rows: slice,
    coils: int,
    test_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From Python and by the command, without shifts."""
    path = test_data / "scanner" / name
    expected = by_hand(raw_lines(path))[rows]
    assert expected.shape == shape
    (tmp_path / "meas").symlink_to(path)  # a name without a suffix
    scan = read_scan(tmp_path / "meas")
    assert (scan.n_coils, scan.recon_size, scan.mask) == (coils, shape, None)
    image = reconstruct_scan(scan, ZeroFilledModule(), device="cpu")[0]
    assert correlation(image, expected) > 0.99
    assert (scan.affine is None) == (scan.pixel_mm is None) == (name == "twix_pulseq_gre.dat")
    for axis in (0, 1):  # a shift by one pixel would be seen
        assert correlation(np.roll(image, 1, axis), expected) < correlation(image, expected)

    out = tmp_path / "out.h5"
    command = [str(path), "--model", "zero_filled", "--output", str(out), "--device", "cpu"]
    assert main(command) == 0
    with h5py.File(out) as file:
        np.testing.assert_array_equal(file["reconstruction"][0], image)
    printed = capsys.readouterr().out
    assert f"1 slice, {coils} coil" in printed and "fully sampled" in printed
    contradiction = "the header says that line 0 is the centre of k-space, the energy line 128"
    assert (contradiction in printed) == (name == "twix_pulseq_gre.dat")


def test_cut_files_are_refused(test_data: Path, tmp_path: Path) -> None:
    for name in ("twix_gre_2coils.dat", "twix_pulseq_gre.dat"):
        whole = (test_data / "scanner" / name).read_bytes()
        for part in (0.3, 0.7, 0.99):
            (tmp_path / name).write_bytes(whole[: int(part * len(whole))])
            with pytest.raises(InputError, match=f"{name}: .*(truncated|damaged)"):
                read_scan(tmp_path / name)


def test_a_poisson_disc_brain_is_refused(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = test_data / "scanner" / "brain_8ch_2d_poisson.npy"
    with pytest.raises(InputError, match="only 13% of the k-space is sampled, in two dimensions"):
        read_scan(path)
    assert main([str(path), "--model", "zero_filled", "--output", str(tmp_path / "a.png")]) == 1
    assert "reconstruct this one elsewhere (mrpro, sigpy, torchkbnufft)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_brain_slice(test_data: Path) -> None:
    path = test_data / "brain_raw_4ch" / "t2_tse_slice.npz"
    scan = read_scan(path, Reading(recon_size=(256, 256)))
    image = reconstruct_scan(scan, ZeroFilledModule(), device="cpu")[0]
    assert correlation(image, by_hand(np.load(path)["kspace"][0])[128:384]) > 0.99


def test_from_raw_data_to_an_image(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Coils, undersampling, compressed sensing, NIfTI; without noise readouts, one sentence."""
    path = test_data / "scanner" / "twix_gre_2coils.dat"
    out = tmp_path / "out.nii.gz"
    command = [str(path), "--model", "cs_wavelet", "--iterations", "10", "--output", str(out)]
    command += ["--device", "cpu", "--compress_coils", "2", "--mask_type", "random"]
    command += ["--accelerations", "2", "--center_fractions", "0.2"]
    assert main(command) == 0
    assert "note: compressed from 2 to 2 coils, which keep 100.00 %" in capsys.readouterr().out
    image = nibabel.Nifti1Image.from_filename(out).get_fdata()[..., 0]
    assert correlation(image, read_scan(path).images()[0]) > 0.97
    out.unlink()
    for more, message in (
        (["--prewhiten"], "holds no noise readouts of its 2 coils"),
        (["--to", "singlecoil", "--compress_coils", "1"], "single-coil data already"),
        (["--coil_combination", "adaptive"], "is for to singlecoil; omit it"),
    ):
        assert main([*command, *more]) == 1
        assert message in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []
