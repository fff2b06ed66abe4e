"""Reading one scan: what a file is, by its contents, and which reader it takes."""

from __future__ import annotations

import shlex
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.bart import Bart
from fastmri_clgnet.formats.cc359 import CC359
from fastmri_clgnet.formats.conventions import center_is_in_the_middle
from fastmri_clgnet.formats.conversion_of import NAMES, convert_command, image_format, image_hint
from fastmri_clgnet.formats.fastmri import checked_kspace, image_size
from fastmri_clgnet.formats.fastmri_reading import Fastmri
from fastmri_clgnet.formats.hdf5 import measurement_groups, open_hdf5
from fastmri_clgnet.formats.ismrmrd_raw import IsmrmrdRaw
from fastmri_clgnet.formats.isolate import expect_readable
from fastmri_clgnet.formats.lines import GRIDDING
from fastmri_clgnet.formats.matlab import load_matlab, refuse_frames
from fastmri_clgnet.formats.numpy_arrays import Axis, NumPy, has_frames, load_array
from fastmri_clgnet.formats.orientation import refuse_coils_last, refuse_wrong_axes
from fastmri_clgnet.formats.scan import (
    Reader,
    Scan,
    acquired_columns,
)
from fastmri_clgnet.formats.twix import Twix, is_twix, pick

_EXPECTED = (
    "expected Siemens raw data (TWIX), ISMRMRD, BART (.cfl beside .hdr), fastMRI (.h5), NumPy "
    "(.npy, .npz) or Calgary-Campinas k-space. Raw data of other scanners: convert it to ISMRMRD "
    "first (philips_to_ismrmrd, ge_to_ismrmrd, bruker_to_ismrmrd)"
)
_COUNTED = ("measurement", "contrast", "phase", "repetition", "set")
_CHOICES = (*_COUNTED, "axes")  # of the fields of Reading
_IN_THE_CORNER = "NumPy, centre of k-space in the corner"
_CORNER = (
    "the centre of k-space is in the corner: taken for np.fft.fft2(image), convention 'plain'; for "
    "another one read_scan(path, reader=NumPy(axes, convention=...)); if the image is rolled by "
    "half of its size, save np.fft.fftshift(kspace, axes=...) over rows and columns instead"
)


@dataclass(frozen=True)
class Reading:
    """Which part of a file to read, and what the file itself does not say.

    Args:
        measurement: Which of several measurements in a file, from 1. None takes the last, which is
            the scan itself where adjustments are in front of it.
        contrast: Which contrast (echo), where there are several.
        phase: Which phase, where there are several.
        repetition: Which repetition, where there are several.
        set: Which set, where there are several.
        axes: Of a NumPy array, in its order: slice, coil, row (readout), column (phase encoding),
            complex (two, real and imaginary part). None takes (slice, coil, row, column) and (row,
            column).
        recon_size: Height and width of the image, cut from the middle, such as half the rows where
            the readout was oversampled twice. None is what the file says.

    Example:
        >>> np.save("scan.npy", np.fft.fft2(np.random.default_rng(0).random((4, 64, 48))))
        >>> reading = Reading(axes=("coil", "row", "column"), recon_size=(32, 48))
        >>> read_scan("scan.npy", reading).kspace.shape
        (1, 4, 64, 48)
    """

    measurement: int | None = None
    contrast: int | None = None
    phase: int | None = None
    repetition: int | None = None
    set: int | None = None
    axes: tuple[Axis, ...] | None = None
    recon_size: tuple[int, int] | None = None


def read_scan(
    path: Path | str, reading: Reading = Reading(), *, reader: Reader | None = None
) -> Scan:
    """Read one scan of any known format, which is recognised by the file's contents.

    Two-dimensional Cartesian k-space of one or more slices: Siemens TWIX, ISMRMRD, BART, fastMRI,
    NumPy, Calgary-Campinas. Averages of one image are averaged, calibration lines go where no line
    of the image is, navigators are left out, noise readouts are kept as `noise`; where partial
    Fourier headers give a wrong centre of k-space, its energy gives it. Numbers of headers that
    make no sense are done without.
    `print(scan)` says what was found, `scan.notes` what is worth knowing of how it was read.

    Args:
        path: The file; of BART's pair either one.
        reading: Which part of it.
        reader: A reader of `fastmri_clgnet.formats`, for what the file does not say, such as
            `NumPy(("row", "column"), convention="plain")`. None recognises the file.

    Returns:
        The scan: k-space (slices, [coils,] rows, columns) complex64, the mask of its columns if it
        was undersampled, size and geometry of the image.

    Example:
        >>> import numpy as np
        >>> image = np.random.default_rng(0).normal(size=(64, 64))
        >>> np.save("scan.npy", np.fft.fft2(image))
        >>> read_scan("scan.npy").kspace.shape
        (1, 64, 64)

    Raises:
        InputError: If it cannot be read, is not two-dimensional Cartesian, or holds several images
            of which none was chosen.
    """
    path = Path(path)
    try:
        expect_readable(path)
        if reader is None:
            path, reader, kind = choose_reader(path, reading)
            _refuse_unused(path, reading, reader)
        else:
            kind = getattr(reader, "name", type(reader).__name__)
            if given := [name for name in _CHOICES if getattr(reading, name) is not None]:
                raise InputError(
                    f"{path}: give {words(given)} to the reader, {type(reader).__name__}"
                )
        with np.errstate(invalid="ignore"):  # Inf, which is refused below
            scan = reader.read(path, [0])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    checked_kspace(path, scan.kspace)
    _refuse_radial(path, scan)
    notes = (*scan.notes, _CORNER) if kind == _IN_THE_CORNER else scan.notes
    scan = scan._replace(name=path.name, kind=kind, notes=notes)
    if reading.recon_size is not None:
        size = image_size(path, scan.kspace, reading.recon_size)
        scan = scan._replace(recon_size=size)
    if scan.acquired is None:
        acquired = acquired_columns(scan.kspace)
        if scan.mask is not None or acquired != (0, scan.kspace.shape[-1]):
            notes = (*notes, "which lines were measured is told by zeros: the file does not say it")
        scan = scan._replace(acquired=acquired, notes=notes)
    return scan


