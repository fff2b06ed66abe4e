"""Other metrics and the two conventions, against NumPy written out and the libraries' functions."""

from __future__ import annotations

import csv
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr

from fastmri_clgnet.data import Mask, write_fastmri_file
from fastmri_clgnet.data.mask import mask_seed
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluate import main
from fastmri_clgnet.evaluation import evaluate
from fastmri_clgnet.evaluation.measures import gmsd, haarpsi, hfen, log_kernel
from fastmri_clgnet.evaluation.metrics import slice_metric
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.inference import reconstruct
from fastmri_clgnet.inference.submission import save_reconstruction
from tests.helpers import make_small_dataset, small_volume

MASK = Mask("random", (4,), (0.08,))
HEADING = ["volumes", "method", "n", "NMSE", "PSNR", "(dB)", "SSIM"]


def pair(n_slices: int = 3, size: tuple[int, int] = (33, 40)) -> tuple[np.ndarray, np.ndarray]:
    """Smooth images whose slices have maxima far apart, and noisy ones, partly below 0."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    waves = [np.exp(-3 * (x**2 + y**2)) * (2 + np.sin((3 + i) * x + y)) for i in range(n_slices)]
    target = np.stack(waves) * np.array([1.0, 0.3, 0.05])[:n_slices, None, None]
    noisy = target + 0.02 * rng.standard_normal(target.shape)
    return target.astype(np.float32), noisy.astype(np.float32)


def test_hfen_written_out() -> None:
    """fspecial('log', 15, 1.5), and imfilter with symmetric borders, by a sum over each window."""
    target, prediction = pair()
    kernel = np.empty((15, 15))
    for i in range(15):
        for j in range(15):
            r2 = (i - 7) ** 2 + (j - 7) ** 2
            kernel[i, j] = np.exp(-r2 / 4.5) * (r2 - 4.5) / 1.5**4
    kernel /= np.exp(-(np.mgrid[-7:8, -7:8] ** 2).sum(0) / 4.5).sum()
    kernel -= kernel.mean()
    np.testing.assert_allclose(log_kernel(), kernel, atol=1e-15)

    def filtered(images: np.ndarray) -> np.ndarray:
        padded = np.pad(images.astype(float), ((0, 0), (7, 7), (7, 7)), mode="symmetric")
        windows = sliding_window_view(padded, (1, 15, 15))[..., 0, :, :]
        return (windows * kernel).sum(axis=(-2, -1))

    expected = np.linalg.norm(filtered(prediction) - filtered(target))
    expected /= np.linalg.norm(filtered(target))
    assert hfen(target, prediction) == pytest.approx(expected, rel=1e-9)
    assert hfen(target, target) == 0
    assert hfen(target, 1.25 * target) == pytest.approx(0.25)


def test_haarpsi_and_gmsd_are_the_library_s() -> None:
    """Of each slice, in the range from 0 to the volume's maximum."""
    piq = pytest.importorskip("piq")
    target, prediction = pair()
    top = float(target.max())
    for name, ours in (("haarpsi", haarpsi), ("gmsd", gmsd)):
        theirs = [
            float(
                getattr(piq, name)(
                    torch.from_numpy(p.clip(0, top))[None, None],
                    torch.from_numpy(t)[None, None],
                    data_range=top,
                )
            )
            for t, p in zip(target, prediction, strict=True)
        ]
        assert ours(target, prediction) == pytest.approx(np.mean(theirs), rel=1e-5)
    assert haarpsi(target, target) == pytest.approx(1, rel=1e-5)
    assert gmsd(target, target) == pytest.approx(0, abs=1e-6)
    empty = np.zeros_like(target[:1])  # HaarPSI of two empty images is infinite
    for ours in (haarpsi, gmsd):
        pairs = (np.concatenate([images, empty]) for images in (target, prediction))
        assert ours(*pairs) == ours(target, prediction)
        assert np.isnan(ours(empty, empty))


@pytest.fixture(scope="module", params=["singlecoil", "multicoil"])
def reconstructed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Challenge]:
    """A small data set, and two folders of its validation volumes as zero-filled images."""
    challenge: Challenge = request.param
    root = make_small_dataset(tmp_path_factory.mktemp("data"), challenge)
    for name, mask in (("four", MASK), ("two", Mask("random", (2,), (0.16,)))):
        reconstruct(root / f"{challenge}_val", root / name, model="zero_filled", mask=mask)
    return root, challenge


