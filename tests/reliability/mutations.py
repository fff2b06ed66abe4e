"""Mutated copies of one small volume: damaged by chance, and made to do harm."""

from __future__ import annotations

import codecs
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data import write_fastmri_file
from fastmri_clgnet.data.fastmri_file import ismrmrd_header

SIZE = 16  # rows and columns, of 3 slices
KSPACE, TARGET, HEADER = "kspace", "reconstruction_esc", "ismrmrd_header"
Edit = Callable[[h5py.File], None]


def write_originals(folder: Path) -> dict[str, Path]:
    """The volume as this library writes it, and compressed in two ways, one with checksums."""
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(*[np.linspace(-1, 1, SIZE)] * 2, indexing="ij")
    images = np.exp(-3 * (x**2 + y**2)) + 0.1 * rng.random((3, SIZE, SIZE))
    axes = (-2, -1)
    shifted = np.fft.fft2(np.fft.ifftshift(images, axes=axes), norm="ortho")
    kspace = np.fft.fftshift(shifted, axes=axes).astype(np.complex64)
    paths = {name: folder / f"{name}.h5" for name in ("plain", "gzip", "checksums")}
    write_fastmri_file(paths["plain"], kspace, images, acquisition="AXT2")
    for name in ("gzip", "checksums"):
        with (
            h5py.File(paths["plain"]) as file,
            h5py.File(paths[name], "w", libver=None if name == "gzip" else "latest") as copy,
        ):
            copy[HEADER] = file[HEADER][()]
            for key in (KSPACE, TARGET):
                copy.create_dataset(
                    key,
                    data=file[key][()],
                    chunks=(1, SIZE, SIZE),
                    compression="gzip" if name == "gzip" else None,
                    fletcher32=name == "checksums",
                )
            copy.attrs.update(file.attrs)
    return paths


def truncate(original: Path, folder: Path, n_files: int) -> Iterator[Path]:
    """Files that end early, at places spread evenly."""
    contents = original.read_bytes()
    for length in np.linspace(0, len(contents) - 1, n_files).astype(int):
        path = folder / f"truncated_{original.stem}_{length}.h5"
        path.write_bytes(contents[:length])
        yield path


def flip(original: Path, folder: Path, n_files: int, seed: int) -> Iterator[Path]:
    """Files with one to three other bytes, most of them in what is neither pixel nor XML."""
    contents = original.read_bytes()
    metadata = _metadata(original)
    rng = np.random.default_rng(seed)
    for i in range(n_files):
        changed = bytearray(contents)
        for _ in range(rng.integers(1, 4)):
            anywhere = rng.random() < 0.2
            place = rng.integers(len(contents)) if anywhere else rng.choice(metadata)
            one_bit = changed[place] ^ 1 << int(rng.integers(8))
            changed[place] = (one_bit, int(rng.integers(256)), 255)[rng.integers(3)]
        path = folder / f"flipped_{original.stem}_{i}.h5"
        path.write_bytes(changed)
        yield path


def _metadata(path: Path) -> npt.NDArray[np.int64]:
    """Places of a file near bytes other than zero that are no part of images or XML."""
    contents = path.read_bytes()
    keep = np.convolve(np.frombuffer(contents, np.uint8) > 0, np.ones(17), "same") > 0
    with h5py.File(path) as file:
        header = file[HEADER][()]
        start = contents.find(header)
        keep[start : start + len(header)] = False
        for key in (KSPACE, TARGET):
            item = file[key]
            spans = [(item.id.get_offset(), item.nbytes)] if item.chunks is None else []
            for i in range(item.id.get_num_chunks() if item.chunks else 0):
                chunk = item.id.get_chunk_info(i)
                spans.append((chunk.byte_offset, chunk.size))
            for place, length in spans:
                keep[place : place + length] = False
    return np.flatnonzero(keep)


