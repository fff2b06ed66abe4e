"""`python -m fastmri_clgnet.reconstruct SCAN --output OUT`: one file of a scanner to images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import expect_writable
from fastmri_clgnet.formats.example import example_slice
from fastmri_clgnet.formats.preparation import Preparation, prepare
from fastmri_clgnet.formats.read_scan import Reading, read_scan
from fastmri_clgnet.inference.domain import out_of_domain
from fastmri_clgnet.inference.image_files import (
    checked_suffix,
    other_slices,
    output_files,
    write_images,
)
from fastmri_clgnet.inference.regularisation import Regularisation
from fastmri_clgnet.inference.scan import undersample
from fastmri_clgnet.inference.submission import describe
from fastmri_clgnet.precision import Precision
from fastmri_clgnet.tables import LABELS
from fastmri_clgnet.weights import find_weights

EXAMPLE = "example"  # in place of a file's name


@dataclass(frozen=True)
class ScanWritten:
    """What became of one scan; `str()` is what was read and done, then the remarks.

    Example:
        >>> print(ScanWritten([Path("a.h5")], read="a.dat: 1 slice", done="reconstructed to a.h5"))
        a.dat: 1 slice; reconstructed to a.h5
    """

    files: list[Path]
    read: str
    done: str
    remarks: tuple[str, ...] = ()  # what is worth knowing of how the file was read
    quality: str | None = None  # PSNR and SSIM, where the full scan is known
    warning: str | None = None  # how the scan differs from what the weights were trained on

    def __str__(self) -> str:
        lines = [f"{self.read}; {self.done}", *(f"  note: {remark}" for remark in self.remarks)]
        if self.quality is not None:
            lines.append(f"  against the full scan: {self.quality}")
        return "\n".join([*lines, *([] if self.warning is None else [f"warning: {self.warning}"])])


def reconstruct_file(
    scan: Path,
    output: Path,
    checkpoint: Path | None = None,
    *,
    model: str | None = None,
    regularisation: Regularisation = Regularisation(),
    mask: Mask | None = None,
    reading: Reading = Reading(),
    preparation: Preparation = Preparation(),
    device: str = "auto",
    batch_size: int = 1,
    precision: Precision = "32-true",
    overwrite: bool = False,
) -> ScanWritten:
    """Reconstruct one file from a scanner by a trained model.

    The file is recognised by its contents: Siemens TWIX, ISMRMRD, BART, fastMRI, NumPy or
    Calgary-Campinas, of two-dimensional Cartesian k-space. It is reconstructed as it was measured,
    unless a mask is given.

    Args:
        scan: The file; of BART's pair either one. Where there is none of that name, example is the
            real raw brain slice of the package (`example_slice`).
        output: OUT.h5 (fastMRI's submission file), OUT.nii.gz or OUT.nii (NIfTI, with the scan's
            geometry where the file says it), OUT.dcm (DICOM, one file per slice), or OUT.png (a
            picture of the middle slice).
        checkpoint: Name of weights of the package (python -m fastmri_clgnet weights), checkpoint of
            train_clgnet, what export made of one, or published weights: of fastMRI's U-Net or
            E2E-VarNet, or of DCCNN.
        model: Which model, where the checkpoint does not say it; zero_filled, cs_wavelet and
            cs_tv need no checkpoint.
        regularisation: Of the models cs_wavelet and cs_tv.
        mask: Undersamples a fully sampled scan retrospectively, to compare with it.
        reading: Which part of the file to read.
        preparation: What is done with the coils, before the mask: prewhitening, compression, one
            of several.
        device: cpu, cuda, cuda:1, ...; auto is a GPU where there is one.
        batch_size: Slices at a time.
        precision: Lightning's names; 16-mixed is for GPUs.
        overwrite: Whether to replace an existing output.

    Returns:
        The files, and what was read and done.

    Example:
        >>> made = reconstruct_file(Path("example"), Path("a.h5"), model="zero_filled")
        >>> made.files[0].name, made.warning
        ('a.h5', None)

    Raises:
        InputError: If something cannot be used; nothing is written then.
    """
    scan, output = Path(scan), Path(output)
    checked_suffix(output)
    if checkpoint is not None:
        find_weights(checkpoint)  # what is missing is said before torch is imported
    is_example = str(scan) == EXAMPLE and not scan.exists()
    if is_example and reading != Reading():
        raise InputError(f"{EXAMPLE}: is one slice, read as it is; omit {reading}")
    volume = example_slice() if is_example else read_scan(scan, reading)
    wanted = output_files(output, len(volume.kspace))
    if others := other_slices(output, wanted):
        raise InputError(
            f"{others[0]}: would stand among the {len(wanted)} slices of this scan; move it, or "
            "give another output"
        )
    for path in wanted:
        if path.resolve() == scan.resolve():
            raise InputError(f"{path}: is the scan itself; give another output")
        if path.exists() and not overwrite:
            raise InputError(f"{path}: exists; give another output, or overwrite true")
    expect_writable(wanted[0])
    from fastmri_clgnet.inference.applying import (
        against_reference,
        ready_network,
        reconstruct_slices,
    )

    read = str(volume)
    volume = prepare(volume, preparation)
    if mask is not None:
        volume = undersample(volume, mask)
    network = ready_network(checkpoint, model, regularisation, volume.challenge)
    warning = out_of_domain(network, volume)
    with tqdm(total=len(volume.kspace), desc="Reconstructing", unit="slice") as bar:
        images = reconstruct_slices(network, volume, device, batch_size, precision, bar.update)
    settings = describe(network, checkpoint, volume.challenge, mask, precision)
    label = LABELS.get(settings["model"], settings["model"])
    files = write_images(output, images, volume, label, settings)
    what = "" if mask is None else f"undersampled ({mask}), "
    where = str(files[0]) if len(files) == 1 else f"{files[0]} to {files[-1].name}"
    done = f"{what}reconstructed by {label} to {where}"
    remarks = tuple(note for note in volume.notes if not note.startswith("undersampled"))
    quality = against_reference(volume, images, label)
    return ScanWritten(files, read, done, remarks, quality, warning)
