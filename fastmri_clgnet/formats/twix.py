"""Siemens raw data ("TWIX", meas.dat) of two-dimensional Cartesian scans, read by `twixtools`.

Orientation: the quaternion of a readout is a rotation whose columns are phase, read and slice
direction in patient coordinates, as siemens_to_ismrmrd takes it, so that a scan has the same
geometry whether it is read here or from a file of that converter. The in-plane flips of this
geometry, as NIfTI and DICOM get it, have not been checked against the scanner's own images.

Noise: the header does not say the dwell time of the scan's own noise readouts; 130 Hz for a sample
of theirs is what siemens_to_ismrmrd takes.

References:
    https://github.com/pehses/twixtools (Ehses; the format's structures and flags)
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, need_package
from fastmri_clgnet.formats.lines import THREE_DIMENSIONAL, choose, make_scan
from fastmri_clgnet.formats.matrix import Line
from fastmri_clgnet.formats.noise import gather_noise
from fastmri_clgnet.formats.placement import Placement
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.formats.twix_protocol import Protocol

_COUNTERS = {"contrast": "Eco", "phase": "Phs", "repetition": "Rep", "set": "Set"}
_NOISE = "NOISEADJSCAN"
_NOISE_PIXEL_HZ = 130  # bandwidth of a noise readout divided by its samples, for every protocol
# readouts that are no lines of the image
_OTHER_DATA = (
    "RTFEEDBACK", "HPFEEDBACK", "REFPHASESTABSCAN", "PHASESTABSCAN", "PHASCOR", _NOISE,
    "CT_NORMALIZE", "SLICE_ACCEL_REFSCAN", "SLICE_ACCEL_PHASCOR", "RETRO_DUMMYSCAN",
    "B1_CONTROLLOOP", "MDH_VOP", "noname60",
)  # fmt: skip
_HEADER_NAMES = (b"Config\0", b"Dicom\0", b"Meas\0", b"MeasYaps\0", b"Phoenix\0", b"Spice\0")
_RAID = np.dtype(
    [("id", "<u4"), ("file", "<u4"), ("offset", "<u8"), ("length", "<u8"),
     ("patient", "S64"), ("protocol", "S64")]
)  # fmt: skip


class Measurement(NamedTuple):
    """One of a file's measurements: its first byte and its protocol's name."""

    offset: int
    end: int | None  # one past its last byte, where the file says it
    protocol: str


@dataclass(frozen=True)
class Twix:
    """Siemens raw data (VB to XA, meas.dat), two-dimensional Cartesian (extra: siemens).

    Args:
        measurement: Which measurement of the file, from 1; by default the last, which is the scan
            itself where adjustments are in front of it.
        contrast: Which contrast (echo) to take, where there are several.
        phase: Which phase to take, where there are several.
        repetition: Which repetition to take, where there are several.
        set: Which set to take, where there are several.

    Example:
        >>> reader = Twix(contrast=1)  # the second echo of the last measurement
        >>> reader.suffixes  # which files `convert` gives to it
        ('.dat',)
    """

    measurement: int | None = None
    contrast: int | None = None
    phase: int | None = None
    repetition: int | None = None
    set: int | None = None
    name: ClassVar[str] = "twix"
    suffixes: ClassVar[tuple[str, ...]] = (".dat",)

    def read(self, path: Path, seed: Sequence[int]) -> Scan:
        """Read a volume, every readout to its slice and column, averaged; see `Reader`."""
        measurements = list_measurements(path)
        index = pick(path, self.measurement, [one.protocol for one in measurements])
        chosen = measurements[index]
        size = path.stat().st_size
        if chosen.end is not None and chosen.end > size:
            raise InputError(
                f"{path}: truncated: measurement {index + 1} ends at byte {chosen.end:,}, the file "
                f"at {size:,}; copy it again"
            )
        blocks, header = _blocks(path, index)
        notes = []
        if len(measurements) > 1:
            notes.append(f"measurement {index + 1} of {len(measurements)} ({chosen.protocol})")
        if not blocks or not blocks[-1].is_flag_set("ACQEND"):
            raise InputError(
                f"{path}: truncated: measurement {index + 1} has no end after its "
                f"{len(blocks)} readouts; copy it again, or export the whole scan"
            )
        readouts = [block for block in blocks[:-1] if not any(map(block.is_flag_set, _OTHER_DATA))]
        if len(readouts) < len(blocks) - 1:
            notes.append(
                f"{len(blocks) - 1 - len(readouts)} readouts of noise, phase correction and "
                "navigators are left out"
            )
        protocol = Protocol(path, header)
        imaging, calibration, of_calibration = choose(
            path,
            readouts,
            {name: getattr(self, name) for name in _COUNTERS},
            _counter,
            _only_calibrates,
            protocol.separate_calibration,
        )
        protocol.refuse_other_trajectories()
        if len({block.mdh.Counter.Par for block in imaging}) > 1:
            raise InputError(f"{path}: {THREE_DIMENSIONAL}")
        lines = [_line(path, block) for block in [*imaging, *calibration]]
        separated = max(len({_counter(one, name) for one in readouts}) for name in _COUNTERS)
        sizes = protocol.sizes(lines)
        noise, of_noise = gather_noise(
            (_noise(path, block) for block in blocks if block.is_flag_set(_NOISE)),
            protocol.dwell_ns(),
            len(lines[0].samples),
        )
        scan = make_scan(
            path,
            lines,
            sizes,
            protocol.said(int(imaging[0].mdh.CenterLin), separated),
            _places(imaging),
            protocol.thickness,
            protocol.name,
            [*notes, *of_calibration, *of_noise, *protocol.notes],
        )
        return scan._replace(noise=noise)


def pick(path: Path, measurement: int | None, names: Sequence[str]) -> int:
    """Index of a file's measurement, which is counted from 1; None is the last."""
    if not names:
        raise InputError(f"{path}: holds no measurement")
    if measurement is None:
        return len(names) - 1
    if not 1 <= measurement <= len(names):
        listed = ", ".join(f"{i}: {name}" for i, name in enumerate(names, 1))
        raise InputError(f"{path}: no measurement {measurement}; it holds {listed}")
    return measurement - 1


