"""PNG, TIFF, JPEG and BMP files, written by Pillow and tifffile."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from fastmri_clgnet.convert import main
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats import Images
from tests.conversion.host import assert_good, assert_host_gives

VOLUME = np.random.default_rng(0).integers(0, 4000, (12, 32, 24)).astype(np.uint16)
BYTES = (VOLUME // 16).astype(np.uint8)
TRAIN = ["--from", "images", "--split", "1", "0", "0", "--num_workers", "1", "--noise", "0"]


def save(path: Path, values: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def test_folders_and_pages_are_volumes_in_natural_order(tmp_path: Path) -> None:
    """slice2 is before slice10; a TIFF of several pages is a volume beside them."""
    for i in range(12):
        save(tmp_path / "in/p1" / f"Slice{i}.png", VOLUME[i])
        save(tmp_path / "in/p2" / f"slice{i}.tif", VOLUME[i], compression="tiff_lzw")
    tifffile.imwrite(tmp_path / "in/p2/pages.tif", VOLUME[:5], photometric="minisblack")
    (tmp_path / "in/p1/notes.txt").write_text("notes")
    save(tmp_path / "in" / "p\N{SUPERSCRIPT TWO}.png", VOLUME[0])  # a digit, but no number
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN, "--by", "folder"]) == 0
    whole = VOLUME.astype(float)
    expected = {"p1.h5": whole, "p2.h5": whole, "p2_pages.h5": whole[:5]}
    expected["in.h5"] = whole[:1]
    assert_host_gives(tmp_path / "out" / "singlecoil_train", expected, 2e-6)
    assert_good(tmp_path / "out")


def test_which_files_are_one_volume(tmp_path: Path) -> None:
    for name in ("a_1", "a_2", "b_1"):
        save(tmp_path / "in" / f"{name}.png", BYTES[0])
    for volume, names in (("folder", ["in"]), ("prefix", ["a", "b"]),
                          ("file", ["a_1", "a_2", "b_1"])):  # fmt: skip
        out = tmp_path / volume
        assert main([str(tmp_path / "in"), str(out), *TRAIN, "--volume", volume]) == 0
        assert sorted(path.stem for path in out.glob("*/*.h5")) == names
    for split in ("train", "val"):  # a folder of a split may hold the images itself
        save(tmp_path / "own" / split / "1.png", BYTES[0])
        save(tmp_path / "own" / split / "2.png", BYTES[1])
    flags = ["--from", "images", "--num_workers", "1"]
    assert main([str(tmp_path / "own"), str(tmp_path / "out"), *flags]) == 0
    made = sorted(str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/*/*.h5"))
    assert made == ["singlecoil_train/train.h5", "singlecoil_val/val.h5"]


def test_files_that_would_be_one_volume_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names that differ in their ending only, and pages beside a folder of the same name."""

    def refused(name: str, message: str, *flags: str) -> None:
        assert main([str(tmp_path / name), str(tmp_path / "out"), *TRAIN, *flags]) == 1
        assert f"error: {tmp_path / name}{message}" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    for name in ("ending/a.png", "ending/a.tif", "ending/b.png", "in/head/1.png", "in/head/2.png"):
        save(tmp_path / name, BYTES[0])
    tifffile.imwrite(tmp_path / "in/head.tif", BYTES[:2], photometric="minisblack")
    message = "/a: 2 files would be this volume, such as a.png a.tif; rename them"
    refused("ending", message, "--volume", "file")
    refused("in", "/head: 3 files would be this volume, such as head.tif 1.png; rename them")
    save(tmp_path / "same/same/1.png", BYTES[0])
    save(tmp_path / "same/1.png", BYTES[0])
    refused("same", "/same: another volume is called same, too; rename one")


def tiff(values: np.ndarray, **options: Any) -> Callable[[Path], object]:
    return lambda path: tifffile.imwrite(path.with_suffix(".tif"), values, **options)


READ: dict[str, tuple[Callable[[Path], object], np.ndarray]] = {
    "8 bits": (lambda path: save(path, BYTES[0]), BYTES[0]),
    "16 bits": (lambda path: save(path, VOLUME[0]), VOLUME[0]),
    "equal channels": (lambda path: save(path, np.stack([BYTES[0]] * 3, -1)), BYTES[0]),
    "palette": (lambda path: Image.fromarray(BYTES[0]).convert("P").save(path), BYTES[0]),
    "opaque": (lambda path: Image.fromarray(BYTES[0]).convert("LA").save(path), BYTES[0]),
    "BMP": (lambda path: save(path.with_suffix(".bmp"), BYTES[0]), BYTES[0]),
    "float32": (tiff((VOLUME[0] / 7).astype(np.float32)), VOLUME[0] / 7),
    "int16": (tiff(VOLUME[0].astype(np.int16)), VOLUME[0]),
    "big-endian": (tiff(VOLUME[0].astype(">u2"), byteorder=">"), VOLUME[0]),
    "white is zero": (tiff(65535 - VOLUME[0], photometric="miniswhite"), VOLUME[0]),
    "white is zero, 8 bits": (tiff(255 - BYTES[0], photometric="miniswhite"), BYTES[0]),
}


