"""PNG, TIFF, JPEG and BMP files of magnitude images: their k-space is simulated, and said to be."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import natural_order
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.formats.simulate import Simulation

_COLOUR = "a colour image; expected grey values, the same in all channels: save it as greyscale"
_WITH_LOSS = ("jpeg", "webp")
_WHITE_IS_ZERO = (262, 0)  # TIFF's PhotometricInterpretation
# dots per inch that programs write without a thought
_USUAL_DPI = (1, 72, 75, 90, 96, 100, 120, 144, 150, 180, 192, 200, 240, 254, 300, 400, 600, 1200)


@dataclass(frozen=True, kw_only=True)
class Images(Simulation):
    """PNG, TIFF, JPEG or BMP files of magnitude images, with simulated phase and noise.

    The slices of a volume are in the order of the files' names, slice2 before slice10, or of a
    TIFF's pages.

    Args:
        volume: Which files are one volume: those of a folder; those of a folder with the same name
            up to the first '_'; or each file. A TIFF of several pages always is one.
        pixel_mm: Height and width of a pixel in millimetres; by default what the files say, if that
            is no resolution of screens or printers.

    Example:
        >>> from PIL import Image
        >>> for i in (1, 2, 10):
        ...     values = np.random.default_rng(i).integers(0, 4096, (64, 48)).astype(np.uint16)
        ...     Path("head").mkdir(exist_ok=True)
        ...     Image.fromarray(values).save(f"head/slice{i}.png")
        >>> Images().read(Path("head"), seed=(0,)).kspace.shape
        (3, 64, 48)
    """

    volume: Literal["folder", "prefix", "file"] = "folder"
    pixel_mm: tuple[float, float] | None = None
    name: ClassVar[str] = "images"
    suffixes: ClassVar[tuple[str, ...]] = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")

    def volumes(self, paths: Sequence[Path]) -> Mapping[Path, tuple[Path, ...]]:
        """The files of each volume, by its path; see `Reader`."""
        if self.volume == "prefix" and not any("_" in path.stem for path in paths):
            raise InputError("volume prefix: no name has a '_', which would end the prefix")
        found: dict[Path, list[Path]] = {}
        whole = set[Path]()  # volumes of one file
        for path in sorted(paths, key=_natural):
            name = path.parent
            if self.volume == "file" or len(paths) == 1 or _n_pages(path) > 1:
                name = path.with_suffix("")
                whole.add(name)
            elif self.volume == "prefix":
                name = path.parent / path.stem.split("_")[0]
            found.setdefault(name, []).append(path)
        for name, files in found.items():
            if name in whole and len(files) > 1:
                raise InputError(
                    f"{name}: {len(files)} files would be this volume, such as "
                    f"{words(file.name for file in files[:2])}; rename them"
                )
        return {name: tuple(files) for name, files in found.items()}

    def read(self, path: Path | Sequence[Path], seed: Sequence[int]) -> Scan:
        """Read a volume: a file, the files of a folder, or some files; see `Reader`."""
        if isinstance(path, Path):
            inside = path.iterdir() if path.is_dir() else [path]
            files = [each for each in inside if each.name.lower().endswith(self.suffixes)]
            files.sort(key=_natural)
            if not files:
                raise InputError(f"{path}: no files ending in {words(self.suffixes)}")
        else:
            files = list(path)
        slices: list[npt.NDArray] = []
        said: list[tuple[float, float]] = []
        notes: dict[str, None] = {}
        for file in files:
            for page in _pages(file):
                if slices and page.values.shape != slices[0].shape:
                    raise InputError(
                        f"{file}: an image of {_size(page.values)} pixels, but {files[0].name} has "
                        f"{_size(slices[0])}; put images of one size into a folder (or volume file)"
                    )
                if slices and page.values.dtype != slices[0].dtype:
                    raise InputError(
                        f"{file}: an image of {page.values.dtype}, but {files[0].name} is of "
                        f"{slices[0].dtype}, so that their grey values are on different scales; "
                        "save them alike (or volume file)"
                    )
                slices.append(page.values)
                said += [page.pixel_mm] if page.pixel_mm else []
                notes |= dict.fromkeys(page.notes)
        if self.pixel_mm is not None and not all(0 < size < np.inf for size in self.pixel_mm):
            raise InputError(f"pixel_mm {words(self.pixel_mm)}: expected two sizes above 0")
        pixel_mm = self.pixel_mm or (said[0] if said else None)
        where = files[0] if len(files) == 1 else files[0].parent
        return self.simulated(where, np.stack(slices), seed, pixel_mm, notes=tuple(notes))


@dataclass(frozen=True)
class _Page:
    """An image (height, width) of a file, and what the file says of it."""

    values: npt.NDArray
    pixel_mm: tuple[float, float] | None
    notes: tuple[str, ...]


def _pages(path: Path) -> Iterator[_Page]:
    """The images of a file; whatever Pillow raises is an `InputError`."""
    if path.stat().st_size == 0:
        raise InputError(f"{path}: an empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags that nobody reads
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                for i in range(getattr(image, "n_frames", 1)):
                    image.seek(i)
                    depth = str(image.tile[:1])  # which loading forgets
                    yield _Page(_grey(path, image, depth), _pixel_mm(image), tuple(_notes(image)))
    except InputError:
        raise
    except Exception as error:  # Pillow's plugins raise errors of many kinds
        reason = words(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "of no kind that Pillow reads"
        raise InputError(
            f"{path}: not an image that can be read ({reason}); expected grey values of 8 or 16 "
            "bits, or float32"
        ) from error


def _n_pages(path: Path) -> int:
    """How many images a file holds; 1 if it cannot be read, which reading it says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return int(getattr(image, "n_frames", 1))
    except Exception:
        return 1


