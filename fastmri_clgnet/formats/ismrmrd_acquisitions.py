"""Acquisitions of ISMRMRD raw files, read by the `ismrmrd` library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import ismrmrd
import numpy as np

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.hdf5 import measurement_groups
from fastmri_clgnet.formats.lines import (
    GRIDDING,
    THREE_DIMENSIONAL,
    Line,
    Placement,
    Sizes,
    choose,
    make_scan,
)
from fastmri_clgnet.formats.scan import Scan

AT_ONCE = 256  # acquisitions
# readouts that are no lines of the image
_OTHER_DATA = (
    ismrmrd.ACQ_IS_NOISE_MEASUREMENT, ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA, ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA, ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
)  # fmt: skip
# calibrations that were measured apart from the image, perhaps with another contrast
_SEPARATE = (
    ismrmrd.xsd.calibrationModeType.SEPARATE,
    ismrmrd.xsd.calibrationModeType.EXTERNAL,
)


def read_acquisitions(path: Path, dataset: str, counters: Mapping[str, int | None]) -> Scan:
    """Read the volume of a group, every readout to its slice and column, averaged."""
    try:
        with h5py.File(path, "r") as file:
            group, groups = file[dataset], measurement_groups(file)
            header = ismrmrd.xsd.CreateFromDocument(group["xml"][0])
            readouts = list(_read(group["data"]))
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not an ISMRMRD raw file with acquisitions in '{dataset}' ({error})"
        ) from error
    if not header.encoding or header.encoding[0].trajectory.value != "cartesian":
        found = header.encoding[0].trajectory.value if header.encoding else "no"
        raise InputError(f"{path}: {found} trajectory, expected a Cartesian trajectory; {GRIDDING}")
    encoding = header.encoding[0]
    space, recon = encoding.encodedSpace, encoding.reconSpace
    if space.matrixSize.z > 1:
        raise InputError(f"{path}: {THREE_DIMENSIONAL}")
    # of other encodings are navigators and calibrations
    first = [one for one in readouts if one.encoding_space_ref == 0]
    ours = [one for one in first if not any(map(one.is_flag_set, _OTHER_DATA))]
    parallel = encoding.parallelImaging
    imaging, calibration, notes = choose(
        path,
        ours,
        counters,
        lambda one, counter: getattr(one.idx, counter),
        _only_calibrates,
        separate=parallel is not None and parallel.calibrationMode in _SEPARATE,
    )
    if len(ours) < len(readouts):
        other = f"{len(readouts) - len(ours)} readouts of noise, navigators and other "
        notes.insert(0, f"{other}measurements are left out")
    if len(groups) > 1:
        place = groups.index(dataset) + 1
        notes.insert(0, f"measurement {place} of {len(groups)} (group '{dataset}')")
    limits = encoding.encodingLimits.kspace_encoding_step_1
    places: dict[int, Placement] = {}
    for one in imaging:
        vectors = [
            np.array(value, float)
            for value in (one.position, one.read_dir, one.phase_dir, one.slice_dir)
        ]
        if all(vector.any() for vector in vectors[1:]):
            places.setdefault(one.idx.slice, Placement(*vectors))
    measurement = header.measurementInformation
    return make_scan(
        path,
        [_line(path, one) for one in [*imaging, *calibration]],
        Sizes(
            (space.matrixSize.x, space.matrixSize.y),
            (space.fieldOfView_mm.x, space.fieldOfView_mm.y),
            (recon.matrixSize.x, recon.matrixSize.y),
            (recon.fieldOfView_mm.x, recon.fieldOfView_mm.y),
        ),
        None if limits is None else limits.center,
        places,
        space.fieldOfView_mm.z or 1.0,
        (measurement and measurement.protocolName) or "unknown",
        notes,
    )


def _read(data: h5py.Dataset) -> Iterator[ismrmrd.Acquisition]:
    """Read acquisitions many at once; `ismrmrd.Dataset` looks up each of them several times."""
    for start in range(0, len(data), AT_ONCE):
        for record in data[start : start + AT_ONCE]:
            readout = ismrmrd.Acquisition(record["head"])
            readout.data[:] = record["data"].view(np.complex64).reshape(readout.data.shape)
            yield readout


def _only_calibrates(readout: ismrmrd.Acquisition) -> bool:
    """Whether a line calibrates parallel imaging without being one of the image's."""
    return readout.is_flag_set(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION) and not readout.is_flag_set(
        ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING
    )


def _line(path: Path, readout: ismrmrd.Acquisition) -> Line:
    """A readout without the samples that are to be discarded."""
    if readout.idx.kspace_encode_step_2:
        raise InputError(f"{path}: {THREE_DIMENSIONAL}")
    if readout.is_flag_set(ismrmrd.ACQ_IS_REVERSE):
        raise InputError(f"{path}: readouts in both directions, which is not supported")
    samples = readout.data[
        :, readout.discard_pre : readout.number_of_samples - readout.discard_post
    ]
    return Line(
        samples,
        readout.center_sample - readout.discard_pre,
        readout.idx.slice,
        readout.idx.kspace_encode_step_1,
        _only_calibrates(readout),
    )
