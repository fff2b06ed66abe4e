"""ISMRMRD raw files: two-dimensional Cartesian acquisitions, read by the `ismrmrd` library."""

from __future__ import annotations

import argparse
from pathlib import Path

import ismrmrd
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.convert.volume import Source, Volume
from fastmri_clgnet.errors import InputError, words

COUNTERS = ("contrast", "phase", "repetition", "set")
# readouts that are no lines of the image
_OTHER_DATA = (
    ismrmrd.ACQ_IS_NOISE_MEASUREMENT, ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
    ismrmrd.ACQ_IS_NAVIGATION_DATA, ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA, ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA, ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this source."""
    parser.add_argument("--dataset", default="dataset", help="group of the HDF5 file")
    for counter in COUNTERS:
        parser.add_argument(
            f"--{counter}", type=int, help=f"which {counter} to take, where there are several"
        )


def read(path: Path, name: str, args: argparse.Namespace) -> Volume:
    """Read one volume: every readout to its slice and column; averages are averaged.

    Readout oversampling stays in the rows, and the image is cut to the header's size, as in
    fastMRI; to its field of view, where the scanner interpolates. Of several encodings, the first
    is read. Columns that were not measured stay zero; k-space with gaps between its columns gets
    a mask. Of the header, nothing goes along but sizes, fields of view and the protocol's name.

    Args:
        path: The HDF5 file.
        name: The volume's name.
        args: All flags.

    Returns:
        Single-coil data where there is one channel, else multicoil data.

    Raises:
        InputError: If it is no two-dimensional Cartesian acquisition, or one that is ambiguous.
    """
    try:
        with ismrmrd.Dataset(str(path), args.dataset, mode="r") as dataset:
            header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
            readouts = [
                acquisition
                for acquisition in map(
                    dataset.read_acquisition, range(dataset.number_of_acquisitions())
                )
                if acquisition.encoding_space_ref == 0  # the image's; others calibrate or navigate
                and not any(acquisition.is_flag_set(flag) for flag in _OTHER_DATA)
            ]
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not an ISMRMRD raw file with acquisitions in '{args.dataset}' ({error})"
        ) from error
    if not header.encoding or header.encoding[0].trajectory.value != "cartesian":
        raise InputError(f"{path}: expected a Cartesian trajectory")
    readouts = _chosen(path, readouts, args)
    encoding = header.encoding[0]
    kspace, sampled = _sort(path, readouts, encoding)
    columns = np.flatnonzero(sampled)
    gaps = not sampled[columns[0] : columns[-1] + 1].all()
    encoded, recon = encoding.encodedSpace, encoding.reconSpace
    height, pixel_height = _image_axis(
        encoded.matrixSize.x, encoded.fieldOfView_mm.x, recon.matrixSize.x, recon.fieldOfView_mm.x
    )
    width, pixel_width = _image_axis(
        encoded.matrixSize.y, encoded.fieldOfView_mm.y, recon.matrixSize.y, recon.fieldOfView_mm.y
    )
    measurement = header.measurementInformation
    return Volume(
        kspace[:, 0] if kspace.shape[1] == 1 else kspace,
        (height, width),
        sampled if gaps else None,
        (measurement and measurement.protocolName) or "unknown",
        (pixel_height, pixel_width),
    )


def _image_axis(encoded: int, encoded_mm: float, recon: int, recon_mm: float) -> tuple[int, float]:
    """Pixels of the image along one axis, and the size of one in millimetres.

    Pixels are as they were encoded, since nothing is interpolated here. Where the scanner
    interpolates, its matrix at that size of pixel is more than its field of view, and the field
    of view settles how many there are.

    Args:
        encoded: Samples of the k-space.
        encoded_mm: Field of view that they encode.
        recon: Pixels of the scanner's image.
        recon_mm: Field of view of that image.
    """
    pixel = encoded_mm / encoded
    within = round(recon_mm / pixel) if pixel > 0 and recon_mm > 0 else recon
    return min(recon, encoded, max(within, 1)), pixel


def _chosen(
    path: Path, readouts: list[ismrmrd.Acquisition], args: argparse.Namespace
) -> list[ismrmrd.Acquisition]:
    """The readouts of the chosen contrast, phase, repetition and set."""
    for counter in COUNTERS:
        values = sorted({getattr(readout.idx, counter) for readout in readouts})
        wanted = getattr(args, counter)
        if wanted is None and len(values) > 1:
            raise InputError(
                f"{path}: holds several of {counter} ({words(values)}); choose one, such as "
                f"--{counter} {values[0]}"
            )
        if wanted is not None:
            readouts = [one for one in readouts if getattr(one.idx, counter) == wanted]
            if not readouts:
                raise InputError(f"{path}: no {counter} {wanted}; it holds {words(values)}")
    if not readouts:
        raise InputError(f"{path}: no readouts of an image")
    return readouts


def _sort(
    path: Path, readouts: list[ismrmrd.Acquisition], encoding: ismrmrd.xsd.encodingType
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.bool_]]:
    """Put readouts into (slices, coils, rows, columns), and say which columns there are."""
    rows, columns = encoding.encodedSpace.matrixSize.x, encoding.encodedSpace.matrixSize.y
    limits = encoding.encodingLimits.kspace_encoding_step_1
    center = columns // 2 if limits is None else limits.center
    n_slices = 1 + max(readout.idx.slice for readout in readouts)
    kspace = np.zeros((n_slices, readouts[0].active_channels, rows, columns), np.complex64)
    counts = np.zeros((n_slices, columns), int)
    for readout in readouts:
        if readout.idx.kspace_encode_step_2 or encoding.encodedSpace.matrixSize.z > 1:
            raise InputError(
                f"{path}: three-dimensional; expected slices with one phase-encoding direction"
            )
        if readout.is_flag_set(ismrmrd.ACQ_IS_REVERSE):
            raise InputError(f"{path}: readouts in both directions, which is not supported")
        samples = readout.data[
            :, readout.discard_pre : readout.number_of_samples - readout.discard_post
        ]
        length = samples.shape[1]
        # a partial echo starts behind the first row; a whole one fills all
        first = 0 if length == rows else rows // 2 - (readout.center_sample - readout.discard_pre)
        column = readout.idx.kspace_encode_step_1 + columns // 2 - center
        if not (0 <= first <= rows - length and 0 <= column < columns) or len(samples) != len(
            kspace[0]
        ):
            raise InputError(
                f"{path}: a readout of {len(samples)} channels and {length} samples from row "
                f"{first} in column {column} does not fit into the header's {rows} x {columns} and "
                f"{len(kspace[0])} channels"
            )
        kspace[readout.idx.slice, :, first : first + length, column] += samples
        counts[readout.idx.slice, column] += 1
    sampled = np.asarray((counts > 0).any(axis=0))
    if not counts[:, sampled].all():
        raise InputError(
            f"{path}: the slices have different phase encodings; is the acquisition complete?"
        )
    kspace /= np.maximum(counts, 1)[:, None, None]
    return kspace, sampled


SOURCE = Source(
    "ISMRMRD raw files, two-dimensional Cartesian", (".h5", ".mrd", ".ismrmrd"), add_arguments, read
)
