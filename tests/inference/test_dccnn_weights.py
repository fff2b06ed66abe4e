"""The arrays that DCCNN's authors published, by the conventions of their code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fastmri_clgnet import example_slice, load
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.metrics import volume_metrics
from fastmri_clgnet.formats import safe_loading
from fastmri_clgnet.formats.fourier import kspace_of
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.formats.single_coil import to_single_coil
from fastmri_clgnet.inference.export import export
from fastmri_clgnet.inference.scan import reconstruct_scan, undersample
from fastmri_clgnet.reconstruct import main as reconstruct

# kernels of a cascade: (out, in, 3, 3), each before its bias
CASCADE = [(64, 2, 3, 3), (64, 64, 3, 3), (64, 64, 3, 3), (64, 64, 3, 3), (2, 64, 3, 3)]


def authors_arrays() -> list[np.ndarray]:
    """Random arrays in the layout of their file."""
    rng = np.random.default_rng(0)
    arrays = []
    for shape in CASCADE * 5:
        deviation = (2 / (9 * shape[1])) ** 0.5 * (0.1 if shape[0] == 2 else 1)
        arrays += [rng.normal(0, deviation, shape), rng.normal(0, 0.01, shape[0])]
    return [array.astype(np.float32) for array in arrays]


def authors_network(arrays: list[np.ndarray], kspace: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Their network in float64: FFTs that are not centred, mask along the image's first axis.

    `kspace` (rows, columns) and `mask` (rows,) have the frequency 0 in front.
    """
    image = np.fft.ifft2(kspace, norm="ortho")
    layers = iter(torch.from_numpy(array).double() for array in arrays)
    for _ in range(5):
        features = torch.from_numpy(np.stack([image.real, image.imag]))[None]
        for i in range(5):
            features = F.conv2d(features, next(layers), next(layers), padding=1)
            features = features.relu() if i < 4 else features
        real, imaginary = features[0].numpy()
        spectrum = np.fft.fft2(image + real + 1j * imaginary, norm="ortho")
        image = np.fft.ifft2(np.where(mask[:, None], kspace, spectrum), norm="ortho")
    return image


@pytest.mark.parametrize("shape", [(24, 20), (17, 22)])
def test_the_authors_network(shape: tuple[int, int], tmp_path: Path) -> None:
    """What is loaded computes the same, of fastMRI's k-space: centred, mask along columns."""
    arrays = authors_arrays()
    np.savez(tmp_path / "d5_c5.npz", *arrays)
    rng = np.random.default_rng(1)
    image = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    axes = (0, 1)
    centred = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes), norm="ortho"), axes)
    mask = rng.random(shape[1]) < 0.4
    centred = centred * mask
    # zero-filled, of the largest magnitude 1, and transposed
    zero_filled = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(centred, axes), norm="ortho"), axes)
    scale = np.abs(zero_filled).max()
    theirs = np.fft.fft2(zero_filled.T / scale, norm="ortho")
    expected = np.abs(authors_network(arrays, theirs, np.fft.ifftshift(mask))).T * scale
    given = torch.view_as_real(torch.from_numpy(centred)).float()[None]
    columns = torch.from_numpy(mask)[None, None, :, None]
    for model in (None, "dccnn"):
        network = load(tmp_path / "d5_c5.npz", model=model)
        assert network.model_name == "dccnn"
        with torch.no_grad():
            made = network(given, columns)[0].numpy()
        np.testing.assert_allclose(made, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(expected - np.abs(zero_filled)).max() > 0.1


def without(arrays: list[np.ndarray], **others: Any) -> dict[str, np.ndarray]:
    """The arrays by NumPy's names, some of them others."""
    return {**{f"arr_{i}": array for i, array in enumerate(arrays)}, **others}


REFUSED: dict[str, tuple[Callable[[list[np.ndarray]], dict[str, Any]], str]] = {
    "too few": (lambda arrays: without(arrays[:8]), r"8 arrays, where .* has 50: missing: casc"),
    "kernel": (lambda arrays: without(arrays, arr_2=arrays[0]), "64x2x3x3 instead of 64x64x3x3"),
    "other names": (lambda arrays: without(arrays, kspace=np.zeros(3)), "left over: kspace"),
    "pickle": (lambda arrays: without(arrays, arr_3=np.array([{}])), "Object arrays cannot be lo"),
    "words": (lambda arrays: without(arrays, arr_3=np.array(["a"])), "arrays that can be read"),
    "complex": (lambda arrays: without(arrays, arr_1=arrays[1] * 1j), "arrays that can be read"),
    "nothing": (lambda arrays: {}, "holds no weights"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_other_arrays_are_refused(kind: str, tmp_path: Path) -> None:
    make, text = REFUSED[kind]
    np.savez(tmp_path / "a.npz", **make(authors_arrays()))
    with pytest.raises(InputError, match=rf"a\.npz: .*{text}.*the d5_c5\.npz of DCCNN's authors"):
        load(tmp_path / "a.npz")


def test_damaged_and_unfolding_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, *authors_arrays())
    whole = path.read_bytes()
    for contents in (b"", whole[: len(whole) // 2], b"\x89PNG" + bytes(100)):
        path.write_bytes(contents)
        with pytest.raises(InputError, match=r"a\.npz: no archive of arrays that can be read"):
            load(path)
    monkeypatch.setattr(safe_loading, "_LARGEST_ARCHIVE", 2**20)
    np.savez_compressed(path, np.zeros(2**20, np.uint8))
    with pytest.raises(InputError, match="1048704 bytes of arrays"):
        load(path)


def test_reconstruct_and_export_take_them(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d5_c5.npz"
    np.savez(path, *authors_arrays())
    flags = ["--data_path", str(small_dataset / "singlecoil_test"), "--output_path", str(tmp_path)]
    assert reconstruct(["--checkpoint", str(path), *flags]) == 0
    assert (tmp_path / "e.h5").is_file()
    assert reconstruct(["--checkpoint", str(path), "--model", "unet", *flags]) == 1
    assert "of the model dccnn, not of unet" in capsys.readouterr().err
    weights, _ = export(path, tmp_path / "exported")
    for name, values in load(weights).state_dict().items():
        assert torch.equal(values, load(path).state_dict()[name])


def test_the_published_file(test_data: Path) -> None:
    """The real raw slice, of one coil and without its phase, which tells how the kernels lie."""
    network = load(test_data / "dccnn_d5_c5.npz")
    assert sum(values.numel() for values in network.parameters()) == 565_770
    combined = to_single_coil(example_slice(), "adaptive")
    real = combined._replace(
        kspace=kspace_of(combined.images().astype(np.complex64)).astype(np.complex64)
    )

    def psnr(scan: Scan, *arguments: Any, **settings: Any) -> float:
        scan = undersample(scan, Mask())
        assert scan.reference is not None
        image = reconstruct_scan(scan, *arguments, device="cpu", **settings)
        return volume_metrics(scan.reference, image)[0]["PSNR"]

    assert psnr(combined, network) > psnr(combined, model="zero_filled") + 2.5
    without_phase = psnr(real, network)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.mT.contiguous()
    assert without_phase > psnr(real, network) + 0.3
