"""
3. Your own raw data, and a warning
===================================

A file of raw k-space is read, undersampled and reconstructed. The network was trained on other
data, and a warning says so.
"""

# %%
# Your file would be a Siemens ``meas.dat`` or an ISMRMRD file, which say what they hold. Here
# the raw slice of the package is written as a NumPy file, whose axes have to be named.
import tempfile
import warnings
from pathlib import Path

import numpy as np

from fastmri_clgnet import (
    CLGNetModule,
    example_slice,
    read_scan,
    reconstruct_scan,
    show,
    undersample,
)
from fastmri_clgnet.data import Data, Mask
from fastmri_clgnet.formats.read_scan import Reading
from fastmri_clgnet.inference import OutOfDomain
from fastmri_clgnet.training import train

folder = Path(tempfile.mkdtemp())
np.save(folder / "brain.npy", example_slice().kspace[0])
scan = read_scan(folder / "brain.npy", Reading(axes=("coil", "row", "column")))
print(scan)
for note in scan.notes:
    print("note:", note)

# %%
# One epoch on simulated heads with one coil, to have some weights.
mask = Mask("random", accelerations=(4,), center_fractions=(0.08,))
data = Data(demo_dir=folder / "demo", mask=mask, batch_size=2, num_workers=0)
run = train(
    CLGNetModule(chans=16, num_groups=1, num_blocks=2, lr=2e-3),
    data,
    trainer={"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
    default_root_dir=folder / "run",
)

# %%
# The scan has several coils and was measured. The weights know neither.
undersampled = undersample(scan, mask)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    image = reconstruct_scan(undersampled, run.best)
message = next(str(each.message) for each in caught if each.category is OutOfDomain)
print(message)

figure = show(image, undersampled, label="trained on simulated heads")

# %%
# Such an image may look plausible. Train on data like yours before you trust it.
assert "multicoil data (trained on singlecoil)" in message
assert "measured k-space (trained on simulated k-space)" in message
assert image.shape == (1, 256, 256)
