"""
7. From raw data to an image: noise, coils, a classical method and a network
============================================================================

Raw data is prewhitened, its coils are compressed, and a classical method and a network reconstruct
it from a quarter of the lines. It needs the extras ``mri`` (SigPy) and ``nifti``.
"""

# %%
# A scanner's file brings its own noise readouts: ``read_scan("meas.dat").noise``. The raw slice of
# the package has none. Here the air around the head stands in for them: a corner of the coils'
# images, in which there is nothing but noise.
import tempfile
import warnings
from pathlib import Path

import nibabel
import numpy as np

from fastmri_clgnet import Mask, example_slice, reconstruct_scan, show, undersample
from fastmri_clgnet.formats import compress_coils, prewhiten
from fastmri_clgnet.formats.fourier import coil_images
from fastmri_clgnet.inference import OutOfDomain
from fastmri_clgnet.inference.image_files import write_images

scan = example_slice()
air = coil_images(scan.kspace[0])[:, :24, :24].reshape(scan.n_coils, -1)
scan = scan._replace(noise=air.astype(np.complex64))
print("deviation of the noise by coil:", air.std(axis=1))

# %%
# After prewhitening the noise of all coils is independent, with variance 1. Then the coils are
# compressed: three virtual ones hold nearly all of the signal.
scan = compress_coils(prewhiten(scan), 3)
print(scan)
for note in scan.notes:
    print("note:", note)
assert scan.noise is not None
np.testing.assert_allclose(np.cov(scan.noise), np.eye(3), atol=1e-4)

# %%
# A quarter of the lines, then compressed sensing with wavelets. Nothing is trained: SigPy estimates
# the coil sensitivities by ESPIRiT, and solves for the image.
scan = undersample(scan, Mask("random", accelerations=(4,), center_fractions=(0.08,)))
classical = reconstruct_scan(scan, model="cs_wavelet")
picture = show(classical, scan, label="CS, wavelets")

# %%
# A network that takes the coils.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", OutOfDomain)  # it was trained on simulated k-space
    learned = reconstruct_scan(scan, "brain-varnet")
another = show(learned, scan, label="brain-varnet")

# %%
# Images for other programs: NIfTI, with the scan's geometry where the file says it.
target = Path(tempfile.mkdtemp()) / "brain.nii.gz"
(path,) = write_images(target, learned, scan, label="brain-varnet", settings={})
print(path.name, nibabel.load(path).shape)

# %%
# Both are closer to the fully sampled image than the zero-filled one.
assert scan.reference is not None
zero_filled = scan._replace(reference=None).images()
nmse = {
    name: float(np.sum((each - scan.reference) ** 2) / np.sum(scan.reference**2))
    for name, each in (
        ("zero-filled", zero_filled), ("cs_wavelet", classical), ("brain-varnet", learned),
    )
}  # fmt: skip
print({name: round(value, 4) for name, value in nmse.items()})
assert max(nmse["cs_wavelet"], nmse["brain-varnet"]) < nmse["zero-filled"] / 2
