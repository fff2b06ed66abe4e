"""
6. What one output pixel sees
=============================

CLGNet's layer works on the image and on its spectrum. Which input pixels can change one output
pixel? Its gradient says so.
"""

# %%
# One layer on a random image in float64, for the three spectral units.
import numpy as np
import torch
from matplotlib.figure import Figure

from fastmri_clgnet.models import SPECTRA, SpatialFourierLayer

SIZE, ROW, COLUMN = 48, 14, 30
titles = {"linear": "linear (eq. 7)", "relu": "ReLU", "norm_relu": "normalised, ReLU"}


def gradient(spectrum: str) -> np.ndarray:
    """The absolute gradient of one output pixel, summed over channels."""
    torch.manual_seed(0)
    layer = SpatialFourierLayer(8, spectrum).double()
    image = torch.randn(1, 8, SIZE, SIZE, dtype=torch.float64, requires_grad=True)
    layer(image)[0, 0, ROW, COLUMN].backward()
    return image.grad[0].abs().sum(dim=0).numpy()


gradients = {name: gradient(name) for name in titles}
assert set(gradients) == set(SPECTRA)

# %%
# With the linear unit the pixel sees its neighbourhood, its mirror image and pixels of their rows.
# With a ReLU in the spectrum it sees all of them.
seen = {name: float(np.mean(each > 1e-9 * each.max())) for name, each in gradients.items()}
figure = Figure(figsize=(10, 3.8), layout="constrained")
for axis, (name, each) in zip(figure.subplots(1, 3), gradients.items(), strict=True):
    shown = axis.imshow(np.log10(each / each.max() + 1e-12), vmin=-6, vmax=0)
    axis.set(title=f"{titles[name]}: {seen[name]:.1%} of the pixels", xticks=[], yticks=[])
figure.colorbar(shown, ax=figure.axes, label="log10 of the gradient")

# %%
print(seen)
assert seen["linear"] < 0.1
assert seen["relu"] > 0.99
assert seen["norm_relu"] > 0.99
