"""Siemens raw data files, made of `twixtools`' own structures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from twixtools import write_twix
from twixtools.mdb import Mdb_local

ROWS, COLUMNS, SIZE = 64, 40, 32  # readout samples, lines, base resolution
PROTOCOL = {
    "sKSpace.lBaseResolution": SIZE,
    "sKSpace.lPhaseEncodingLines": COLUMNS,
    "sKSpace.ucTrajectory": 1,
    "sKSpace.ucDimension": 2,
    "sPat.ucRefScanMode": 2,
    "sSliceArray.asSlice[0].dThickness": 3.0,
    "sSliceArray.asSlice[0].dReadoutFOV": 64.0,
    "sSliceArray.asSlice[0].dPhaseFOV": 80.0,
}


@dataclass
class Readout:
    """A readout: samples (coils, samples), its flags and counters."""

    samples: np.ndarray
    line: int
    slice: int = 0
    flags: tuple[str, ...] = ()
    center_sample: int = ROWS // 2
    center_line: int = COLUMNS // 2
    counters: dict[str, int] = field(default_factory=dict)
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    cut: tuple[int, int] = (0, 0)

    def block(self) -> Mdb_local:
        """As twixtools has it."""
        block = Mdb_local(self.samples.astype(np.complex64))
        block.mdh.Counter.Lin, block.mdh.Counter.Sli = self.line, self.slice
        for name, value in self.counters.items():
            setattr(block.mdh.Counter, name, value)
        block.mdh.CenterCol, block.mdh.CenterLin = self.center_sample, self.center_line
        block.mdh.CutOff.Pre, block.mdh.CutOff.Post = self.cut
        place = block.mdh.SliceData
        place.SlicePos.Sag, place.SlicePos.Cor, place.SlicePos.Tra = self.position
        place.Quaternion[:] = self.quaternion
        for flag in ("ONLINE", *self.flags):
            block.add_flag(flag)
        return block


def header(protocol: dict[str, Any], rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """The text of a measurement's header, in the buffers that twixtools looks for."""
    values = "".join(f"{name}\t=\t{value}\n" for name, value in protocol.items())
    meas = (
        f'<ParamLong."iRoFTLength"> {{ {rows} }}\n<ParamLong."iPEFTLength"> {{ {columns} }}\n'
        f'<ParamLong."lBaseResolution"> {{ {protocol["sKSpace.lBaseResolution"]} }}\n'
        '<ParamString."tProtocolName"> { "t2_tse" }\n<ParamString."tPatientName"> { "Doe" }\n'
    )
    buffers = {
        "Config": '<ParamString."PatientName"> { "Doe" }\n',
        "Meas": meas,
        "MeasYaps": f"### ASCCONV BEGIN ###\n{values}### ASCCONV END ###\n",
    }
    text = b"".join(
        name.encode() + b"\0" + np.uint32(len(buffer)).tobytes() + buffer.encode()
        for name, buffer in buffers.items()
    )
    padding = -(8 + len(text)) % 32
    sizes = np.array([8 + len(text) + padding, len(buffers)], "<u4").tobytes()
    return np.frombuffer(sizes + text + b"\0" * padding, "S1")


def write(path: Path, *measurements: Iterable[Readout], **changes: Any) -> None:
    """Write measurements; `changes` of the protocol, and rows and columns of the header."""
    rows, columns = changes.pop("rows", ROWS), changes.pop("columns", COLUMNS)
    protocol = {**PROTOCOL, **{name.replace("__", "."): v for name, v in changes.items()}}
    path.unlink(missing_ok=True)
    end = Mdb_local()
    end.add_flag("ACQEND")
    write_twix(
        [
            {
                "hdr_str": header(protocol, rows, columns),
                "mdb": [*(one.block() for one in readouts), end],
            }
            for readouts in measurements
        ],
        str(path),
    )


def lines(
    kspace: np.ndarray, columns: Iterable[int] | None = None, **options: Any
) -> list[Readout]:
    """Readouts of k-space (slices, coils, rows, columns)."""
    chosen = range(kspace.shape[-1]) if columns is None else list(columns)
    return [
        Readout(one[:, :, column], column, i, **options)
        for i, one in enumerate(kspace)
        for column in chosen
    ]