def images_of(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        name = next(name for name in file if name.startswith("reconstruction"))
        return file[name][()]


def test_conventions(reconstructed: tuple[Path, Challenge]) -> None:
    """Of slices: skimage's and torchmetrics' functions on each, with its own maximum."""
    root, challenge = reconstructed
    found = evaluate(
        root / f"{challenge}_val", [root / "four"], challenge,
        convention="both", resamples=50,
    )  # fmt: skip
    for volume in found.volumes:
        target = images_of(root / f"{challenge}_val" / volume.file)
        image = images_of(root / "four" / volume.file)
        psnr, torch_values, ssim, nmse = [], [], [], []
        for t, p in zip(target, image, strict=True):
            top = float(t.max())
            psnr.append(peak_signal_noise_ratio(t, p, data_range=top))
            torch_values.append(float(torch_psnr(torch.tensor(p), torch.tensor(t), data_range=top)))
            ssim.append(structural_similarity(t, p, data_range=top))
            nmse.append(((p - t) ** 2).sum() / (t**2).sum())
        values = volume.values
        assert values["slice PSNR"] == pytest.approx(np.mean(psnr), rel=1e-6)
        assert values["slice PSNR"] == pytest.approx(np.mean(torch_values), rel=1e-4)
        assert values["slice SSIM"] == pytest.approx(np.mean(ssim), rel=1e-6)
        assert values["slice NMSE"] == pytest.approx(np.mean(nmse), rel=1e-5)
        volumes_psnr = peak_signal_noise_ratio(target, image, data_range=float(target.max()))
        assert values["PSNR"] == pytest.approx(volumes_psnr)
    assert "PSNR (dB)" in str(found)
    assert "slice PSNR (dB)" in str(found)


def test_slices_without_signal_are_left_out(tmp_path: Path) -> None:
    """Which would make means NaN; a perfect slice has infinite PSNR, as a perfect volume has."""
    target, prediction = pair()
    expected = slice_metric("NMSE", target, prediction)
    target, prediction = (np.concatenate([0 * one[:1], one]) for one in (target, prediction))
    assert slice_metric("NMSE", target, prediction) == pytest.approx(expected)
    assert slice_metric("PSNR", target, target) == np.inf


def test_residual_written_out(reconstructed: tuple[Path, Challenge]) -> None:
    """With phase and sensitivities of the fully sampled k-space, on the samples of the mask."""
    root, challenge = reconstructed
    found = evaluate(
        root / f"{challenge}_val", [root / "four"], challenge,
        metrics=["residual"], convention="both", resamples=50,
    )  # fmt: skip
    assert len(found.volumes) == 2
    for volume in found.volumes:
        with h5py.File(root / f"{challenge}_val" / volume.file) as file:
            kspace = file["kspace"][()].reshape(3, -1, 64, 40)
        columns = MASK.make()((1, 40, 1), seed=mask_seed(volume.file))[0].numpy().ravel() > 0
        assert columns.sum() < 20
        axes = (-2, -1)
        coils = np.fft.fftshift(
            np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes), norm="ortho"), axes=axes
        )
        whole = np.sqrt((np.abs(coils) ** 2).sum(1))
        image = whole.copy()
        image[:, 16:48, 4:36] = images_of(root / "four" / volume.file)
        ours = np.fft.fftshift(
            np.fft.fft2(
                np.fft.ifftshift(coils * (image / whole)[:, None], axes=axes), norm="ortho"
            ),
            axes=axes,
        )
        error, samples = (ours - kspace)[..., columns], kspace[..., columns]
        values = volume.values
        expected = np.linalg.norm(error) / np.linalg.norm(samples)
        assert values["residual"] == pytest.approx(expected, rel=1e-4)
        of_slices = [
            np.linalg.norm(e) / np.linalg.norm(s) for e, s in zip(error, samples, strict=True)
        ]
        assert values["slice residual"] == pytest.approx(np.mean(of_slices), rel=1e-4)
        assert 0.001 < expected < 1  # zero-filled magnitudes have another phase than the reference


def test_residual_of_the_reference_is_zero(
    reconstructed: tuple[Path, Challenge], tmp_path: Path
) -> None:
    """A perfect reconstruction, whose PSNR is infinite."""
    root, challenge = reconstructed
    out = tmp_path / "out"
    reconstruct(root / f"{challenge}_val", out, model="zero_filled", mask=MASK)
    for path in out.iterdir():
        with h5py.File(path, "r+") as file:
            file["reconstruction"][()] = images_of(root / f"{challenge}_val" / path.name)
    found = evaluate(root / f"{challenge}_val", [out], challenge, metrics=["residual"])
    assert not found.failures
    assert found.volumes[0].values["MSE"] == 0
    assert found.summaries["all"]["out"]["residual"].mean < 1e-6


