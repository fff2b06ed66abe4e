"""A table of the possible faults of a file, and randomly damaged copies of a file.

The table's edits are applied to volumes of the small data set (`tests.helpers`).
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.formats.header import ismrmrd_header
from tests.helpers import COLUMNS, ROWS, SIZE

KSPACE, TARGET, HEADER = "kspace", "reconstruction_esc", "ismrmrd_header"
SHAPES = {KSPACE: (3, ROWS, COLUMNS), TARGET: (3, SIZE, SIZE), HEADER: (3, ROWS, COLUMNS)}
ALL = ("check", "train_clgnet", "reconstruct")
Edit = Callable[[h5py.File], None]


class Damage(NamedTuple):
    """A fault of a file.

    Args:
        edit: Causes the fault.
        message: Part of the error that check reports.
        training: Part of the training command's error, if different.
        found_by: The commands that refuse the file: check reads all values, training looks for NaN,
            and a reconstruction does so in k-space and needs no reference.
        place: Split and name of the file.
    """

    edit: Edit
    message: str = ""
    training: str | None = None
    found_by: tuple[str, ...] = ALL
    place: str = "val/c.h5"


def _replace(key: str, value: Any, **how: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        if key in file:
            del file[key]
        if isinstance(value, h5py.VirtualLayout):
            file.create_virtual_dataset(key, value)
        elif value is not None and not how:
            file[key] = value
        elif how:
            file.create_dataset(key, data=value, **how)

    return edit


def _put(key: str, index: Any, value: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        file[key][index] = value

    return edit


def _attribute(name: str, value: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        if value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value

    return edit


def _shift(file: h5py.File) -> None:
    file[KSPACE][:] = np.fft.ifftshift(file[KSPACE][()], axes=(-2, -1))


def _scale(file: h5py.File) -> None:
    file[TARGET][1] *= 1.5
    file.attrs["max"] *= 1.5


def _roll(file: h5py.File) -> None:
    file[TARGET][:] = np.roll(file[TARGET][()], 4, axis=-1)


def _soft_cycle(file: h5py.File) -> None:
    del file[KSPACE]
    file[KSPACE] = h5py.SoftLink("/other")
    file["other"] = h5py.SoftLink("/kspace")


def _through_a_group(file: h5py.File) -> None:
    del file[KSPACE]
    file["group"] = h5py.ExternalLink("../secret.h5", "/")
    file[KSPACE] = h5py.SoftLink("/group/kspace")


def _as_group(file: h5py.File) -> None:
    del file[KSPACE]
    file.create_group(KSPACE)


def _bomb(file: h5py.File) -> None:
    """2 GB of zeros, compressed to a file of 2 MB."""
    shape = (250, 1024, 1024)
    del file[KSPACE], file[TARGET]
    file.create_dataset(TARGET, (shape[0], SIZE, SIZE), np.float32)
    item = file.create_dataset(KSPACE, shape, np.complex64, chunks=(1, *shape[1:]), compression=9)
    item[0] = 0
    _, chunk = item.id.read_direct_chunk((0, 0, 0))
    for i in range(1, shape[0]):
        item.id.write_direct_chunk((i, 0, 0), chunk)


def _claims(key: str, shape: tuple[int, ...], chunks: tuple[int, ...] | None) -> Edit:
    kind = np.complex64 if key == KSPACE else np.float32
    how = {} if chunks is None else {"chunks": chunks, "compression": "gzip"}
    return _replace(key, None, shape=shape, dtype=kind, **how)


def _header(old: str = "", new: str = "", encoding: str = "utf-8") -> bytes:
    text = ismrmrd_header((ROWS, COLUMNS), (SIZE, SIZE)).decode()
    assert old in text
    return text.replace(old, new, 1).replace("utf-8", encoding.removesuffix("-be")).encode(encoding)


def _nested(n: int) -> bytes:
    tags = ("encoding", "encodedSpace", "matrixSize")
    inside = "".join(f"<{tag}>" * n for tag in tags) + "".join(
        f"</{tag}>" * n for tag in tags[::-1]
    )
    return f'<a xmlns="http://www.ismrm.org/ISMRMRD">{inside}</a>'.encode()


def _wrong_by_accident() -> Iterator[tuple[str, Damage]]:
    def header(recon: tuple[int, int], acquired: tuple[int, int], rows: int = ROWS) -> Edit:
        return _replace(HEADER, ismrmrd_header((rows, COLUMNS), recon, acquired))

    small, check, values = (SIZE, SIZE), ("check",), ("check", "train_clgnet")
    everywhere = "the k-space is zero everywhere"
    yield from {
        "no kspace": Damage(_replace(KSPACE, None), "no 'kspace'"),
        "no header": Damage(_replace(HEADER, None), "no 'ismrmrd_header'"),
        "no reference": Damage(_replace(TARGET, None), f"no '{TARGET}'", None, values),
        "no max": Damage(_attribute("max", None), "no attribute 'max'"),
        "header no XML": Damage(_replace(HEADER, b"<broken"), "header cannot be used"),
        "header empty": Damage(_replace(HEADER, b"<a/>"), "header cannot be used"),
        "header of other sizes": Damage(
            header(small, (0, COLUMNS), SIZE),
            "encoded matrix of 32 x 40, but the k-space has 64 rows and 40 columns",
            found_by=check,
        ),
        "acquired": Damage(header(small, (0, 50)), "columns 0 to 50 of 40", found_by=check),
        "signal in padding": Damage(
            header(small, (0, 30)),
            "signal outside the header's acquired columns (slices 0 1 2)",
            found_by=check,
        ),
        "nan": Damage(
            _put(KSPACE, (2, 3, 4), np.nan),
            "k-space: NaN or Inf (slices 2)",
            "slice 2: the k-space holds NaN",
        ),
        "inf": Damage(
            _put(KSPACE, (0, 3, 4), np.inf), "k-space: NaN or Inf (slices 0)", "holds NaN"
        ),
        "target nan": Damage(
            _put(TARGET, 0, np.nan), "target: NaN or Inf", "slice 0: the reference holds", values
        ),
        "target inf": Damage(
            _put(TARGET, 0, np.inf), "target: NaN or Inf", "slice 0: the reference holds", values
        ),
        "zero": Damage(_put(KSPACE, 1, 0), "k-space: zero everywhere (slices 1)", found_by=check),
        "zeros": Damage(_put(KSPACE, ..., 0), "zero everywhere (slices 0 1 2", everywhere, values),
        "not centred": Damage(_shift, "the centre of k-space is in row 0 and column 0 of"),
        "scaled": Damage(
            _scale, "does not match the k-space (slices 1, NMSE up to 0.25)", found_by=check
        ),
        "moved": Damage(_roll, "target: does not match the k-space (slices 0 1 2", found_by=check),
        "max": Damage(
            _attribute("max", 1.0), "attribute max: 1, but the largest value", found_by=check
        ),
        "max text": Damage(_attribute("max", "1"), "attribute max: '1'; expected a number"),
        "max array": Damage(
            _attribute("max", np.ones(2)), "attribute max: array([1., 1.]); expected"
        ),
        "target slices": Damage(_replace(TARGET, np.ones((1, 4, 4))), "3 slices"),
        "no mask": Damage(_replace("mask", None), "no 'mask'", place="test/e.h5"),
        "mask shape": Damage(
            _replace("mask", np.ones(3)), "expected a mask of 40 columns", place="test/e.h5"
        ),
        "mask values": Damage(
            _replace("mask", np.full(COLUMNS, 2)), "columns, 1 where sampled", place="test/e.h5"
        ),
        "mask wrong": Damage(_put("mask", 20, 0), "signal outside the mask", place="test/e.h5"),
    }.items()


def _made_to_do_harm() -> Iterator[tuple[str, Edit]]:
    yield "bomb", _bomb
    yield "group", _as_group
    yield "soft link cycle", _soft_cycle
    yield "through a group", _through_a_group
    yield "mask: terabytes", _claims("mask", (10**12,), (64,))
    shapes: dict[str, tuple[int, ...]] = {
        "terabytes of slices": (10**9, 64, 64),
        "a slice of terabytes": (1, 10**6, 10**6),
        "beyond 64 bits": (2**31, 2**31, 2**31),
        "gigabytes in a chunk": (3, 2**15, 2**14),
        "no slices": (0, SIZE, SIZE),
        "no rows": (3, 0, SIZE),
        "two axes": (SIZE, SIZE),
        "five axes": (1, 1, 1, SIZE, SIZE),
    }
    for name, shape in shapes.items():
        chunks = None if 0 in shape else tuple(min(n, 64) for n in shape)
        if name == "gigabytes in a chunk" and h5py.version.hdf5_version_tuple >= (2, 0, 0):
            chunks = shape  # older libraries do not write chunks of 4 GB
        for key in (KSPACE, TARGET):
            yield f"{key}: {name}", _claims(key, shape, chunks)
    for key, shape in SHAPES.items():
        values: list[Any] = [np.arange(3), "text", b"\xff", np.zeros(shape, "S4"), True]
        for value in values:
            yield f"{key}: {value!r:.30}", _replace(key, value)
        outside = h5py.VirtualLayout(shape, np.float32)
        outside[:] = h5py.VirtualSource("../secret.h5", key, shape)
        yield f"{key}: virtual", _replace(key, outside)
        for target in ("../secret.h5", "/etc/passwd", "nowhere.h5"):
            yield f"{key}: link to {target}", _replace(key, h5py.ExternalLink(target, key))
        yield f"{key}: soft link", _replace(key, h5py.SoftLink("/nowhere"))
        yield f"{key}: vlen", _replace(key, None, dtype=h5py.vlen_dtype(np.int32), shape=(3,))
        kind = np.complex64 if key == KSPACE else np.float32
        external = [("../secret.bin", 0, h5py.h5f.UNLIMITED)]
        storage = _replace(key, None, shape=shape, dtype=kind, external=external)
        yield f"{key}: external storage", storage
    for key, dtypes in ((KSPACE, ("f4", "i8", "f4,f4")), (TARGET, ("c8", "S4"))):
        for dtype in dtypes:
            yield f"{key} of {dtype}", _replace(key, np.ones(SHAPES[key], dtype))
    for value in [b"1", np.ones(3), np.nan, np.inf, 0.0, -1.0, 1j, h5py.Empty("f4")]:
        yield f"max {value!r}", _attribute("max", value)
    for name in ("padding_left", "padding_right", "recon_size", "encoding_size"):
        yield f"attribute {name}", _attribute(name, 10**9)
    tags = cycle([("x", ROWS), ("y", COLUMNS), ("center", COLUMNS // 2)])
    for text, (tag, number) in zip(
        ("1000000000", "0", "", "-16", "1e3", "9" * 5000, "NaN", "0x10", "16.0"), tags, strict=False
    ):
        xml = _header(f"<{tag}>{number}</{tag}>", f"<{tag}>{text}</{tag}>")
        yield f"header {tag} {text:.12}", _replace(HEADER, xml)
    root = "<ismrmrdHeader"
    laughs = '<!DOCTYPE a [<!ENTITY a0 "ha">{}]>'.format(
        "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12))
    )
    entity = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
    for name, xml in {
        "laughs": _header(root, laughs + root),
        "laughs in UTF-16": codecs.BOM_UTF16_BE + _header(root, laughs + root, "utf-16-be"),
        "external entity": _header(root, entity + root),
        "external DTD": _header(root, f'<!DOCTYPE a SYSTEM "x.dtd">{root}'),
        "nested": _nested(1000),
        "deep": b"<a>" * 200_000,
        "unknown encoding": _header().replace(b"utf-8", b"abacus"),
        "other namespace": _header("http://www.ismrm.org/ISMRMRD", "http://elsewhere"),
    }.items():
        yield f"header: {name}", _replace(HEADER, np.bytes_(xml))  # of fixed length


DAMAGES = dict(_wrong_by_accident()) | {name: Damage(edit) for name, edit in _made_to_do_harm()}


def write_forms(original: Path, folder: Path) -> dict[str, Path]:
    """A volume as this library writes it, and compressed in two ways, one with checksums."""
    paths = {name: folder / f"{name}.h5" for name in ("plain", "gzip", "checksums")}
    folder.mkdir(exist_ok=True)
    paths["plain"].write_bytes(original.read_bytes())
    for name in ("gzip", "checksums"):
        with (
            h5py.File(original) as file,
            h5py.File(paths[name], "w", libver=None if name == "gzip" else "latest") as copy,
        ):
            copy[HEADER] = file[HEADER][()]
            for key in (KSPACE, TARGET):
                copy.create_dataset(
                    key,
                    data=file[key][()],
                    chunks=(1, *file[key].shape[1:]),
                    compression="gzip" if name == "gzip" else None,
                    fletcher32=name == "checksums",
                )
            copy.attrs.update(file.attrs)
    return paths


def truncate(original: Path, folder: Path, n_files: int) -> Iterator[Path]:
    """Files truncated at evenly spread positions."""
    contents = original.read_bytes()
    for length in np.linspace(0, len(contents) - 1, n_files).astype(int):
        path = folder / f"truncated_{original.stem}_{length}.h5"
        path.write_bytes(contents[:length])
        yield path


def flip(original: Path, folder: Path, n_files: int, seed: int) -> Iterator[Path]:
    """Files with one to three changed bytes, most of them outside pixels and XML."""
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
    """Positions near nonzero bytes that do not belong to images or XML."""
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