def choose_reader(path: Path, reading: Reading) -> tuple[Path, Reader, str]:
    """The file to read, its reader, and the format's name."""
    if path.is_dir():
        raise InputError(
            f"{path}: a folder, expected the file of one scan (a folder of fastMRI's files is the "
            f"data_path of reconstruct){image_hint(path)}"
        )
    cfl = path.with_suffix(".cfl")
    if path.suffix in (".cfl", ".hdr", "") and cfl.is_file() and cfl.with_suffix(".hdr").is_file():
        return cfl, Bart(), "BART"
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; give the file of a scan, or the word example for the slice "
            "that comes with the package (in Python example_slice())"
        )
    with path.open("rb") as file:
        beginning = file.read(352)
    if not beginning:
        raise InputError(f"{path}: an empty file")
    kind = image_format(path)
    if kind == "matlab":
        _refuse_kspace_of_matlab(path)
    if kind is not None:
        raise InputError(
            f"{path}: an image ({NAMES[kind]}), which holds no k-space; "
            f"{convert_command(path, kind)}"
        )
    if beginning.startswith(b"\x89HDF\r\n\x1a\n") or h5py.is_hdf5(path):
        return _hdf5_reader(path, reading)
    if beginning.startswith(b"\x93NUMPY") or _is_npz(path):
        return _numpy_reader(path, reading)
    counters = {name: getattr(reading, name) for name in ("contrast", "phase", "repetition", "set")}
    if path.suffix.lower() == ".dat" or is_twix(path):
        return path, Twix(reading.measurement, **counters), "Siemens TWIX"
    if beginning.startswith(b"\x1f\x8b"):
        raise InputError(f"{path}: compressed, such as an image (NIfTI?); {_EXPECTED}")
    if path.suffix == ".cfl":
        raise InputError(
            f"{path}: no {path.with_suffix('.hdr').name} beside it, which says its size"
        )
    raise InputError(f"{path}: of no known format; {_EXPECTED}")


def _hdf5_reader(path: Path, reading: Reading) -> tuple[Path, Reader, str]:
    with open_hdf5(path) as file:
        kspace = file.get("kspace")
        if isinstance(kspace, h5py.Dataset):
            if kspace.dtype.kind == "f" and kspace.ndim == 4 and "ismrmrd_header" not in file:
                if kspace.shape[-1] == 2:
                    raise InputError(
                        f"{path}: 'kspace' {kspace.shape} with real and imaginary part last; store "
                        "it as complex numbers, as fastMRI does"
                    )
                return path, CC359(), "Calgary-Campinas"
            return path, Fastmri(), "fastMRI"
        groups = measurement_groups(file)
        if not groups:
            without = [name for name in file if f"{name}/xml" in file]
            if without:
                raise InputError(f"{path}: an empty measurement: '{without[0]}' has no readouts")
            keys = ", ".join(sorted(file)) or "nothing"
            raise InputError(f"{path}: an HDF5 file that holds {keys}; {_EXPECTED}")
        group = groups[pick(path, reading.measurement, groups)]
        if len(file[group]["data"]) == 0:
            raise InputError(f"{path}: an empty measurement: '{group}' has no readouts")
    reader = IsmrmrdRaw(group, reading.contrast, reading.phase, reading.repetition, reading.set)
    return path, reader, "ISMRMRD"


def _refuse_kspace_of_matlab(path: Path) -> None:
    """Say how a complex array of MATLAB is read, since the file does not say what its axes are."""
    try:
        name, array = load_matlab(path)
    except InputError as error:  # damaged; several arrays, or none
        raise InputError(
            f"{error} (read_scan(path, reader=Matlab(axes, kind='kspace', key=NAME)) in Python, or "
            "python -m fastmri_clgnet.convert FILE OUT --from matlab --key NAME)"
        ) from error
    refuse_frames(path, name, array)
    if np.iscomplexobj(array):
        axes = ("row", "column", "coil", "slice")[: array.ndim]
        raise InputError(
            f"{path}: {name} is a complex array {array.shape}; name its axes: read_scan(path, "
            f"reader=Matlab(axes={axes}, kind='kspace')) in Python, or python -m "
            f"fastmri_clgnet.convert {shlex.quote(str(path))} OUT --from matlab --kind kspace "
            f"--axes {words(axes)} --split 0 0 1"
        )


