"""Writing the images of one scan: fastMRI's HDF5, NIfTI, DICOM, a picture."""

from __future__ import annotations

import datetime
import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmri_clgnet import __version__
from fastmri_clgnet.errors import InputError, need_package
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.inference.submission import save_reconstruction
from fastmri_clgnet.tables import UNTRAINED

SUFFIXES = (".h5", ".nii.gz", ".nii", ".png", ".dcm")
_NEEDS = {
    ".nii": ("nibabel", "nifti"),
    ".nii.gz": ("nibabel", "nifti"),
    ".dcm": ("pydicom", "dicom"),
}
_MR_IMAGE, _SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
_LARGEST_PIXEL = 4095  # 12 bits, as scanners write


def checked_suffix(path: Path) -> str:
    """The format of an output file, one of `SUFFIXES`, whose package is installed."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            break
    else:
        raise InputError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if suffix in _NEEDS:
        need_package(*_NEEDS[suffix], f"{path}: needs")
    return suffix


def output_files(path: Path, n_slices: int) -> list[Path]:
    """What is written for a name: DICOM files are one per slice, numbered if several."""
    if path.suffix.lower() != ".dcm" or n_slices == 1:
        return [path]
    digits = max(3, len(str(n_slices)))
    return [path.with_name(f"{path.stem}_{i:0{digits}d}.dcm") for i in range(1, n_slices + 1)]


def other_slices(path: Path, files: list[Path]) -> list[Path]:
    """DICOM files that would look like slices of the same series, but are none of `files`."""
    if path.suffix.lower() != ".dcm":
        return []
    numbered = re.compile(rf"{re.escape(path.stem)}(_\d{{3,}})?\.dcm")
    there = path.parent.iterdir() if path.parent.is_dir() else []
    return sorted(each for each in there if numbered.fullmatch(each.name) and each not in files)


def write_images(
    path: Path,
    images: npt.NDArray[np.float32],
    scan: Scan,
    label: str,
    settings: Mapping[str, Any],
) -> list[Path]:
    """Write images (slices, height, width) of one scan; each file whole or not at all."""
    suffix = checked_suffix(path)
    if suffix == ".png":
        from fastmri_clgnet.inference.picture import show

        show(images, scan, path, label=label)
    elif suffix == ".h5":
        save_reconstruction(path, images, settings)
    elif suffix == ".dcm":
        network = "" if settings.get("model") in UNTRAINED else ", a neural network"
        return _write_dicom(path, images, scan, label, f"{label}{network}")
    else:
        _write_nifti(path, suffix, images, scan, label)
    return [path]


def _write_nifti(
    path: Path, suffix: str, images: npt.NDArray[np.float32], scan: Scan, label: str
) -> None:
    """Axes are row, column, slice; the affine is the scan's, else of the pixels' size if known."""
    import nibabel

    affine = scan.affine
    if affine is None:
        affine = np.diag([*(scan.pixel_mm or (1.0, 1.0)), 1.0, 1.0])
    image = nibabel.Nifti1Image(images.transpose(1, 2, 0), affine)
    code = 1 if scan.affine is not None else 0  # scanner coordinates, or unknown
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    image.header.set_xyzt_units("unknown" if scan.pixel_mm is None else "mm")
    image.header["descrip"] = f"{label} reconstruction"[:80]
    data = image.to_bytes()
    if suffix == ".nii.gz":
        data = gzip.compress(data, mtime=0)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _write_dicom(
    path: Path, images: npt.NDArray[np.float32], scan: Scan, label: str, method: str
) -> list[Path]:
    """A series of derived magnitude images, without anything that names a patient."""
    from pydicom import Dataset, dcmwrite, uid

    storage = _SECONDARY_CAPTURE if scan.affine is None else _MR_IMAGE
    study, series, frame = uid.generate_uid(), uid.generate_uid(), uid.generate_uid()
    now = datetime.datetime.now()
    scale = float(images.max()) / _LARGEST_PIXEL or 1.0
    paths = output_files(path, len(images))
    for i, (name, image) in enumerate(zip(paths, images, strict=True)):
        data = Dataset()
        data.SpecificCharacterSet = "ISO_IR 192"
        data.SOPClassUID = storage
        data.StudyInstanceUID, data.SeriesInstanceUID = study, series
        data.Modality = "MR"
        data.ImageType = ["DERIVED", "SECONDARY", "M"]
        data.SeriesDescription = f"{label} reconstruction"[:64]
        data.DerivationDescription = f"Reconstructed from raw data by {method}"
        data.ProtocolName = re.sub(r"[\\\x00-\x1f]", " ", scan.acquisition)[:64]
        data.Manufacturer, data.ManufacturerModelName = "", ""
        data.SoftwareVersions = f"fastmri_clgnet {__version__}"[:64]
        data.PatientName = data.PatientID = data.PatientBirthDate = data.PatientSex = ""
        data.StudyDate = data.StudyTime = data.AccessionNumber = data.ReferringPhysicianName = ""
        data.StudyID, data.SeriesNumber, data.InstanceNumber = "", 1, i + 1
        data.ContentDate, data.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
        if scan.affine is None:
            data.ConversionType = "WSD"
        else:
            _place(data, scan.affine, i)
            data.FrameOfReferenceUID, data.PositionReferenceIndicator = frame, ""
            data.ScanningSequence, data.SequenceVariant = "RM", "NONE"
            data.ScanOptions, data.MRAcquisitionType = "", "2D"
            data.RepetitionTime = data.EchoTime = data.EchoTrainLength = None
        if scan.pixel_mm is not None:
            data.PixelSpacing = [_decimal(one) for one in scan.pixel_mm]
        # the images' own values are these times the slope
        data.RescaleSlope, data.RescaleIntercept, data.RescaleType = _decimal(scale), "0", "US"
        pixels = np.clip(np.rint(image / scale), 0, _LARGEST_PIXEL)
        data.set_pixel_data(pixels.astype("<u2"), "MONOCHROME2", bits_stored=12)
        with atomic_path(name) as temporary:
            dcmwrite(temporary, data, enforce_file_format=True)
    return paths


def _place(data: Any, affine: npt.NDArray[np.float64], index: int) -> None:
    """Say where a slice lies: DICOM's axes point to the left, posterior and superior."""
    patient = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    down, across, step = (patient[:3, axis] for axis in range(3))
    directions = [across / np.linalg.norm(across), down / np.linalg.norm(down)]
    data.ImageOrientationPatient = [_decimal(one) for one in np.concatenate(directions)]
    data.ImagePositionPatient = [_decimal(one) for one in patient[:3, 3] + index * step]
    data.SliceThickness = data.SpacingBetweenSlices = _decimal(float(np.linalg.norm(step)))


def _decimal(value: float) -> str:
    """A number in at most 16 characters, as DICOM's decimal strings are."""
    return f"{value:.9g}"
