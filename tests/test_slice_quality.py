"""One slice has one PSNR and one SSIM, in pictures and in the evaluation."""

from __future__ import annotations

from pathlib import Path

import fastmri
import numpy as np
import pytest
from fastmri.data.transforms import to_tensor

import fastmri_clgnet.figures
from fastmri_clgnet.data import Mask, write_fastmri_file
from fastmri_clgnet.evaluation import evaluate
from fastmri_clgnet.formats.example import example_slice
from fastmri_clgnet.inference import reconstruct
from fastmri_clgnet.inference.scan_file import reconstruct_file
from fastmri_clgnet.slice_quality import slice_quality, squares


def test_squares_are_fastmris_and_small_images_have_no_ssim() -> None:
    rng = np.random.default_rng(0)
    target, image = rng.random((64, 48)), rng.random((64, 48))
    cut = target[8:56], image[8:56]
    for ours, expected in zip(squares(target, image), cut, strict=True):
        np.testing.assert_array_equal(ours, expected)
    psnr, ssim = slice_quality(target, image, 2.0)
    assert psnr == pytest.approx(10 * np.log10(4 / ((cut[0] - cut[1]) ** 2).mean()))
    assert ssim == pytest.approx(
        fastmri.evaluate.ssim(cut[0][None], cut[1][None], maxval=2.0).item()
    )
    wide = rng.random((4, 40))
    assert squares(wide, wide)[0] is wide
    assert slice_quality(wide, wide, 1.0)[0] == np.inf
    assert np.isnan(slice_quality(wide, wide, 1.0)[1])


def test_a_picture_has_the_figures_of_the_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the file's ending is, and with images that the evaluation crops."""
    kspace = example_slice().kspace[..., 64:192, 64:192]
    shown: list[tuple[float, float]] = []

    def noted(*arguments: object) -> tuple[float, float]:
        shown.append(slice_quality(*arguments))  # type: ignore[arg-type]
        return shown[-1]

    monkeypatch.setattr(fastmri_clgnet.figures, "slice_quality", noted)
    for ending, checkpoint in (("h5", None), ("hdf5", "brain-varnet")):
        folder, out = tmp_path / ending, tmp_path / f"out_{ending}"
        path = folder / f"brain.{ending}"
        image = fastmri.rss_complex(fastmri.ifft2c(to_tensor(kspace)), dim=1)
        target = image[..., 14:114].numpy()  # 128 x 100
        write_fastmri_file(path, kspace, target)
        mask = Mask("random", (4,), (0.08,))
        model = "zero_filled" if checkpoint is None else None
        reconstruct(folder, out, checkpoint, model=model, mask=mask, device="cpu")
        values = evaluate(folder, [out], "multicoil").volumes[0].values
        shown.clear()
        picture = tmp_path / f"{ending}.png"
        given = None if checkpoint is None else Path(checkpoint)
        made = reconstruct_file(path, picture, given, model=model, mask=mask, device="cpu")
        assert shown[-1] == pytest.approx((values["PSNR"], values["SSIM"]), rel=1e-5)
        assert made.quality is not None
        assert made.quality.endswith("{PSNR:.2f} dB, SSIM {SSIM:.4f}".format(**values))