def is_twix(path: Path) -> bool:
    """Whether a file begins as Siemens raw data does."""
    try:
        return bool(list_measurements(path))
    except (InputError, OSError):
        return False


def list_measurements(path: Path) -> list[Measurement]:
    """What the beginning of a file says of its measurements."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first, count = (int(n) for n in np.frombuffer(file.read(8).ljust(8, b"\xff"), "<u4"))
        several = first < 10_000 and count <= 64  # VD and later: a list of measurements
        entries = [Measurement(0, size, "measurement")]
        if several:
            table = file.read(count * _RAID.itemsize)
            if len(table) < count * _RAID.itemsize:
                raise InputError(f"{path}: truncated in its list of measurements; copy it again")
            entries = [
                Measurement(
                    int(one["offset"]),
                    int(one["offset"]) + int(one["length"]) if one["length"] else None,
                    one["protocol"].decode("latin-1").strip("\0 ") or "unnamed",
                )
                for one in np.frombuffer(table, _RAID)
            ]
        for one in entries:
            file.seek(min(one.offset, size))
            beginning = file.read(64)
            if one.offset + 64 > size and several:
                raise InputError(
                    f"{path}: truncated: a measurement begins at byte {one.offset:,}, the file "
                    f"ends at {size:,}; copy it again"
                )
            if not any(name in beginning for name in _HEADER_NAMES):
                raise InputError(f"{path}: not Siemens raw data (TWIX)")
    return entries


def _blocks(path: Path, index: int) -> tuple[list[Any], dict[str, Any]]:
    """The readouts of a measurement, whose samples are not read yet, and its header."""
    twixtools = need_package("twixtools", "siemens", f"{path}: Siemens raw data needs")
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()) as said,
            tempfile.TemporaryDirectory() as folder,
        ):
            named = path
            if not path.suffix:  # to such names twixtools appends .dat
                named = Path(folder, "meas.dat")
                named.symlink_to(path.resolve())
            found = twixtools.read_twix(
                str(named),
                include_scans=[index],
                parse_pmu=False,
                parse_geometry=False,
                verbose=False,
                keep_syncdata=False,
                keep_acqend=True,
            )
    except Exception as error:  # whatever it raises of damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged Siemens raw data ({reason}); copy it again") from error
    if "encountered an error" in said.getvalue():
        raise InputError(f"{path}: truncated or damaged between readouts; copy it again")
    return found[0]["mdb"], found[0]["hdr"]


def _counter(block: Any, name: str) -> int:
    return int(getattr(block.mdh.Counter, _COUNTERS[name]))


def _only_calibrates(block: Any) -> bool:
    return block.is_flag_set("PATREFSCAN") and not block.is_flag_set("PATREFANDIMASCAN")


def _line(path: Path, block: Any) -> Line:
    """Read the samples of a readout, without those that are to be cut off."""
    if block.is_flag_set("REFLECT"):
        raise InputError(f"{path}: readouts in both directions (EPI), which is not supported")
    samples = _samples(path, block)
    cut = block.mdh.CutOff
    samples = samples[:, cut.Pre : samples.shape[1] - cut.Post]
    return Line(
        samples,
        int(block.mdh.CenterCol) - int(cut.Pre),
        int(block.mdh.Counter.Sli),
        int(block.mdh.Counter.Lin),
        _only_calibrates(block),
        block.is_flag_set("PATREFANDIMASCAN"),
        int(block.mdh.Counter.Ave),
    )


def _samples(path: Path, block: Any) -> npt.NDArray[np.complex64]:
    try:
        return np.array(block.data, np.complex64, ndmin=2)
    except Exception as error:
        raise InputError(f"{path}: a readout cannot be read ({error}); copy it again") from error


def _noise(path: Path, block: Any) -> tuple[npt.NDArray[np.complex64], float]:
    """The samples of a noise readout, and its dwell time in nanoseconds."""
    samples = _samples(path, block)
    return samples, 1e9 / (_NOISE_PIXEL_HZ * samples.shape[1])


def _places(blocks: Sequence[Any]) -> dict[int, Placement]:
    """Where slices lie, by index."""
    from scipy.spatial.transform import Rotation

    places: dict[int, Placement] = {}
    for block in blocks:
        where = block.mdh.SliceData
        if block.mdh.Counter.Sli in places or not any(where.Quaternion):
            continue
        position = np.array([where.SlicePos.Sag, where.SlicePos.Cor, where.SlicePos.Tra], float)
        rotation = Rotation.from_quat(where.Quaternion, scalar_first=True)
        phase, read, normal = rotation.as_matrix().T
        places[int(block.mdh.Counter.Sli)] = Placement(position, read, phase, normal)
    return places