@pytest.mark.parametrize("kind", READ)
def test_grey_values_are_those_of_the_file(kind: str, tmp_path: Path) -> None:
    writer, values = READ[kind]
    writer(tmp_path / "a.png")
    scan = Images(noise=0).read(next(tmp_path.iterdir()), (0,))
    np.testing.assert_allclose(scan.images()[0], values, atol=2e-7 * values.max())
    assert any("8-bit" in note for note in scan.notes) == (values.dtype == np.uint8)


def test_both_byte_orders_in_one_volume(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0], byteorder="<")
    tifffile.imwrite(tmp_path / "b.tif", VOLUME[0].astype(">u2"), byteorder=">")
    images = Images(noise=0).read(tmp_path, (0,)).images()
    np.testing.assert_allclose(images, [VOLUME[0]] * 2, atol=2e-7 * VOLUME[0].max())


def test_lossy_files_are_named_as_such_whatever_they_are_called(tmp_path: Path) -> None:
    save(tmp_path / "in/a.png", BYTES[0], format="JPEG")
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]) == 0
    with h5py.File(tmp_path / "out/singlecoil_train/a.h5") as file:
        notes = file.attrs["notes"].splitlines()
    assert notes[0] == "JPEG or WebP images, compressed with loss"
    assert notes[1].startswith("8-bit images: at most 256 grey values")


def test_pixel_sizes(tmp_path: Path) -> None:
    """Of ImageJ, and as dots per inch, where these are not those of any screen."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VOLUME[0], imagej=True, resolution=(1 / 0.9, 1.25),
                     metadata={"unit": "mm"})  # fmt: skip
    assert Images().read(path, (0,)).pixel_mm == pytest.approx((0.8, 0.9))
    assert Images(pixel_mm=(2, 3)).read(path, (0,)).pixel_mm == (2, 3)
    for dpi, size in (((28.2222, 31.75), (0.8, 0.9)), ((72, 72), None), ((1, 1), None)):
        scan = Images().read(save(tmp_path / "b.png", BYTES[0], dpi=dpi), (0,))
        assert scan.pixel_mm == (None if size is None else pytest.approx(size, rel=1e-3))
    with pytest.raises(InputError, match="pixel_mm 0 1: expected two sizes above 0"):
        Images(pixel_mm=(0, 1)).read(path, (0,))


def png(values: np.ndarray, colour_type: int, height: int) -> bytes:
    """A PNG of 16 bits a channel, whose header claims a height."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", values.shape[1], height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


COLOUR = np.stack([BYTES[0]] * 4, -1)
COLOUR[..., 3] = 255
OTHER = COLOUR[..., :3].copy()
OTHER[3, 4, 1] ^= 1
CLEAR = COLOUR.copy()
CLEAR[0, 0, 3] = 0
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "an empty file"),
    "text": (lambda path: path.write_text("<html>"), "of no kind that Pillow reads"),
    "truncated": (
        lambda path: path.write_bytes(save(path, VOLUME[0]).read_bytes()[:300]), "truncated"
    ),
    "one colour": (lambda path: save(path, OTHER), "a colour image; expected grey values"),
    "transparent": (lambda path: save(path, CLEAR), "transparent in places"),
    "1 bit": (lambda path: save(path, BYTES[0] > 9), "black and white only"),
    "16 bits a channel": (
        lambda path: path.write_bytes(png(VOLUME[0].repeat(3, -1).reshape(32, 24, 3), 2, 32)),
        "a colour image",
    ),
    "bomb": (lambda path: path.write_bytes(png(VOLUME[0], 0, 2**30)), "decompression bomb"),
    "float64": (
        lambda path: (tiff(VOLUME[0] / 7)(path), path.with_suffix(".tif").rename(path)),
        "of no kind that Pillow reads",
    ),
    "black": (lambda path: save(path, 0 * BYTES[0]), "the images are zero everywhere"),
    "small": (lambda path: save(path, BYTES[0, :1, :1]), "images of 1 x 1 pixels; expected 16 x"),
    "other depth": (
        lambda path: save(path, VOLUME[0]), "an image of uint16, but a.png is of uint8"
    ),
    "other size": (lambda path: save(path, BYTES[0, :20]), "an image of 20 x 24 pixels, but"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_others_are_refused_by_name_and_the_rest_is_converted(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer, message = REFUSED[kind]
    (tmp_path / "in/bad").mkdir(parents=True)
    writer(tmp_path / "in/bad/b.png")
    if kind not in ("black", "small"):
        save(tmp_path / "in/bad/a.png", BYTES[0])
    save(tmp_path / "in/good/a.png", BYTES[0])
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), *TRAIN]) == 1
    (error,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert error.startswith(f"error: {tmp_path / 'in/bad/b.png'}: ") and message in error
    assert [path.stem for path in tmp_path.glob("out/*/*.h5")] == ["good"]