def _is_npz(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except zipfile.BadZipFile:  # damaged, as reading it says
        return path.suffix == ".npz"


def _numpy_reader(path: Path, reading: Reading) -> tuple[Path, Reader, str]:
    array = load_array(path)
    shape = array.shape
    if not np.iscomplexobj(array) and array.ndim == 4 and shape[-1] == 2 and reading.axes is None:
        if _is_centred(array, (1, 2)):  # as CC-359's single-channel files do not have it
            raise InputError(
                f"{path}: an array {shape} of real and imaginary parts, whose first axis may be "
                "slices or coils: name the axes (slice row column complex or coil row column "
                "complex; Reading(axes=...) in Python)"
            )
        return path, CC359(), "Calgary-Campinas"
    if reading.axes is not None:
        return _numpy(path, array, reading.axes)
    if has_frames(array):
        raise InputError(
            f"{path}: an array {shape} of {array.ndim} axes; expected at most slice coil row "
            "column: save one frame, such as x[0], as an array of its own"
        )
    if not np.iscomplexobj(array):
        named = "row column" if array.ndim == 2 else "slice row column"
        raise InputError(
            f"{path}: an array {shape} of {array.dtype}; expected complex k-space (with an axis of "
            "real and imaginary part: name the axes, such as slice row column complex; "
            "Reading(axes=...) in Python). Images hold no k-space; "
            f"{convert_command(path, f'numpy --axes {named} --kind image')}"
        )
    if array.ndim < 2:
        raise InputError(f"{path}: an array {shape}; expected rows and columns of k-space")
    guesses: dict[int, tuple[Axis, ...]] = {
        2: ("row", "column"),
        4: ("slice", "coil", "row", "column"),
    }
    if array.ndim in guesses:
        refuse_coils_last(path, shape, "name the axes (Reading(axes=...) in Python)")
        return _numpy(path, array, guesses[array.ndim])
    refuse_wrong_axes(path, array[None])
    raise InputError(
        f"{path}: an array {shape}, whose first axis may be slices or coils: name the axes "
        "(coil row column or slice row column; Reading(axes=...) in Python)"
    )


def _numpy(path: Path, array: npt.NDArray, axes: tuple[Axis, ...]) -> tuple[Path, Reader, str]:
    """The reader of an array, which has the centre of k-space in the middle or in the corner."""
    if {"row", "column"} <= set(axes) and array.ndim == len(axes):
        plane = (axes.index("row"), axes.index("column"))
        if not _is_centred(array, plane):
            return path, NumPy(axes, convention="plain"), _IN_THE_CORNER
    return path, NumPy(axes), "NumPy"


def _is_centred(array: npt.NDArray, plane: tuple[int, int]) -> bool:
    """Whether the centre of k-space is in the middle of the axes of rows and columns."""
    others = tuple(axis for axis in range(array.ndim) if axis not in plane)
    energy = np.square(np.abs(array), dtype=np.float64).sum(axis=others)
    return bool(center_is_in_the_middle(energy if plane[0] < plane[1] else energy.T))


def _refuse_unused(path: Path, reading: Reading, reader: Reader) -> None:
    """Raise where a choice was made that such files do not have."""
    if reading.axes is not None and not isinstance(reader, NumPy):
        raise InputError(f"{path}: not a NumPy array, its format says which axes it has; omit axes")
    if isinstance(reader, Twix | IsmrmrdRaw):
        return
    for name in _COUNTED:
        value = getattr(reading, name)
        if value is not None and (name, value) != ("measurement", 1):
            raise InputError(f"{path}: holds one measurement; {name} {value} is not in it")


def _refuse_radial(path: Path, scan: Scan) -> None:
    """Refuse spokes: each crosses the centre, so that all columns hold the same energy."""
    energy = (np.abs(scan.kspace[len(scan.kspace) // 2]) ** 2).reshape(-1, *scan.kspace.shape[-2:])
    along_rows, along_columns = _peak(energy.sum(axis=(0, 2))), _peak(energy.sum(axis=(0, 1)))
    measured = int(energy.any(axis=(0, 1)).sum())
    if along_rows > 20 and 0 < along_columns < 3 and measured > 8:
        raise InputError(
            f"{path}: every column holds the centre of k-space, as spokes do (radial or spiral "
            f"trajectory), expected a Cartesian trajectory; {GRIDDING}"
        )


def _peak(energy: np.ndarray) -> float:
    """The largest value of a profile relative to its median, without what is zero."""
    some = energy[energy > 0]
    return float(some.max() / np.median(some)) if some.size else 0.0
