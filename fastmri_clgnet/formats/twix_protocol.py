"""What the header of Siemens raw data says of a scan: matrix, trajectory, dwell time and others.

Protocols differ, so that every field may be missing.

References:
    https://github.com/ismrmrd/siemens_to_ismrmrd (which header field is which size)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.header import Fields, Sizes
from fastmri_clgnet.formats.lines import GRIDDING, OVERSHOOT, SIMULTANEOUS_SLICES
from fastmri_clgnet.formats.matrix import Line, Said

_TRAJECTORIES = {2: "radial", 4: "spiral", 8: "BLADE"}  # 1 is Cartesian
_SEPARATE_CALIBRATION = 4  # and above: an extra scan, perhaps with another contrast


class Protocol(Fields):
    """The header's fields, by what they are needed for."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        super().__init__()
        self.path = path
        self.meas = {**header.get("Config", {}), **header.get("Meas", {})}
        self.yaps = header.get("MeasYaps", {})
        slices = self._group("sSliceArray").get("asSlice")
        self.slice = slices[0] if isinstance(slices, list) and slices else {}
        self.name = str(self.meas.get("tProtocolName") or "unknown")
        self.thickness = self.number(self.slice, "dThickness") or 1.0
        mode = self.number(self._group("sPat"), "ucRefScanMode")
        self.separate_calibration = mode is not None and mode >= _SEPARATE_CALIBRATION

    def _group(self, name: str) -> Mapping[str, Any]:
        group = self.yaps.get(name)
        return group if isinstance(group, Mapping) else {}

    def number(self, fields: Mapping[str, Any], *names: str) -> float | None:
        """The first of these that is a number above 0, None if none is."""
        numbers = (self.usable(name, fields.get(name)) for name in names)
        return next((number for number in numbers if number), None)

    def count(self, *names: str) -> int | None:
        """The first of these parameters that is a number above 0, as a whole one."""
        number = self.number(self.meas, *names)
        return None if number is None else round(number)

    def dwell_ns(self) -> float:
        """Dwell time of the image's readouts in nanoseconds; 0 if it is not said."""
        times = self._group("sRXSPEC").get("alDwellTime")
        first = times[0] if isinstance(times, list) and times else times
        return self.usable("alDwellTime", first) or 0.0

    def refuse_other_trajectories(self) -> None:
        """Raise an error for what is not on a Cartesian grid, or of several slices at once."""
        if (self.number(self._group("sSliceAcceleration"), "lMultiBandFactor") or 1) > 1:
            raise InputError(f"{self.path}: {SIMULTANEOUS_SLICES}")
        trajectory = round(self.number(self._group("sKSpace"), "ucTrajectory") or 1)
        if trajectory != 1:
            name = _TRAJECTORIES.get(trajectory, f"unknown ({trajectory})")
            raise InputError(
                f"{self.path}: {name} trajectory, expected a Cartesian trajectory; {GRIDDING}"
            )
        mode = self.meas.get("alRegridMode") or [1]
        if isinstance(mode, list) and mode[0] not in (0, 1):
            raise InputError(
                f"{self.path}: sampled on the ramps of the readout gradient; {GRIDDING}"
            )

    def said(self, center: int, separated: int) -> Said:
        """What the header says of the lines, of which a counter separates so many images."""
        images = {
            "contrasts": self.number(self.yaps, "lContrasts"),
            "phases": self.number(self._group("sPhysioImaging"), "lPhases"),
            "diffusion weightings": self.number(self._group("sDiffusion"), "lDiffWeightings"),
        }
        acceleration = self.number(self._group("sPat"), "lAccelFactPE")
        repetitions = 1 + (self.number(self.yaps, "lRepetitions") or 0)
        return Said(
            center,
            None,
            None if acceleration is None else round(acceleration),
            round(max(self.number(self.yaps, "lAverages") or 1, repetitions)),
            tuple(f"{n:g} {what}" for what, n in images.items() if (n or 1) > separated),
        )

    def sizes(self, lines: Sequence[Line]) -> Sizes:
        """Matrix and field of view of k-space and image."""
        rows = self.count("iRoFTLength", "NRoFtlen", "NRoFTLen")
        columns = self.count("iPEFTLength", "NPeFTLen", "NPeftLen")
        base = self.count("lBaseResolution", "BaseResolution") or round(
            self.number(self._group("sKSpace"), "lBaseResolution") or 0
        )
        length = max(line.samples.shape[1] for line in lines)
        numbers = [line.number for line in lines]
        n_lines = max(numbers) + 1
        span = n_lines - min(numbers)
        if length > (rows or length) or span > (columns or span) * (1 + 1 / OVERSHOOT):
            self.notes.append(
                f"the header's matrix of {rows} x {columns} contradicts {length} samples and "
                f"{n_lines} lines (of a Pulseq sequence?): read as measured, without oversampling; "
                "pixel size and place in the patient are unknown"
            )
            size = (length, n_lines)
            return Sizes(size, (None, None), size, (None, None))
        read_mm = self.number(self.slice, "dReadoutFOV")
        phase_mm = self.number(self.slice, "dPhaseFOV")
        oversampling = self.number(self._group("sKSpace"), "dPhaseOversamplingForDialog")
        encoded_mm = None if phase_mm is None else phase_mm * (1 + (oversampling or 0))
        # the readout's oversampling is what its samples are more than the base resolution
        samples = rows or length
        if not base or base > samples:
            self.notes.append(
                f"base resolution of the header: {base or 'none'}; read as {samples // 2}, half of "
                f"the {samples} samples, as Siemens oversamples the readout"
            )
            base = samples // 2
        return Sizes(
            (rows, columns),
            (None if read_mm is None else read_mm * samples / base, encoded_mm),
            (base, columns),
            (read_mm, phase_mm),
        )