def _grey(path: Path, image: Any, depth: str) -> npt.NDArray:
    """The grey values of the page that an image is at, (height, width)."""
    if image.mode in ("L", "I", "F") or image.mode.startswith("I;16"):
        values = np.array(image)
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        tags = getattr(image, "tag_v2", {})
        if values.dtype.kind == "u" and values.itemsize == 2 and _WHITE_IS_ZERO in tags.items():
            values = 65535 - values  # as Pillow does with 8 bits
        return values
    if image.mode == "1":
        raise InputError(
            f"{path}: black and white only (1 bit), as masks are; expected grey values"
        )
    if ";16" in depth:
        raise InputError(f"{path}: {_COLOUR}")  # of which Pillow would keep 8 bits
    red, green, blue, opaque = np.moveaxis(np.array(image.convert("RGBA")), -1, 0)
    if not (opaque == 255).all():
        raise InputError(f"{path}: an image that is transparent in places; expected grey values")
    if (red != green).any() or (red != blue).any():
        raise InputError(f"{path}: {_COLOUR}")
    return red


def _pixel_mm(image: Any) -> tuple[float, float] | None:
    """Height and width of a pixel, where the file says something that may be meant."""
    across, down = image.info.get("dpi", (0, 0))
    unit = re.search(r"unit=(mm|cm)\b", str(getattr(image, "tag_v2", {}).get(270, "")))
    inch = 25.4
    if unit:  # ImageJ's
        across, down = image.info.get("resolution", (0, 0))
        inch = {"mm": 1.0, "cm": 10.0}[unit[1]]
    elif any(round(float(each)) in _USUAL_DPI for each in (across, down)):
        return None
    sizes = [inch / float(each) if each else 0.0 for each in (down, across)]
    return (sizes[0], sizes[1]) if all(0.01 < size < 100 for size in sizes) else None


def _notes(image: Any) -> Iterator[str]:
    kind = f"{image.format} {image.info.get('compression', '')}".lower()
    if any(each in kind for each in _WITH_LOSS):
        yield "JPEG or WebP images, compressed with loss"


def _natural(path: Path) -> tuple[str, list[tuple[int, str]]]:
    return str(path.parent), natural_order(path.name)


def _size(values: npt.NDArray) -> str:
    return f"{values.shape[0]} x {values.shape[1]}"
