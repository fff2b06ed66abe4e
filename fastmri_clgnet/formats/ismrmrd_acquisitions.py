"""Acquisitions of ISMRMRD raw files, read by the `ismrmrd` library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import ismrmrd
import numpy as np

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.formats.hdf5 import get_dataset, measurement_groups
from fastmri_clgnet.formats.header import Header
from fastmri_clgnet.formats.lines import (
    GRIDDING,
    SIMULTANEOUS_SLICES,
    THREE_DIMENSIONAL,
    choose,
    make_scan,
)
from fastmri_clgnet.formats.matrix import Line, Said
from fastmri_clgnet.formats.noise import gather_noise
from fastmri_clgnet.formats.placement import Placement
from fastmri_clgnet.formats.scan import Scan

AT_ONCE = 256  # acquisitions
_NOISE = ismrmrd.ACQ_IS_NOISE_MEASUREMENT
# readouts that are no lines of the image
_OTHER_DATA = (
    _NOISE, ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA, ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA, ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
)  # fmt: skip
# calibrations that were measured apart from the image, perhaps with another contrast
_SEPARATE = ("separate", "external")
# of which a header lists one for each image
_OF_IMAGES = {"TE": ("TE",), "TI": ("TI",), "TR": ("TR",), "flip angle": ("flipAngle_deg",),
              "b-value": ("diffusion", "bvalue")}  # fmt: skip


def read_acquisitions(path: Path, dataset: str | None, counters: Mapping[str, int | None]) -> Scan:
    """Read the volume of a group (None: the last), every readout to its place, averaged."""
    try:
        with h5py.File(path, "r") as file:
            groups = measurement_groups(file)
            dataset = dataset or (groups[-1] if groups else "dataset")
            xml, data = (get_dataset(file, f"{dataset}/{key}", path) for key in ("xml", "data"))
            if xml is None or data is None:
                raise LookupError("it has no 'xml' or no 'data' there")
            text, readouts = xml[0], list(_read(data))
    except InputError:
        raise
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not an ISMRMRD raw file with acquisitions in '{dataset}' ({error}); those "
            f"that it has: {words(groups) or 'none'}"
        ) from error
    header = Header(text if isinstance(text, bytes) else str(text).encode(), path)
    if (header.count("parallelImaging", "multiband", "multiband_factor") or 1) > 1:
        raise InputError(f"{path}: {SIMULTANEOUS_SLICES}")
    trajectory = header.text("trajectory")
    if not trajectory:
        header.notes.append("the header does not say the trajectory: taken for Cartesian")
    elif trajectory.lower() != "cartesian":
        raise InputError(
            f"{path}: {trajectory} trajectory, expected a Cartesian trajectory; {GRIDDING}"
        )
    lines = [one for one in readouts if not any(map(one.is_flag_set, _OTHER_DATA))]
    # of other encodings are navigators and calibrations
    ours = [one for one in lines if one.encoding_space_ref == 0]
    partitions = {one.idx.kspace_encode_step_2 for one in ours}
    if len(partitions) > 1 or (header.count("encodedSpace", "matrixSize", "z") or 1) > 1:
        raise InputError(f"{path}: {THREE_DIMENSIONAL}")
    imaging, calibration, notes = choose(
        path,
        ours,
        counters,
        lambda one, counter: getattr(one.idx, counter),
        _only_calibrates,
        separate=header.text("parallelImaging", "calibrationMode") in _SEPARATE,
    )
    if len(lines) < len(readouts):
        other = f"{len(readouts) - len(lines)} readouts of noise, navigators and other "
        notes.insert(0, f"{other}measurements are left out")
    if len(ours) < len(lines):
        notes.insert(
            0,
            f"{len(lines) - len(ours)} lines of the header's other encodings are left out: only "
            "the first encoding is read",
        )
    if len(groups) > 1:
        place = groups.index(dataset) + 1
        notes.insert(0, f"measurement {place} of {len(groups)} (group '{dataset}')")
    places: dict[int, Placement] = {}
    for one in imaging:
        vectors = [
            np.array(value, float)
            for value in (one.position, one.read_dir, one.phase_dir, one.slice_dir)
        ]
        if np.isfinite(vectors).all() and all(vector.any() for vector in vectors[1:]):
            places.setdefault(one.idx.slice, Placement(*vectors))
    separated = max(len({getattr(one.idx, name) for one in ours}) for name in counters)
    sizes, said = header.sizes(), _said(header, separated)
    thickness = header.number("encodedSpace", "fieldOfView_mm", "z") or 1.0
    noise, of_noise = gather_noise(
        ((one.data, one.sample_time_us) for one in readouts if one.is_flag_set(_NOISE)),
        imaging[0].sample_time_us,
        imaging[0].active_channels,
    )
    scan = make_scan(
        path,
        [_line(path, one) for one in [*imaging, *calibration]],
        sizes,
        said,
        places,
        thickness,
        header.first("measurementInformation", "protocolName") or "unknown",
        [*notes, *of_noise, *header.notes],
    )
    return scan._replace(noise=noise)


def _said(header: Header, separated: int) -> Said:
    """What the header says of the lines, of which a counter separates so many images."""

    def limit(counter: str, which: str = "maximum") -> int | None:
        return header.count("encodingLimits", counter, which, smallest=0)

    several = []
    for name, place in _OF_IMAGES.items():
        values = header.several("sequenceParameters", *place, zero=name == "b-value")
        if len(values) > separated:
            several.append(f"{name} {words(f'{value:g}' for value in values)}")
    for name in ("contrast", "phase", "set"):
        largest = limit(name) or 0
        if largest + 1 > separated:
            several.append(f"{name} 0 to {largest}")
    averages = 1 + max(limit("average") or 0, limit("repetition") or 0)
    if header.first("sequenceParameters", "diffusionDimension") == "average":
        several.append("diffusion weightings, numbered as averages")
        averages = 1
    end = limit("kspace_encoding_step_1")
    return Said(
        limit("kspace_encoding_step_1", "center"),
        None if end is None else end + 1,
        header.count("parallelImaging", "accelerationFactor", "kspace_encoding_step_1"),
        averages,
        tuple(several),
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
        readout.is_flag_set(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING),
        readout.idx.average,
    )