def _replace(key: str, value: Any, **how: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        del file[key]
        if isinstance(value, h5py.VirtualLayout):
            file.create_virtual_dataset(key, value)
        elif value is not None and not how:
            file[key] = value
        elif how:
            file.create_dataset(key, data=value, **how)

    return edit


def _attribute(name: str, value: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        if value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value

    return edit


def _soft_cycle(file: h5py.File) -> None:
    del file[KSPACE]
    file[KSPACE] = h5py.SoftLink("/other")
    file["other"] = h5py.SoftLink("/kspace")


def _through_a_group(file: h5py.File) -> None:
    del file[KSPACE]
    file["group"] = h5py.ExternalLink("../secret.h5", "/")
    file[KSPACE] = h5py.SoftLink("/group/kspace")


def _header(old: str = "", new: str = "", encoding: str = "utf-8") -> bytes:
    text = ismrmrd_header((SIZE, SIZE), (SIZE, SIZE)).decode()
    assert old in text
    return text.replace(old, new, 1).replace("utf-8", encoding.removesuffix("-be")).encode(encoding)


def _nested(n: int) -> bytes:
    tags = ("encoding", "encodedSpace", "matrixSize")
    inside = "".join(f"<{tag}>" * n for tag in tags) + "".join(
        f"</{tag}>" * n for tag in tags[::-1]
    )
    return f'<a xmlns="http://www.ismrm.org/ISMRMRD">{inside}</a>'.encode()


_LAUGHS = '<!DOCTYPE a [<!ENTITY a0 "ha">{}]>'.format(
    "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12))
)
_SHAPES: dict[str, tuple[int, ...]] = {
    "terabytes of slices": (10**9, 64, 64),
    "a slice of terabytes": (1, 10**6, 10**6),
    "beyond 64 bits": (2**31, 2**31, 2**31),
    "gigabytes in a chunk": (3, 2**15, 2**14),
    "no slices": (0, SIZE, SIZE),
    "no rows": (3, 0, SIZE),
    "two axes": (SIZE, SIZE),
    "five axes": (1, 1, 1, SIZE, SIZE),
}


def _claims(key: str, shape: tuple[int, ...], chunks: tuple[int, ...] | None) -> Edit:
    def edit(file: h5py.File) -> None:
        kind = np.complex64 if key == KSPACE else np.float32
        if key in file:
            del file[key]
        if chunks is None:
            file.create_dataset(key, shape, kind)
        else:
            file.create_dataset(key, shape, kind, chunks=chunks, compression="gzip")

    return edit


def _bomb(file: h5py.File) -> None:
    """48 GB of zeros in 48 MB; the file is as large as the zeros are compressed."""
    shape = (5000, 1024, 1024)
    del file[KSPACE]
    item = file.create_dataset(KSPACE, shape, np.complex64, chunks=(1, *shape[1:]), compression=9)
    item[0] = 0
    _, chunk = item.id.read_direct_chunk((0, 0, 0))
    for i in range(1, shape[0]):
        item.id.write_direct_chunk((i, 0, 0), chunk)


def _as_group(file: h5py.File) -> None:
    del file[KSPACE]
    file.create_group(KSPACE)


def hostile_edits() -> dict[str, Edit]:
    """What is done to the volume, by name; none of them leaves a sound file."""
    edits: dict[str, Edit] = {"bomb": _bomb, "group": _as_group, "soft link cycle": _soft_cycle}
    edits["through a group"] = _through_a_group
    for name, shape in _SHAPES.items():
        chunks = None if 0 in shape else tuple(min(n, 64) for n in shape)
        if name == "gigabytes in a chunk":
            # older libraries do not write chunks of 4 GB
            chunks = shape if h5py.version.hdf5_version_tuple >= (2, 0, 0) else chunks
        for key in (KSPACE, TARGET):
            edits[f"{key}: {name}"] = _claims(key, shape, chunks)
    edits["mask: terabytes"] = _claims("mask", (10**12,), (64,))
    for key in (KSPACE, TARGET, HEADER):
        edits[f"{key}: missing"] = _replace(key, None)
        values: list[Any] = [np.arange(3), "text", b"\xff", np.zeros((3, SIZE, SIZE), "S4"), True]
        for value in values:
            edits[f"{key}: {value!r:.30}"] = _replace(key, value)
        outside = h5py.VirtualLayout((3, SIZE, SIZE), np.float32)
        outside[:] = h5py.VirtualSource("../secret.h5", key, (3, SIZE, SIZE))
        edits[f"{key}: virtual"] = _replace(key, outside)
        for target in ("../secret.h5", "/etc/passwd", "nowhere.h5"):
            edits[f"{key}: link to {target}"] = _replace(key, h5py.ExternalLink(target, key))
        edits[f"{key}: soft link"] = _replace(key, h5py.SoftLink("/nowhere"))
        edits[f"{key}: vlen"] = _replace(key, None, dtype=h5py.vlen_dtype(np.int32), shape=(3,))
        edits[f"{key}: external storage"] = _replace(
            key,
            None,
            shape=(3, SIZE, SIZE),
            dtype=np.complex64 if key == KSPACE else np.float32,
            external=[("../secret.bin", 0, h5py.h5f.UNLIMITED)],
        )
    for dtype in (">c8", "f4", "i8", "c32"):
        edits[f"k-space of {dtype}"] = _replace(KSPACE, np.ones((3, SIZE, SIZE), dtype))
    for dtype in (">f4", "i2", "c8"):
        edits[f"target of {dtype}"] = _replace(TARGET, np.ones((3, SIZE, SIZE), dtype))
    for number in (np.nan, np.inf):
        edits[f"k-space {number}"] = _replace(KSPACE, np.full((3, SIZE, SIZE), number, "c8"))
        edits[f"target {number}"] = _replace(TARGET, np.full((3, SIZE, SIZE), number, "f4"))
    values = ["1", b"1", np.ones(3), np.nan, np.inf, 0.0, -1.0, 1j, h5py.Empty("f4"), None]
    for value in values:
        edits[f"max {value!r}"] = _attribute("max", value)
    for name in ("padding_left", "padding_right", "recon_size", "encoding_size"):
        edits[f"attribute {name}"] = _attribute(name, 10**9)
    matrix, zero = f"<x>{SIZE}</x>", f"<y>{SIZE}</y>"
    for text in ("1000000000", "-16", "0", "", "x", "1e3", "9" * 5000, "NaN", "0x10", "16.0"):
        edits[f"header x {text:.12}"] = _replace(HEADER, _header(matrix, f"<x>{text}</x>"))
        edits[f"header y {text:.12}"] = _replace(HEADER, _header(zero, f"<y>{text}</y>"))
        center = f"<center>{SIZE // 2}</center>"
        if text != "0":
            new = f"<center>{text}</center>"
            edits[f"header center {text:.12}"] = _replace(HEADER, _header(center, new))
    hostile = {
        "laughs": _header("<ismrmrdHeader", _LAUGHS + "<ismrmrdHeader"),
        "laughs in UTF-16": codecs.BOM_UTF16_BE
        + _header("<ismrmrdHeader", _LAUGHS + "<ismrmrdHeader", "utf-16-be"),
        "external entity": _header(
            "<ismrmrdHeader", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><ismrmrdHeader'
        ),
        "external DTD": _header("<ismrmrdHeader", '<!DOCTYPE a SYSTEM "x.dtd"><ismrmrdHeader'),
        "nested": _nested(1000),
        "deep": b"<a>" * 200_000,
        "long": _header() + b" " * 2**21,
        "unknown encoding": _header().replace(b"utf-8", b"abacus"),
        "empty": b"<a/>",
        "other namespace": _header("http://www.ismrm.org/ISMRMRD", "http://elsewhere"),
    }
    for name, xml in hostile.items():  # of fixed length, which may hold zeros
        edits[f"header: {name}"] = _replace(HEADER, np.bytes_(xml))
    return edits


def make_hostile(original: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Apply each of `hostile_edits` to a copy.

    Args:
        original: The volume.
        folder: Where the copies go.

    Yields:
        What was done, and the copy.
    """
    for i, (name, edit) in enumerate(hostile_edits().items()):
        path = folder / f"hostile_{i}.h5"
        shutil.copy(original, path)
        with h5py.File(path, "r+") as file:
            edit(file)
        yield name, path
