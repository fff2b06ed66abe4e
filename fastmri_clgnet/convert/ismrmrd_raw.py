"""ISMRMRD raw files: two-dimensional Cartesian acquisitions, read by the `ismrmrd` library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import ismrmrd
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.convert.volume import Volume
from fastmri_clgnet.errors import InputError, words

COUNTERS = ("contrast", "phase", "repetition", "set")
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


@dataclass(frozen=True)
class IsmrmrdRaw:
    """ISMRMRD raw files, two-dimensional Cartesian.

    Args:
        dataset: Group of the HDF5 file.
        contrast: Which contrast to take, where there are several.
        phase: Which phase to take, where there are several.
        repetition: Which repetition to take, where there are several.
        set: Which set to take, where there are several.
    """

    dataset: str = "dataset"
    contrast: int | None = None
    phase: int | None = None
    repetition: int | None = None
    set: int | None = None
    name: ClassVar[str] = "ismrmrd"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".mrd", ".ismrmrd")

    def read(self, path: Path, seed: Sequence[int]) -> Volume:
        """Read a volume, every readout to its slice and column, averaged; see `Reader`.

        Lines that were measured to calibrate parallel imaging fill the columns of a slice that no
        line of the image does, unless the header says that the calibration is a separate scan.
        Lines flagged for calibration and imaging are lines of the image.

        Readout oversampling stays in the rows, and the image is cut to the header's size, as in
        fastMRI; to its field of view, where the scanner interpolates. Of several encodings, the
        first is read. Columns that were not measured stay zero; k-space with gaps between its
        columns gets a mask. Data of one channel is single-coil data. Of the header, only sizes,
        fields of view and the protocol's name are kept.
        """
        try:
            with ismrmrd.Dataset(str(path), self.dataset, mode="r") as dataset:
                header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
                readouts = [
                    readout
                    for readout in map(
                        dataset.read_acquisition, range(dataset.number_of_acquisitions())
                    )
                    if readout.encoding_space_ref == 0  # the image's; others calibrate or navigate
                    and not any(map(readout.is_flag_set, _OTHER_DATA))
                ]
        except (OSError, LookupError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: not an ISMRMRD raw file with acquisitions in '{self.dataset}' ({error})"
            ) from error
        if not header.encoding or header.encoding[0].trajectory.value != "cartesian":
            raise InputError(f"{path}: expected a Cartesian trajectory")
        encoding = header.encoding[0]
        imaging = self._chosen(path, [one for one in readouts if not _only_calibrates(one)])
        parallel = encoding.parallelImaging
        separate = parallel is not None and parallel.calibrationMode in _SEPARATE
        calibration = [
            one
            for one in readouts
            if _only_calibrates(one) and _counters(one) == _counters(imaging[0]) and not separate
        ]
        kspace, sampled = _sort(path, imaging, calibration, encoding)
        columns = np.flatnonzero(sampled)
        gaps = not sampled[columns[0] : columns[-1] + 1].all()
        height, pixel_height = _image_axis(encoding, "x")
        width, pixel_width = _image_axis(encoding, "y")
        measurement = header.measurementInformation
        return Volume(
            kspace[:, 0] if kspace.shape[1] == 1 else kspace,
            (height, width),
            sampled if gaps else None,
            (measurement and measurement.protocolName) or "unknown",
            (pixel_height, pixel_width),
        )

    def _chosen(self, path: Path, readouts: list[ismrmrd.Acquisition]) -> list[ismrmrd.Acquisition]:
        """The readouts of one contrast, phase, repetition and set."""
        for counter in COUNTERS:
            values = sorted({getattr(readout.idx, counter) for readout in readouts})
            wanted = getattr(self, counter)
            if wanted is None and len(values) > 1:
                raise InputError(
                    f"{path}: holds several of {counter} ({words(values)}); choose one, such as "
                    f"{counter} {values[0]}"
                )
            if wanted is not None:
                readouts = [one for one in readouts if getattr(one.idx, counter) == wanted]
                if not readouts:
                    raise InputError(f"{path}: no {counter} {wanted}; it holds {words(values)}")
        if not readouts:
            raise InputError(f"{path}: no readouts of an image")
        return readouts


def _counters(readout: ismrmrd.Acquisition) -> tuple[int, ...]:
    return tuple(getattr(readout.idx, counter) for counter in COUNTERS)


def _only_calibrates(readout: ismrmrd.Acquisition) -> bool:
    """Whether a line calibrates parallel imaging without being one of the image's."""
    return readout.is_flag_set(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION) and not readout.is_flag_set(
        ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING
    )


def _image_axis(encoding: ismrmrd.xsd.encodingType, axis: str) -> tuple[int, float]:
    """Pixels of the image along one axis, and the size of one in millimetres.

    Pixels are as they were encoded, since nothing is interpolated here. Where the scanner
    interpolates, its matrix at that size of pixel is more than its field of view, and the field
    of view settles how many there are.
    """
    encoded = getattr(encoding.encodedSpace.matrixSize, axis)
    recon = getattr(encoding.reconSpace.matrixSize, axis)
    pixel = getattr(encoding.encodedSpace.fieldOfView_mm, axis) / encoded
    recon_mm = getattr(encoding.reconSpace.fieldOfView_mm, axis)
    within = round(recon_mm / pixel) if pixel > 0 and recon_mm > 0 else recon
    return min(recon, encoded, max(within, 1)), pixel


def _sort(
    path: Path,
    imaging: list[ismrmrd.Acquisition],
    calibration: list[ismrmrd.Acquisition],
    encoding: ismrmrd.xsd.encodingType,
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.bool_]]:
    """Put readouts into (slices, coils, rows, columns), and say which columns there are.

    Calibration goes where no readout of the image is. What does not fit there, such as lines of a
    lower resolution, is left out.
    """
    rows, columns = encoding.encodedSpace.matrixSize.x, encoding.encodedSpace.matrixSize.y
    limits = encoding.encodingLimits.kspace_encoding_step_1
    center = columns // 2 if limits is None else limits.center
    n_slices = 1 + max(readout.idx.slice for readout in imaging)
    n_coils = imaging[0].active_channels
    kspace = np.zeros((n_slices, n_coils, rows, columns), np.complex64)
    counts = np.zeros((n_slices, columns), int)
    for readouts in (imaging, calibration):
        taken = counts > 0  # by the image
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
            length, center_sample = samples.shape[1], readout.center_sample - readout.discard_pre
            # a partial echo starts after the first row; a whole one fills all
            first = 0 if length == rows else rows // 2 - center_sample
            index = readout.idx.slice
            column = readout.idx.kspace_encode_step_1 + columns // 2 - center
            inside = 0 <= first <= rows - length and 0 <= column < columns
            fits = inside and len(samples) == n_coils
            if readouts is calibration:
                same = readout.data.shape == imaging[0].data.shape and index < n_slices
                if not (fits and same) or taken[index, column]:
                    continue
            elif not fits:
                raise InputError(
                    f"{path}: a readout of {len(samples)} channels and {length} samples from row "
                    f"{first} in column {column} does not fit into the header's {rows} x "
                    f"{columns} and {n_coils} channels"
                )
            kspace[index, :, first : first + length, column] += samples
            counts[index, column] += 1
    sampled = np.asarray((counts > 0).any(axis=0))
    if not counts[:, sampled].all():
        raise InputError(
            f"{path}: the slices have different phase encodings; is the acquisition complete?"
        )
    kspace /= np.maximum(counts, 1)[:, None, None]
    return kspace, sampled
