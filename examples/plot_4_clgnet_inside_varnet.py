"""
4. CLGNet inside fastMRI's VarNet
=================================

fastMRI's end-to-end variational network regularises with U-Nets. A loop replaces them with
CLGNets. The rest is fastMRI's, on Lightning 2.
"""

# %%
# One line makes fastMRI's module run on Lightning 2. ``on_kspace`` says that it takes k-space
# and mask.
import tempfile
from pathlib import Path

import fastmri.pl_modules
import numpy as np

from fastmri_clgnet import Lightning2Mixin, read_scan, reconstruct_scan, show, undersample
from fastmri_clgnet.data import Data, Mask
from fastmri_clgnet.models import NormCLGNet
from fastmri_clgnet.training import train


class VarNetModule(Lightning2Mixin, fastmri.pl_modules.VarNetModule):
    on_kspace = True


module = VarNetModule(num_cascades=2, pools=2, chans=4, sens_pools=2, sens_chans=4, lr=1e-3)
for cascade in module.varnet.cascades:
    cascade.model = NormCLGNet(chans=8, num_groups=1, num_blocks=1, correction=True)

# %%
# Simulated heads with 4 coils. With ``correction=True`` the untrained cascades change nothing,
# so the image is the zero-filled one.
folder = Path(tempfile.mkdtemp())
mask = Mask("random", accelerations=(4,), center_fractions=(0.08,))
data = Data(demo_dir=folder / "demo", challenge="multicoil", mask=mask, batch_size=1, num_workers=0)
run = train(
    module,
    data,
    trainer={"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
    default_root_dir=folder / "run",
)
print(run.metrics)

# %%
# The module itself is taken where weights are.
path = min((folder / "demo").rglob("multicoil_val/*.h5"))
scan = undersample(read_scan(path), mask)
image = reconstruct_scan(scan, module)
figure = show(image, scan, label="CLGNet in VarNet, 1 epoch")

# %%
# One epoch moved the network, and in the right direction.
zero_filled = scan._replace(reference=None).images()


def nmse(each: np.ndarray) -> float:
    return float(np.sum((each - scan.reference) ** 2) / np.sum(scan.reference**2))


print(f"NMSE: zero-filled {nmse(zero_filled):.4f}, CLGNet in VarNet {nmse(image):.4f}")
assert nmse(image) < nmse(zero_filled)
