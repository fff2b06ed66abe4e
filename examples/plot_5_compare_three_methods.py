"""
5. Compare three methods
========================

Zero-filling, fastMRI's U-Net and CLGNet on the same volumes, with confidence intervals, paired
differences and error maps. The networks are small and hardly trained: this shows the way, it is
no benchmark.
"""

# %%
# Six validation volumes. The demo data set has only two, too few for intervals.
import tempfile
from pathlib import Path

import h5py
from matplotlib.figure import Figure

from fastmri_clgnet import CLGNetModule
from fastmri_clgnet.data import Data, Mask, make_demo_dataset, write_fastmri_file
from fastmri_clgnet.data.demo_volume import simulate_volume
from fastmri_clgnet.evaluation import evaluate
from fastmri_clgnet.figures import comparison
from fastmri_clgnet.inference import reconstruct
from fastmri_clgnet.pl_modules.unet_module import UnetModule
from fastmri_clgnet.training import train

folder = Path(tempfile.mkdtemp())
root = make_demo_dataset("singlecoil", folder / "demo")
for index in range(4):
    kspace, target = simulate_volume("singlecoil", 3, (2024, index))
    path = root / "singlecoil_val" / f"more_{index}.h5"
    write_fastmri_file(path, kspace, target, acquisition="SIMULATED")

# %%
# The same data, masks and number of steps for both networks.
mask = Mask("random", accelerations=(4,), center_fractions=(0.08,))
data = Data(root, mask=mask, batch_size=2, num_workers=0)
modules = {
    "unet": UnetModule(chans=8, num_pool_layers=3, lr=2e-3),
    "clgnet": CLGNetModule(chans=16, num_groups=1, num_blocks=2, lr=2e-3),
}
checkpoints = {}
for name, module in modules.items():
    run = train(
        module,
        data,
        trainer={"max_epochs": 3, "accelerator": "cpu", "enable_progress_bar": False},
        default_root_dir=folder / name,
    )
    checkpoints[name] = run.best

# %%
# Submission files of all three, from the same undersampled k-space.
out = {name: folder / "out" / name for name in ("zero_filled", "unet", "clgnet")}
reconstruct(root / "singlecoil_val", out["zero_filled"], model="zero_filled", mask=mask)
for name, checkpoint in checkpoints.items():
    reconstruct(root / "singlecoil_val", out[name], checkpoint, mask=mask)

# %%
# fastMRI's metrics, with bootstrap intervals over volumes, and paired differences from the
# first method. An interval that excludes 0 says that the difference is unlikely to be chance,
# for volumes of this kind.
result = evaluate(root / "singlecoil_val", list(out.values()), "singlecoil", labels=list(out))
print(result)

# %%
# One slice with error maps.
file = "more_0.h5"
with h5py.File(root / "singlecoil_val" / file) as opened:
    target = opened["reconstruction_esc"][2]
    maximum = float(opened.attrs["max"])
images = {}
for name, path in out.items():
    with h5py.File(path / file) as opened:
        images[name] = opened["reconstruction"][2]
maps = comparison(images, target, maximum, "one slice")

# %%
# PSNR of each volume. Lines join the same volume.
bars = Figure(figsize=(5, 3.5), layout="constrained")
axes = bars.subplots()
values = {
    name: [one.values["PSNR"] for one in result.volumes if one.method == name] for name in out
}
axes.plot(list(values), list(values.values()), ".-", color="gray", alpha=0.6)
axes.set_ylabel("PSNR (dB)")

# %%
# Both networks beat zero-filling in PSNR. The table above shows what they do in SSIM.
mean = {name: sum(each) / len(each) for name, each in values.items()}
assert mean["unet"] > mean["zero_filled"]
assert mean["clgnet"] > mean["zero_filled"]