@pytest.mark.parametrize(
    ("mask", "image", "message"),
    [
        (True, (32, 32), "c.h5: its k-space is undersampled, but the residual needs"),
        (False, (66, 32), r"c.h5: images \(66, 32\) do not fit into the k-space of 64 x 40"),
    ],
)
def test_residual_names_what_does_not_fit(
    tmp_path: Path, mask: bool, image: tuple[int, int], message: str
) -> None:
    kspace, target = small_volume("singlecoil", 0)
    columns = np.arange(40) % 2 == 0 if mask else None
    kspace = kspace if columns is None else kspace * columns
    write_fastmri_file(tmp_path / "val" / "c.h5", kspace, target, columns)
    (tmp_path / "out").mkdir()
    save_reconstruction(
        tmp_path / "out" / "c.h5", np.ones((3, *image), np.float32), {"mask": asdict(MASK)}
    )
    found = evaluate(tmp_path / "val", [tmp_path / "out"], "singlecoil", metrics=["residual"])
    assert re.search(message, found.failures[0])
    assert len(found.failures) == 1


def test_residual_says_what_is_missing(
    reconstructed: tuple[Path, Challenge], tmp_path: Path
) -> None:
    root, challenge = reconstructed
    (tmp_path / "out").mkdir()
    for name in ("c.h5", "d.h5"):
        with h5py.File(tmp_path / "out" / name, "w") as file:
            file["reconstruction"] = images_of(root / "four" / name)
    found = evaluate(
        root / f"{challenge}_val", [tmp_path / "out"], challenge,
        metrics=["residual"],
    )  # fmt: skip
    assert len(found.failures) == 2
    assert "c.h5: does not say by which mask the k-space was undersampled" in found.failures[0]
    assert "omit the residual" in found.failures[0]


def test_the_command_writes_all_of_them(
    reconstructed: tuple[Path, Challenge], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the given order, with intervals and paired differences; files name the convention."""
    pytest.importorskip("piq")
    root, challenge = reconstructed
    line = [
        "--target-path", str(root / f"{challenge}_val"),
        "--predictions-path", str(root / "four"), str(root / "two"), "--challenge", challenge,
        "--metrics", "residual", "hfen", "gmsd", "haarpsi", "psnr", "--convention", "both",
        "--json", str(tmp_path / "e.json"), "--csv", str(tmp_path / "e.csv"),
        "--resamples", "100",
    ]  # fmt: skip
    assert main(line) == 0
    printed = capsys.readouterr().out
    kinds = ("residual", "HFEN", "GMSD", "HaarPSI", "PSNR (dB)")
    heading = "  ".join([*kinds, *(f"slice {kind}" for kind in kinds)])
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert lines.count(f"volumes method n {' '.join(heading.split())}") == 2
    assert "Paired differences: method - four" in printed
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["settings"]["metrics"] == ["residual", "hfen", "gmsd", "haarpsi", "psnr"]
    assert found["settings"]["convention"] == "both"
    differences = found["differences"]["all"]["two"]
    for name in ("residual", "HFEN", "GMSD", "slice residual", "slice HFEN", "slice GMSD"):
        assert differences[name]["high"] < 0, name  # twice the samples are better
    assert differences["HaarPSI"]["low"] > 0
    with (tmp_path / "e.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = found["volumes"][0]
    assert {name: float(rows[0][name]) for name in first["values"]} == first["values"]
    assert [name for name in rows[0] if name.startswith("slice ")][1] == "slice residual"


def test_default_values_are_those_of_before(reconstructed: tuple[Path, Challenge]) -> None:
    root, challenge = reconstructed
    found = evaluate(
        root / f"{challenge}_val", [root / "four"], challenge, resamples=50
    )  # fmt: skip
    assert list(found.volumes[0].values) == ["MSE", "NMSE", "PSNR", "SSIM"]
    assert str(found).splitlines()[2].split() == [
        "volumes",
        "method",
        "n",
        "NMSE",
        "PSNR",
        "(dB)",
        "SSIM",
    ]


def test_without_piq_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "piq", None)
    line = ["--target-path", "a", "--predictions-path", "b", "--challenge", "singlecoil"]
    assert main([*line, "--metrics", "haarpsi"]) == 1
    assert (
        "error: haarpsi and gmsd need piq: pip install 'fastmri_clgnet[metrics]', or pip install "
        "piq" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["vif"]}, "metrics vif: expected nmse, psnr"),
        ({"metrics": []}, "metrics : expected nmse"),
        ({"convention": "volume"}, "convention volume: expected fastmri, slice, both"),
    ],
)
def test_unknown_choices(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate("a", ["b"], "singlecoil", **options)
