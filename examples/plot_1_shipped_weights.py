"""
1. Reconstruct with shipped weights
===================================

A real raw slice of 4 coils is undersampled and reconstructed by trained weights that ship with
the package.
"""

# %%
# The weights are known by name. ``python -m fastmri_clgnet.weights`` lists them, and each has a
# model card.
import warnings

import numpy as np

from fastmri_clgnet import example_slice, load, reconstruct_scan, show, undersample
from fastmri_clgnet.data import Mask
from fastmri_clgnet.weights import shipped

name = next(iter(shipped()))
network = load(name)
print(name, network.trained_on)

# %%
# The scan is fully sampled, so its image is the reference. The mask has the acceleration of the
# training.
acceleration = int(network.trained_on["accelerations"][0])
scan = undersample(example_slice(), Mask("random", (acceleration,), (0.32 / acceleration,)))
print(scan)

# %%
# Data of another kind than in the training gives a warning. It is printed here.
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    image = reconstruct_scan(scan, network)
for each in caught:
    print(each.message)

figure = show(image, scan, label=name)

# %%
# The reconstruction is closer to the reference than the zero-filled image.
zero_filled = scan._replace(reference=None).images()


def nmse(each: np.ndarray) -> float:
    return float(np.sum((each - scan.reference) ** 2) / np.sum(scan.reference**2))


print(f"NMSE: zero-filled {nmse(zero_filled):.4f}, {name} {nmse(image):.4f}")
assert nmse(image) < nmse(zero_filled)
